"""Slices of K volumes as real rows of whitened images, and their products for least squares.

An entry p of an image has weight w_p (½ or 1, see ``HalfDisc``), doubled for its Friedel mate, over the noise:

    X[i, (p, part), k] = √(2 w_p / σ²_p) · C_p · part of V_k at p,      G_i = Xᵀ X = (A U)ᴴ Γ⁻¹ (A U),

the parts being real and imaginary. On the CPU a compiled kernel reads the K interleaved values of a voxel at once
and writes rows in the layout of the matrix product; elsewhere, and as its reference, slices are extracted.
"""

from itertools import pairwise
from math import prod

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryobench._threads import count_threads, run_parts
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu.slices.whitened import fill_rows
from cryobench.reconstruction.images import Posed, predict_images

_BYTES_AT_ONCE = {"cpu": 3e7, "cuda": 5e8}
"""Memory for slices: fits a cache, or keeps a GPU busy."""
_TOGETHER = 4
"""Images are taken in multiples of this number where so many fit, so that threads have equally many."""


def small_batches(batch: Posed, disc: HalfDisc, n_volumes: int) -> list[Posed]:
    """Parts of a batch, in order, whose slices of all volumes are made together."""
    size = disc.box_size * (disc.box_size // 2 + 1) * 8 * n_volumes
    step = max(1, int(_BYTES_AT_ONCE[batch.data.device.type] // size))
    step = step if step < _TOGETHER else step // _TOGETHER * _TOGETHER
    return [batch.cut(first, first + step) for first in range(0, len(batch), step)]


class Whitening:
    """The factors √(2 w / σ²) of a noise power σ² (radius + 1,), applied to images and to slices of volumes."""

    def __init__(self, disc: HalfDisc, noise: Float[np.ndarray, "s"], device: str = "cpu") -> None:
        self._disc = disc
        self._factors = torch.from_numpy(np.sqrt(2 * disc.weights / noise[disc.shells])).float().to(device)
        self._rows = np.empty(0, dtype=np.float32)

    def data(self, values: Complex[Tensor, "*m p"]) -> Float[Tensor, "*m p2"]:
        """(..., 2 p) real rows of packed spectra (..., p), in the layout of ``rows``."""
        return torch.view_as_real(values * self._factors).flatten(-2)

    def rows(self, volume_ft: FourierVolume, batch: Posed) -> Float[Tensor, "m p2 k"]:
        """X (m, 2 p, k) float32 of a stack of k volumes on the grid of the images' box.

        On the CPU it lies in memory that the next call overwrites, since fresh pages for every few images are slow.
        """
        disc = self._disc
        if batch.data.device.type != "cpu":
            return self.rows_by_slices(volume_ft, batch)
        if not volume_ft.is_stack or volume_ft.kernel != "trilinear" or volume_ft.box_size != disc.box_size:
            raise ValueError("whitened rows need a trilinear stack of volumes in the particles' box size.")
        layout, count = volume_ft.layout, len(batch)
        shape = (count, 2 * len(disc.index), volume_ft.n_volumes)
        if self._rows.size < prod(shape):
            self._rows = np.empty(prod(shape), dtype=np.float32)
        rows = self._rows[: prod(shape)].reshape(shape)
        arguments = (
            torch.view_as_real(volume_ft.values.contiguous()).numpy().reshape(-1),
            layout.shape[1] * layout.shape[2],
            layout.shape[2],
            layout.center,
            layout.center_x,
            batch.rotations.numpy(),
            (disc.frequencies * layout.padding).astype(np.float32),
            (batch.ctf * self._factors).numpy(),
            rows,
        )
        bounds = np.linspace(0, count, min(4 * count_threads(), count) + 1).astype(int)
        run_parts(fill_rows, [(*arguments, first, last) for first, last in pairwise(bounds)])
        return torch.from_numpy(rows)

    def rows_by_slices(self, volume_ft: FourierVolume, batch: Posed) -> Float[Tensor, "m p2 k"]:
        """The same from extracted slices: for any device, and as the reference in tests of the kernel."""
        return self.data(predict_images(volume_ft, batch, self._disc)).mT


def whitened_products(rows: Float[Tensor, "m p2 k"], *data: Float[Tensor, "m p2"]) -> list[Float[Tensor, "m k ..."]]:
    """G (m, k, k) = Xᵀ X of rows, and b (m, k) = Xᵀ d of each of the data."""
    return [rows.mT @ rows, *((rows.mT @ each[..., None])[..., 0] for each in data)]
