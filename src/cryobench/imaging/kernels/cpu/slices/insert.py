"""Slice insertion on the CPU: scatter every pixel to its taps, each thread into its own slab of z planes.

Every thread iterates over all images in order and adds only to the planes ``low <= z < high`` of its slab, skipping
rows that stay away from it. A voxel therefore receives its terms in one order, whatever the slabs.
The kernels are specialised as those of ``extract.py``.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import scatter_plane
from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.voxel import begin_row, follow_row, locate, weigh


@njit(nogil=True, cache=True)
def misses_slab(first, last, low, high):
    """Whether a row of pixels between two positions, mirrored if necessary, stays two planes away from the slab."""
    bottom, top = min(first[2], last[2]), max(first[2], last[2])
    if first[0] < 0 or last[0] < 0:
        bottom, top = min(bottom, -top), max(top, -bottom)
    return top + np.float32(2) < low or bottom - np.float32(2) > high


@cache
def compile_insert(taps: int, block: int, dense: bool) -> Callable[..., None]:
    """Insertion of a block of volumes at one pose per image.

    Arguments of the compiled function: the images (n, k, y, h, 2); the first k to read; rotations times
    padding; tap polynomials; columns of each row within the radius; index of frequency 0 along z and y; voxels
    in a plane and in a row; floats from voxel to voxel; per image the offset of its first volume in a voxel;
    the grid as float32; the slab.
    """
    width = 2 * block
    wide = 1 if taps == 4 else 0
    contiguous = 1 if dense else 0
    below = taps // 2 - 1
    f4 = np.float32
    u8 = np.uint64

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def insert(images, first, rotations, polynomials, row_ends, center, plane, row, stride, offsets, grid, low, high):
        size = images.shape[2]
        half = images.shape[3]
        line = np.empty(half * width, np.float32)
        values = np.empty(taps * width, np.float32)
        step = u8(stride)
        row_step = u8(row) * step
        slab_low, slab_high = f4(low - center), f4(high - center)
        for i in range(images.shape[0]):
            r = rotations[i]
            offset = u8(offsets[i])
            for y in range(size):
                end = row_ends[y]
                begin = begin_row(r, f4(y if 2 * y < size else y - size))
                if misses_slab(begin, follow_row(r, begin, f4(end - 1)), slab_low, slab_high):
                    continue
                if block > 1:
                    for k in range(block):
                        for x in range(end):
                            line[x * width + 2 * k] = images[i, first + k, y, x, 0]
                            line[x * width + 2 * k + 1] = images[i, first + k, y, x, 1]
                for x in range(end):
                    (x0, y0, z0), fractions, sign = locate(follow_row(r, begin, f4(x)), center)
                    if z0 + below + 1 < low or z0 - below >= high:
                        continue
                    x_taps, y_taps, z_taps = weigh(wide, polynomials, fractions)
                    if block == 1:
                        re = images[i, first, y, x, 0]
                        im = images[i, first, y, x, 1] * sign
                        for t in range(taps):
                            values[2 * t] = x_taps[t] * re
                            values[2 * t + 1] = x_taps[t] * im
                    else:
                        for t in range(taps):
                            for k in range(block):
                                values[t * width + 2 * k] = x_taps[t] * line[x * width + 2 * k]
                                values[t * width + 2 * k + 1] = x_taps[t] * sign * line[x * width + 2 * k + 1]
                    for tz in range(taps):
                        z = z0 - below + tz
                        if z < low or z >= high:
                            continue
                        p = u8(z * plane + (y0 - below) * row + x0) * step + offset
                        scatter_plane(width, taps, contiguous, grid, p, row_step, step, y_taps, z_taps[tz], values)

    return insert
