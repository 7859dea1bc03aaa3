"""Slices of K volumes as real rows of whitened images, and the products that least squares over them need.

An entry p of an image counts by its weight w_p (½ or 1, see ``HalfDisc``), twice for its mate, over the noise:

    X[i, (p, part), k] = √(2 w_p / σ²_p) · C_p · part of V_k at p,      G_i = Xᵀ X = (A U)ᴴ Γ⁻¹ (A U),

the parts being real and imaginary. On the CPU a compiled kernel reads the K interleaved values of a voxel at once
and writes rows as the matrix product wants them; elsewhere, and as its reference, slices are extracted.
"""

from itertools import pairwise

import numba
import numpy as np
import torch
from torch import Tensor

from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.threads import count_threads, run_parts
from cryobench.imaging.kernels.cpu.voxel import gather_voxel, turn
from cryobench.methods._shared.spectra import HalfDisc, Packed
from cryobench.methods.recovar.predicted import predict


def whitening(disc: HalfDisc, noise: np.ndarray) -> Tensor:
    """√(2 w / σ²) (p,) float32 for noise power (radius + 1,)."""
    return torch.from_numpy(np.sqrt(2 * disc.weights / noise[disc.shells])).float()


def whitened_rows(volume_ft: FourierVolume, packed: Packed, disc: HalfDisc, noise: np.ndarray) -> Tensor:
    """X (m, 2 p, k) float32 of a stack of k volumes on the grid of ``disc``'s box."""
    if packed.data.device.type != "cpu":
        return whitened_rows_by_slices(volume_ft, packed, disc, noise)
    if not volume_ft.is_stack or volume_ft.kernel != "trilinear" or volume_ft.box_size != disc.box_size:
        raise ValueError("rows are those of a stack of volumes, trilinear, of the particles' box size.")
    layout, count = volume_ft.layout, len(packed.indices)
    factors = (packed.ctf * whitening(disc, noise)).numpy()
    rows = np.empty((count, 2 * len(disc.index), volume_ft.n_volumes), dtype=np.float32)
    arguments = (
        torch.view_as_real(volume_ft.values.contiguous()).numpy().reshape(-1),
        layout.shape[1] * layout.shape[2],
        layout.shape[2],
        layout.center,
        layout.center_x,
        packed.rotations.numpy(),
        (disc.frequencies * layout.padding).astype(np.float32),
        factors,
        rows,
    )
    bounds = np.linspace(0, count, min(4 * count_threads(), count) + 1).astype(int)
    run_parts(_fill_rows, [(*arguments, first, last) for first, last in pairwise(bounds)])
    return torch.from_numpy(rows)


def whitened_rows_by_slices(volume_ft: FourierVolume, packed: Packed, disc: HalfDisc, noise: np.ndarray) -> Tensor:
    """The same from extracted slices: any device, and what the kernel is tested against."""
    factors = packed.ctf * whitening(disc, noise).to(packed.ctf.device)
    images = predict(volume_ft, packed, disc) * factors[:, None]
    return torch.view_as_real(images).flatten(-2).mT


def whitened_data(values: Tensor, disc: HalfDisc, noise: np.ndarray) -> Tensor:
    """(m, 2 p) real rows of packed spectra (m, p), as those of ``whitened_rows``."""
    return torch.view_as_real(values * whitening(disc, noise).to(values.device)).flatten(-2)


def whitened_products(rows: Tensor, *data: Tensor) -> list[Tensor]:
    """G (m, k, k) = Xᵀ X of rows (m, 2 p, k), and b (m, k) = Xᵀ d of each of the data (m, 2 p)."""
    return [rows.mT @ rows, *((rows.mT @ each[..., None])[..., 0] for each in data)]


@numba.njit(nogil=True, cache=True, fastmath=FLAGS)
def _fill_rows(grid, plane, row, center, center_x, rotations, frequencies, factors, rows, first, last):
    """Rows of particles ``first`` … ``last``, from the grid as one row of floats."""
    u8 = np.uint64
    count, volumes = frequencies.shape[0], rows.shape[2]
    stride = 2 * volumes
    row_step = u8(row) * u8(stride)
    plane_step = u8(plane) * u8(stride)
    taken = np.empty(stride, np.float32)
    for i in range(first, last):
        for p in range(count):
            place = turn(rotations[i], frequencies[p, 0], frequencies[p, 1])
            gather_voxel(grid, stride, plane_step, row_step, place, center, center_x, taken)
            factor = factors[i, p]
            for k in range(volumes):
                rows[i, 2 * p, k] = factor * taken[2 * k]
                rows[i, 2 * p + 1, k] = factor * taken[2 * k + 1]
