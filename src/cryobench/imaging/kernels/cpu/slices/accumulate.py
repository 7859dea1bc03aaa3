"""Insertion of numerator and weight in one pass on the CPU, into chosen volumes with chosen factors.

The work is a list of entries (image, volume, factor): one entry per image for a single reconstruction, one per
image and relevant class in a classification. Volumes are consecutive here (K, z, y, x), so that
an image with one class touches one volume.

Every thread iterates over its entries in order and adds only to the planes ``low <= z < high`` of its slab, skipping
rows that stay away from it. A voxel therefore receives its terms in one order, whatever the slabs.
"""

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


@njit(nogil=True, cache=True, fastmath=FLAGS)
def insert_entries(
    numerators,
    weights,
    entry_images,
    entry_volumes,
    entry_factors,
    rotations,
    row_ends,
    center,
    plane,
    row,
    numerator_grid,
    weight_grid,
    low,
    high,
):
    """Insert entries with the trilinear kernel.

    Numerators (n, y, h, 2) and weights (n, y, h); the entries' images, volumes and factors; rotations times padding;
    columns of each row within the radius; index of frequency 0 along z and y; voxels in a plane and in a row; the two
    grids (k, floats) of 2 and of 1 float per voxel; the slab. The x = 0 column is halved: ``friedel_symmetrise`` adds
    the other half.
    """
    f4, u8 = np.float32, np.uint64
    size = row_ends.shape[0]
    pairs = np.empty(4, np.float32)
    reals = np.empty(2, np.float32)
    slab_low, slab_high = f4(low - center), f4(high - center)
    for entry in range(entry_images.shape[0]):
        i = entry_images[entry]
        factor = entry_factors[entry]
        numerator_sum = numerator_grid[entry_volumes[entry]]
        weight_sum = weight_grid[entry_volumes[entry]]
        r = rotations[i]
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
                gain = factor * f4(0.5) if x == 0 else factor
                re = gain * numerators[i, y, x, 0]
                im = gain * numerators[i, y, x, 1] * sign
                weight = gain * weights[i, y, x]
                for t in range(2):
                    pairs[2 * t] = x_taps[t] * re
                    pairs[2 * t + 1] = x_taps[t] * im
                    reals[t] = x_taps[t] * weight
                for tz in range(2):
                    z = z0 + tz
                    if z < low or z >= high:
                        continue
                    p = u8(z * plane + y0 * row + x0)
                    r1 = u8(row)
                    scatter_plane(2, 2, 1, numerator_sum, p + p, r1 + r1, r1, y_taps, z_taps[tz], pairs)
                    scatter_plane(1, 2, 1, weight_sum, p, r1, r1, y_taps, z_taps[tz], reals)
