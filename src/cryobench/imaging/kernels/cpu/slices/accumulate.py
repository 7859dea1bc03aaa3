"""Insertion of numerator and weight in one pass on the CPU, into chosen volumes with chosen factors.

The work is a list of entries (image, volume, factor): one entry per image for a single reconstruction, one per
image and relevant class in a classification. Volumes are consecutive here (K, z, y, x), so that
an image with one class touches one volume. Slabs as in ``insert.py``.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import scatter_plane
from cryobench.imaging.kernels.cpu.slices.insert import misses_slab
from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.voxel import begin_row, follow_row, locate, weigh


@cache
def compile_accumulate(taps: int, with_numerator: bool, with_weight: bool) -> Callable[..., None]:
    """Insertion of entries, with 2 or 4 taps.

    Arguments of the compiled function: numerators (n, y, h, 2) and weights (n, y, h); the entries' images,
    volumes and factors; rotations times padding; tap polynomials; columns of each row within the radius; index of
    frequency 0 along z and y; voxels in a plane and in a row; the two grids (k, floats) of 2 and of 1 float per
    voxel; the slab. The x = 0 column is halved: ``friedel_symmetrise`` adds the other half. Without
    numerator or weight its array and grid are ignored.
    """
    wide = 1 if taps == 4 else 0
    below = taps // 2 - 1
    f4 = np.float32
    u8 = np.uint64

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def accumulate(
        numerators,
        weights,
        entry_images,
        entry_volumes,
        entry_factors,
        rotations,
        polynomials,
        row_ends,
        center,
        plane,
        row,
        numerator_grid,
        weight_grid,
        low,
        high,
    ):
        size = row_ends.shape[0]
        values = np.empty(taps * 2, np.float32)
        reals = np.empty(taps, np.float32)
        slab_low, slab_high = f4(low - center), f4(high - center)
        for entry in range(entry_images.shape[0]):
            i = entry_images[entry]
            factor = entry_factors[entry]
            numerator_sum = numerator_grid[entry_volumes[entry] if with_numerator else 0]
            weight_sum = weight_grid[entry_volumes[entry] if with_weight else 0]
            r = rotations[i]
            for y in range(size):
                end = row_ends[y]
                begin = begin_row(r, f4(y if 2 * y < size else y - size))
                if misses_slab(begin, follow_row(r, begin, f4(end - 1)), slab_low, slab_high):
                    continue
                for x in range(end):
                    (x0, y0, z0), fractions, sign = locate(follow_row(r, begin, f4(x)), center)
                    if z0 + below + 1 < low or z0 - below >= high:
                        continue
                    x_taps, y_taps, z_taps = weigh(wide, polynomials, fractions)
                    gain = factor * f4(0.5) if x == 0 else factor
                    if with_numerator:
                        re = gain * numerators[i, y, x, 0]
                        im = gain * numerators[i, y, x, 1] * sign
                        for t in range(taps):
                            values[2 * t] = x_taps[t] * re
                            values[2 * t + 1] = x_taps[t] * im
                    if with_weight:
                        real = gain * weights[i, y, x]
                        for t in range(taps):
                            reals[t] = x_taps[t] * real
                    for tz in range(taps):
                        z = z0 - below + tz
                        if z < low or z >= high:
                            continue
                        p = u8(z * plane + (y0 - below) * row + x0)
                        r1 = u8(row)
                        if with_numerator:
                            scatter_plane(2, taps, 1, numerator_sum, p + p, r1 + r1, r1, y_taps, z_taps[tz], values)
                        if with_weight:
                            scatter_plane(1, taps, 1, weight_sum, p, r1, r1, y_taps, z_taps[tz], reals)

    return accumulate
