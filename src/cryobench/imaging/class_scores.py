"""How badly each of K volumes explains each particle at its pose, shell by shell, in one pass.

For packed data y, CTF c and slices V_k, with the weights w of ``HalfDisc``:

    A[i, s, k] = Σ_{entries of shell s} w ( c² |V_k|² − 2 Re conj(y) c V_k )

so that |y − c V_k|² summed over a shell is the data's own power plus A: whatever the noise model or the prior
odds, everything a classification needs is linear in A. On the CPU a compiled kernel reads the K interleaved values
of each voxel in one gather and never stores a slice; elsewhere, and as its reference, slices are extracted.
"""

from itertools import pairwise

import numba
import numpy as np
import torch
from torch import Tensor

from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.kernels.cpu.simd import prefetch_pairs
from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.threads import count_threads, run_parts
from cryobench.imaging.kernels.cpu.voxel import gather_voxel, turn
from cryobench.imaging.slices import extract_slices
from cryobench.methods._shared.spectra import HalfDisc, Packed

_AHEAD = 6
"""Entries by which memory is asked for in advance."""


def score_classes(volume_ft: FourierVolume, packed: Packed, disc: HalfDisc, radius: int) -> Tensor:
    """A[i, s, k] of the shells up to ``radius``: (m, radius + 1, k) float32.

    ``volume_ft`` is a stack for the trilinear kernel on the grid of ``disc``'s box.
    """
    if not volume_ft.is_stack or volume_ft.kernel != "trilinear" or volume_ft.box_size != disc.box_size:
        raise ValueError("scores are taken against a stack of volumes, trilinear, of the particles' box size.")
    if packed.data.device.type != "cpu":
        return score_by_slices(volume_ft, packed, disc, radius)
    count = disc.count(radius)
    result = np.zeros((len(packed.indices), radius + 1, volume_ft.n_volumes), dtype=np.float32)
    values = volume_ft.values.contiguous().numpy().view(np.float32)
    frequencies = (disc.frequencies[:count] * volume_ft.padding).astype(np.float32)
    layout = volume_ft.layout
    arguments = (
        values.reshape(-1),
        values.shape[3],
        values.shape[1] * values.shape[2],
        values.shape[2],
        packed.rotations.numpy(),
        frequencies,
        disc.shells[:count],
        disc.weights[:count],
        packed.data.numpy(),
        packed.ctf.numpy(),
        layout.center,
        layout.center_x,
        result,
    )
    bounds = np.linspace(0, len(result), 4 * count_threads() + 1).astype(int)
    run_parts(_score, [(*arguments, first, last) for first, last in pairwise(bounds)])
    return torch.from_numpy(result)


def score_by_slices(volume_ft: FourierVolume, packed: Packed, disc: HalfDisc, radius: int) -> Tensor:
    """The same from extracted slices: any device, and what the kernel is tested against."""
    count = disc.count(radius)
    device = packed.data.device
    reach = min(radius + 1, volume_ft.layout.max_radius)
    slices = extract_slices(volume_ft, packed.rotations, radius=reach).flatten(2)
    slices = slices[:, :, torch.from_numpy(disc.index[:count]).to(device)]
    predicted = slices * packed.ctf[:, None, :count]
    data = packed.data[:, None, :count]
    terms = predicted.abs().square() - 2 * (data.conj() * predicted).real
    terms = terms * torch.from_numpy(disc.weights[:count]).to(device)
    shells = torch.nn.functional.one_hot(torch.from_numpy(disc.shells[:count]), radius + 1).float().to(device)
    return (terms @ shells).transpose(1, 2).contiguous()


@numba.njit(nogil=True, fastmath=FLAGS, cache=True)
def _score(
    grid,
    stride,
    plane,
    row,
    rotations,
    frequencies,
    shells,
    weights,
    data,
    ctf,
    center,
    center_x,
    result,
    first,
    last,
):
    """Scores of particles ``first`` … ``last``, from the grid as one row of floats, ``stride`` of them in a voxel."""
    classes = stride // 2
    taken = np.empty(stride, np.float32)
    sums = np.zeros(stride, np.float32)
    even = np.zeros(stride, np.float32)
    even[::2] = 1
    odd = np.float32(1) - even
    f4, u8 = np.float32, np.uint64
    step = u8(stride)
    plane_step, row_step = u8(plane) * step, u8(row) * step
    lines = (stride + 15) // 16
    middle = f4(center)
    count = len(frequencies)
    for i in range(first, last):
        r = rotations[i]
        for p in range(count):
            place = turn(r, frequencies[p, 0], frequencies[p, 1])
            # The grid does not fit in cache: ask early for what an entry further along will need.
            later = min(p + _AHEAD, count - 1)
            x, y, z = turn(r, frequencies[later, 0], frequencies[later, 1])
            if x < f4(0):
                x, y, z = -x, -y, -z
            ahead = u8(np.int32(z + middle) * plane + np.int32(y + middle) * row + np.int32(x) + center_x) * step
            for line in range(lines):
                prefetch_pairs(grid, ahead + u8(16 * line), plane_step, row_step, step)
            gather_voxel(grid, stride, plane_step, row_step, place, center, center_x, taken)
            c = ctf[i, p]
            square = weights[p] * c * c
            real = f4(2) * weights[p] * c * data[i, p].real
            imag = f4(2) * weights[p] * c * data[i, p].imag
            for j in range(stride):
                sums[j] += taken[j] * (square * taken[j] - (real * even[j] + imag * odd[j]))
            shell = shells[p]
            if p + 1 == count or shells[p + 1] != shell:
                for k in range(classes):
                    result[i, shell, k] = sums[2 * k] + sums[2 * k + 1]
                sums[:] = 0
