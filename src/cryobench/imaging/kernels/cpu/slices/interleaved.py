"""Insertion of one slice, with its weights, into all of K interleaved volumes at once on the CPU.

The term of an image in channel c of a voxel is a c-dependent factor times the real part, the imaginary part or the
weight of the same pixel, so that the taps are computed once and one vector holds all channels of a voxel. Slabs as in
``accumulate.py``.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import scatter_plane
from cryobench.imaging.kernels.cpu.slices.accumulate import misses_slab
from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.voxel import begin_row, follow_row, locate, weigh


@cache
def compile_interleaved(width: int, dense: bool) -> Callable[..., None]:
    """Insertion, trilinear, into a block of ``width`` floats of every voxel, the whole voxel if ``dense``.

    Arguments of the compiled function: numerators (n, y, h, 2) and weights (n, y, h); factors (n, 3, width) of real
    part, imaginary part and weight in each channel; rotations times padding; columns of each row within the radius;
    index of frequency 0 along z and y; voxels in a plane and in a row; floats from voxel to voxel and from the start
    of a voxel to the block; the grid as float32; the slab. The x = 0 column is halved.
    """
    contiguous = 1 if dense else 0
    f4 = np.float32
    u8 = np.uint64

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def accumulate(
        numerators,
        weights,
        factors,
        rotations,
        row_ends,
        center,
        plane,
        row,
        stride,
        offset,
        grid,
        low,
        high,
    ):
        size = row_ends.shape[0]
        values = np.empty(2 * width, np.float32)
        channels = np.empty(width, np.float32)
        step, start = u8(stride), u8(offset)
        row_step = u8(row) * step
        slab_low, slab_high = f4(low - center), f4(high - center)
        for i in range(rotations.shape[0]):
            r = rotations[i]
            of_real, of_imaginary, of_weight = factors[i, 0], factors[i, 1], factors[i, 2]
            for y in range(size):
                end = row_ends[y]
                begin = begin_row(r, f4(y if 2 * y < size else y - size))
                if misses_slab(begin, follow_row(r, begin, f4(end - 1)), slab_low, slab_high):
                    continue
                for x in range(end):
                    (x0, y0, z0), fractions, sign = locate(follow_row(r, begin, f4(x)), center)
                    if z0 + 1 < low or z0 >= high:
                        continue
                    x_taps, y_taps, z_taps = weigh(0, fractions, fractions)
                    gain = f4(0.5) if x == 0 else f4(1)
                    re = gain * numerators[i, y, x, 0]
                    im = gain * numerators[i, y, x, 1] * sign
                    weight = gain * weights[i, y, x]
                    for c in range(width):
                        channels[c] = of_real[c] * re + of_imaginary[c] * im + of_weight[c] * weight
                    for t in range(2):
                        for c in range(width):
                            values[t * width + c] = x_taps[t] * channels[c]
                    for tz in range(2):
                        z = z0 + tz
                        if z < low or z >= high:
                            continue
                        at = u8(z * plane + y0 * row + x0) * step + start
                        scatter_plane(width, 2, contiguous, grid, at, row_step, step, y_taps, z_taps[tz], values)

    return accumulate
