"""Gradient of extracted slices with respect to the rotations, on the CPU.

For a pixel at k the slice's value is V(k R); with G the incoming gradient, ∂/∂R[a, j] = Σ Re(conj G · k_a p ∂V/∂u_j)
for a = x, y, where u = p k R. The interpolated V is differentiated exactly (piecewise, for the trilinear kernel).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.voxel import begin_row, follow_row, locate, weigh


@njit(nogil=True, cache=True, fastmath=FLAGS)
def wide_slopes(coefficients, fraction):
    """Derivatives of the four tap weights with respect to the fractional coordinate."""
    t = fraction - np.float32(0.5)
    first, second, third, fourth = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for power in range(7):
        factor = np.float32(7 - power)
        first = first * t + factor * coefficients[0, power]
        second = second * t + factor * coefficients[1, power]
        third = third * t + factor * coefficients[2, power]
        fourth = fourth * t + factor * coefficients[3, power]
    return first, second, third, fourth


@njit(nogil=True, cache=True)
def linear_slopes():
    """Derivatives of the two trilinear weights."""
    return np.float32(-1), np.float32(1)


@cache
def compile_rotation_gradient(taps: int) -> Callable[..., None]:
    """Gradient with 2 or 4 taps.

    Arguments of the compiled function: the grid as float32; floats from voxel to voxel; per image the offset
    of its first volume in a voxel; rotations times padding; tap polynomials; columns of each row within the
    radius; index of frequency 0 along z and y; voxels in a plane and in a row; incoming gradients
    (n, k, y, h, 2); the result (n, 3, 3) float64, still to be multiplied by the padding; first and last image.
    """
    wide = 1 if taps == 4 else 0
    below = taps // 2 - 1
    f4 = np.float32
    u8 = np.uint64

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def rotation_gradient(
        grid, stride, offsets, rotations, polynomials, row_ends, center, plane, row, gradients, result, i0, i1
    ):
        volumes, size = gradients.shape[1], gradients.shape[2]
        step = u8(stride)
        for i in range(i0, i1):
            r = rotations[i]
            sums = np.zeros((2, 3))
            for y in range(size):
                ky = f4(y if 2 * y < size else y - size)
                begin = begin_row(r, ky)
                for x in range(row_ends[y]):
                    kx = f4(x)
                    (x0, y0, z0), fractions, sign = locate(follow_row(r, begin, kx), center)
                    x_taps, y_taps, z_taps = weigh(wide, polynomials, fractions)
                    if wide:
                        x_slopes = wide_slopes(polynomials, fractions[0])
                        y_slopes = wide_slopes(polynomials, fractions[1])
                        z_slopes = wide_slopes(polynomials, fractions[2])
                    else:
                        x_slopes = y_slopes = z_slopes = linear_slopes()
                    along_x, along_y, along_z = f4(0), f4(0), f4(0)
                    start = u8((z0 - below) * plane + (y0 - below) * row + x0) * step + u8(offsets[i])
                    for k in range(volumes):
                        re = gradients[i, k, y, x, 0]
                        im = gradients[i, k, y, x, 1] * sign
                        for tz in range(taps):
                            for ty in range(taps):
                                q = start + (u8(tz) * u8(plane) + u8(ty) * u8(row)) * step + u8(2 * k)
                                plain, slope = f4(0), f4(0)
                                for t in range(taps):
                                    # Re(conj G · V): both conjugated alike when the point was mirrored.
                                    product = re * grid[q] + im * grid[q + u8(1)]
                                    plain += x_taps[t] * product
                                    slope += x_slopes[t] * product
                                    q += step
                                along_x += z_taps[tz] * y_taps[ty] * slope
                                along_y += z_taps[tz] * y_slopes[ty] * plain
                                along_z += z_slopes[tz] * y_taps[ty] * plain
                    # The mirrored coordinate is −u, hence the sign.
                    sums[0, 0] += sign * kx * along_x
                    sums[0, 1] += sign * kx * along_y
                    sums[0, 2] += sign * kx * along_z
                    sums[1, 0] += sign * ky * along_x
                    sums[1, 1] += sign * ky * along_y
                    sums[1, 2] += sign * ky * along_z
            result[i, :2] = sums
            result[i, 2] = 0.0

    return rotation_gradient
