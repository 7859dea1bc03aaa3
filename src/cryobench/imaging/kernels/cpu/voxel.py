"""Position of a point of a slice in a half-grid, its taps, and the stored values: common to all kernels."""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import gather
from cryobench.imaging.kernels.cpu.taps import FLAGS, linear_taps, wide_taps


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def turn(r, kx, ky):
    """Position (x, y, z) in the volume of the point (kx, ky) of a slice: the row (kx, ky, 0) times R."""
    return kx * r[0, 0] + ky * r[1, 0], kx * r[0, 1] + ky * r[1, 1], kx * r[0, 2] + ky * r[1, 2]


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def begin_row(r, ky):
    """Position (x, y, z) in the volume of the point (0, ky) of a slice."""
    return ky * r[1, 0], ky * r[1, 1], ky * r[1, 2]


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def follow_row(r, begin, kx):
    """Position (x, y, z) in the volume of the point kx of a row that begins at ``begin``."""
    return begin[0] + kx * r[0, 0], begin[1] + kx * r[0, 1], begin[2] + kx * r[0, 2]


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def mirror(position):
    """The one of a position and its Friedel mate with x ≥ 0, and −1 for the mate, else 1."""
    sign = np.float32(1)
    if position[0] < np.float32(0):
        sign = np.float32(-1)
    return (position[0] * sign, position[1] * sign, position[2] * sign), sign


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def locate(position, center):
    """Stored voxel (x, y, z) at or below a position, fractions beyond it, and the sign of ``mirror``.

    Voxels count from frequency 0 along x, which has no negative half, and from ``center`` before it along y and z.
    """
    f4 = np.float32
    (x, y, z), sign = mirror(position)
    middle = f4(center)
    # Truncation of a positive number is its floor; the fraction keeps full precision.
    x0, y0, z0 = np.int32(x), np.int32(y + middle), np.int32(z + middle)
    return (x0, y0, z0), (x - f4(x0), y - (f4(y0) - middle), z - (f4(z0) - middle)), sign


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def weigh(wide, polynomials, fractions):
    """Taps along x, y and z: four an axis if ``wide``, a compile-time constant, otherwise two."""
    if wide:
        x_taps = wide_taps(polynomials, fractions[0])
        y_taps = wide_taps(polynomials, fractions[1])
        z_taps = wide_taps(polynomials, fractions[2])
    else:
        x_taps = linear_taps(fractions[0])
        y_taps = linear_taps(fractions[1])
        z_taps = linear_taps(fractions[2])
    return x_taps, y_taps, z_taps


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def gather_voxel(grid, stride, plane_step, row_step, place, center, center_x, taken):
    """Write the ``stride`` floats (re, im of each volume) at position ``place`` (x, y, z) index units to ``taken``.

    ``grid`` is flat float32, ``plane_step`` and ``row_step`` the floats (uint64) from one plane and row to the next,
    ``center`` and ``center_x`` the index of frequency 0. Where x < 0 the Friedel mate is read and conjugated.
    Inlined: as a function call it costs its callers a fifth of their time.
    """
    u8 = np.uint64
    step = u8(stride)
    (x0, y0, z0), fractions, sign = locate(place, center)
    x_taps, y_taps, z_taps = weigh(0, fractions, fractions)
    at = u8(z0) * plane_step + u8(y0) * row_step + u8(x0 + center_x) * step
    to = u8(0)
    for _ in range(stride // 16):
        gather(16, 2, 0, grid, at, plane_step, row_step, step, x_taps, y_taps, z_taps, sign, taken, to)
        at += u8(16)
        to += u8(16)
    if stride & 8:
        gather(8, 2, 0, grid, at, plane_step, row_step, step, x_taps, y_taps, z_taps, sign, taken, to)
        at += u8(8)
        to += u8(8)
    if stride & 4:
        gather(4, 2, 0, grid, at, plane_step, row_step, step, x_taps, y_taps, z_taps, sign, taken, to)
        at += u8(4)
        to += u8(4)
    if stride & 2:
        gather(2, 2, 0, grid, at, plane_step, row_step, step, x_taps, y_taps, z_taps, sign, taken, to)
