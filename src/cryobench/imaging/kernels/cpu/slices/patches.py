"""Slices of one patch of directions as rows over the voxels they touch, for sums by matrix products on the CPU.

Slices of similar directions touch few voxels altogether. ``find_voxels`` numbers these, ``fill_slices`` inserts each
slice into a row of its own over them, and ``add_rows`` adds products of such rows to a grid
(``reconstruction.statistics.factored_sums``).
"""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import scatter_plane
from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.voxel import locate, turn, weigh


@njit(nogil=True, cache=True, fastmath=FLAGS)
def find_voxels(rotations, frequencies, center, center_x, plane, row, numbers, voxels):
    """Number of voxels that the slices touch; their indices, ascending, go to ``voxels``, their order to ``numbers``.

    ``numbers`` holds −1 for every voxel of the flat grid; ``plane`` and ``row`` are the voxels in a plane and a row.
    """
    lowest, highest = len(numbers), 0
    for i in range(len(rotations)):
        for p in range(len(frequencies)):
            (x, y, z), _, _ = locate(turn(rotations[i], frequencies[p, 0], frequencies[p, 1]), center)
            at = z * plane + y * row + x + center_x
            for corner in (at, at + row, at + plane, at + plane + row):
                numbers[corner] = 0
                numbers[corner + 1] = 0
            lowest = min(lowest, at)
            highest = max(highest, at + plane + row + 1)
    count = 0
    for voxel in range(lowest, highest + 1):
        if numbers[voxel] == 0:
            numbers[voxel] = count
            voxels[count] = voxel
            count += 1
    return count


@njit(nogil=True, cache=True, fastmath=FLAGS)
def fill_slices(
    data, weights, rotations, frequencies, center, center_x, plane, row, numbers, numerators, squares, first, last
):
    """Insert slices ``first`` … ``last``: data (m, p, 2) into rows (m, 2 v), weights (m, p) into rows (m, v), zeroed.

    The first frequency is the zero frequency, which is halved: all others stand for a Friedel pair.
    """
    f4, u8 = np.float32, np.uint64
    pairs = np.empty(4, np.float32)
    reals = np.empty(2, np.float32)
    for i in range(first, last):
        r = rotations[i]
        own, squared = numerators[i], squares[i]
        for p in range(len(frequencies)):
            (x, y, z), fractions, sign = locate(turn(r, frequencies[p, 0], frequencies[p, 1]), center)
            x_taps, y_taps, z_taps = weigh(0, fractions, fractions)
            gain = f4(0.5) if p == 0 else f4(1)
            re, im, weight = gain * data[i, p, 0], gain * sign * data[i, p, 1], gain * weights[i, p]
            for t in range(2):
                pairs[2 * t] = x_taps[t] * re
                pairs[2 * t + 1] = x_taps[t] * im
                reals[t] = x_taps[t] * weight
            at = z * plane + y * row + x + center_x
            for tz in range(2):
                for ty in range(2):
                    # Both taps along x are touched, so their numbers follow each other.
                    n = u8(numbers[at + tz * plane + ty * row])
                    by = (y_taps[ty],)
                    scatter_plane(4, 1, 1, own, n + n, n, n, by, z_taps[tz], pairs)
                    scatter_plane(2, 1, 1, squared, n, n, n, by, z_taps[tz], reals)


@njit(nogil=True, cache=True)
def add_rows(products, voxels, columns, grid, first, last):
    """Add products (v, parts, c) to ``columns`` (c,) of a grid (voxel, parts, n), at voxels ``first`` … ``last``."""
    count = len(columns)
    begin = columns[0]
    for v in range(first, last):
        for part in range(products.shape[1]):
            own, target = products[v, part], grid[voxels[v], part]
            if columns[count - 1] - begin + 1 == count:
                for c in range(count):
                    target[begin + c] += own[c]
            else:
                for c in range(count):
                    target[columns[c]] += own[c]


@njit(nogil=True, cache=True)
def fold_channel(sums, channel, starts, sources, folded):
    """A channel of sums (v, parts, c), summed over the voxels of each entry (w, parts); −1 − v for conjugates."""
    parts = folded.shape[1]
    for i in range(len(folded)):
        real = imaginary = np.float32(0)
        for k in range(starts[i], starts[i + 1]):
            v = sources[k]
            if v >= 0:
                real += sums[v, 0, channel]
                if parts == 2:
                    imaginary += sums[v, 1, channel]
            else:
                real += sums[-1 - v, 0, channel]
                if parts == 2:
                    imaginary -= sums[-1 - v, 1, channel]
        folded[i, 0] = real
        if parts == 2:
            folded[i, 1] = imaginary
