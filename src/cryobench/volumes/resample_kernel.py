"""Compiled cubic B-spline interpolation of a volume at rigidly moved voxels. Releases the GIL."""

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, fastmath={"contract", "nsz"})
def interpolate_moved(coefficients, factor, origin, matrix, offset, moved, first, last):
    """Fill planes ``first`` to ``last`` (not included) of ``moved`` [z, y, x] from the spline ``coefficients``.

    Voxel (x, y, z) gets the value at position = matrix (x, y, z) + offset, in indices of the original voxels, of
    which there are as many as moved ones; position 0 is at index ``origin`` of the coefficients, with ``factor`` of
    them per voxel. Values from outside the original box, which extends half a voxel beyond the outermost, are 0.
    """
    size = moved.shape[0]
    upper = size - 0.5
    sixth = np.float32(1 / 6)
    one, three, four, six = np.float32(1), np.float32(3), np.float32(4), np.float32(6)
    taps = np.empty((3, 4), np.float32)
    start = np.empty(3, np.int64)
    for z in range(first, last):
        for y in range(size):
            for x in range(size):
                inside = True
                for axis in range(3):
                    place = matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] * z + offset[axis]
                    inside = inside and -0.5 <= place < upper
                    fine = place * factor + origin
                    low = math.floor(fine)
                    start[axis] = low - 1
                    t = np.float32(fine - low)
                    u = one - t
                    taps[axis, 0] = sixth * u * u * u
                    taps[axis, 1] = sixth * (t * t * (three * t - six) + four)
                    taps[axis, 2] = sixth * (u * u * (three * u - six) + four)
                    taps[axis, 3] = sixth * t * t * t
                if not inside:
                    moved[z, y, x] = 0
                    continue
                total = np.float32(0)
                for k in range(4):
                    plane = np.float32(0)
                    for j in range(4):
                        line = coefficients[start[2] + k, start[1] + j]
                        at = start[0]
                        plane += taps[1, j] * (
                            taps[0, 0] * line[at]
                            + taps[0, 1] * line[at + 1]
                            + taps[0, 2] * line[at + 2]
                            + taps[0, 3] * line[at + 3]
                        )
                    total += taps[2, k] * plane
                moved[z, y, x] = total
