"""Slice extraction on the CPU: gather the taps of every pixel, for a block of volumes at once.

A kernel is specialised for its taps (2 or 4), for how many interleaved volumes it handles (a block of 1, 2, 4 or
8) and for whether the block is all there is in a voxel (``dense``): see ``simd.py``.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import gather, prefetch_pairs, prefetch_rows
from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.voxel import begin_row, follow_row, locate, weigh

_AHEAD = 8
"""Pixels by which memory is prefetched."""


@cache
def compile_extract(taps: int, block: int, dense: bool) -> Callable[..., None]:
    """Extraction of ``block`` volumes whose values are contiguous within a voxel.

    Arguments of the compiled function: the grid as float32; floats from voxel to voxel; rotations times padding;
    tap polynomials; columns of each row within the radius; index of frequency 0 along z and y; voxels in a plane and
    in a row; the images (n, k, y, h) complex64, and the same as float32 in one row; the first k to read and write;
    first and last image.
    """
    width = 2 * block
    below = taps // 2 - 1
    wide = 1 if taps == 4 else 0
    contiguous = 1 if dense else 0
    by_voxel = 1 if taps == 2 and block == 8 else 0
    by_row = 1 if block == 1 else 0
    f4 = np.float32
    u8 = np.uint64

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def extract(grid, stride, rotations, polynomials, row_ends, center, plane, row, images, floats, first, i0, i1):
        volumes, size, half = images.shape[1:]
        # A row's values, voxel by voxel: for a single volume that is the image's row itself.
        line = np.empty((half, block), np.complex64)
        buffer = floats if block == 1 else line.view(np.float32).reshape(-1)
        step, offset = u8(stride), u8(2 * first)
        plane_step, row_step = u8(plane) * step, u8(row) * step
        for i in range(i0, i1):
            r = rotations[i]
            for y in range(size):
                begin = begin_row(r, f4(y if 2 * y < size else y - size))
                end = row_ends[y]
                at = u8(((i * volumes + first) * size + y) * half * 2) if block == 1 else u8(0)
                for x in range(end):
                    (x0, y0, z0), fractions, sign = locate(follow_row(r, begin, f4(x)), center)
                    x_taps, y_taps, z_taps = weigh(wide, polynomials, fractions)
                    # The border along x is as wide as the taps reach below floor(x): no offset.
                    start = u8((z0 - below) * plane + (y0 - below) * row + x0) * step + offset
                    if by_row or by_voxel:
                        # The grid does not fit in cache: prefetch for a pixel further along.
                        (x1, y1, z1), _, _ = locate(follow_row(r, begin, f4(x + _AHEAD)), center)
                        later = u8((z1 - below) * plane + (y1 - below) * row + x1) * step + offset
                        if by_voxel:
                            prefetch_pairs(grid, later, plane_step, row_step, step)
                        else:
                            prefetch_rows(taps, grid, later, plane_step, row_step)
                    gather(
                        width,
                        taps,
                        contiguous,
                        grid,
                        start,
                        plane_step,
                        row_step,
                        step,
                        x_taps,
                        y_taps,
                        z_taps,
                        sign,
                        buffer,
                        at,
                    )
                    at += u8(width)
                for k in range(block):
                    if block > 1:
                        for x in range(end):
                            images[i, first + k, y, x] = line[x, k]
                    for x in range(end, half):
                        images[i, first + k, y, x] = 0

    return extract
