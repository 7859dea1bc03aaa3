"""Scores of K interleaved volumes against packed images at given poses, on the CPU, without storing slices."""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import prefetch_pairs
from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.voxel import gather_voxel, turn

_AHEAD = 6
"""Entries by which memory is prefetched."""


@njit(nogil=True, fastmath=FLAGS, cache=True)
def score(
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
    """Write scores of particles ``first`` … ``last`` to ``result`` (n, s, k), which holds zeros.

    ``grid`` is one row of floats, ``stride`` of them in a voxel; ``plane`` and ``row`` are the voxels in a plane and
    in a row. Frequencies (p, 2) are those of the padded grid, in ascending order of their shells (p,).
    """
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
            point = turn(r, frequencies[p, 0], frequencies[p, 1])
            # The grid does not fit in cache: prefetch for an entry further along.
            later = min(p + _AHEAD, count - 1)
            x, y, z = turn(r, frequencies[later, 0], frequencies[later, 1])
            if x < f4(0):
                x, y, z = -x, -y, -z
            ahead = u8(np.int32(z + middle) * plane + np.int32(y + middle) * row + np.int32(x) + center_x) * step
            for line in range(lines):
                prefetch_pairs(grid, ahead + u8(16 * line), plane_step, row_step, step)
            gather_voxel(grid, stride, plane_step, row_step, point, center, center_x, taken)
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
