"""All interleaved volumes at one place of a half-grid, by the trilinear kernel: what kernels over K volumes share."""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.simd import gather
from cryobench.imaging.kernels.cpu.taps import FLAGS, linear_taps


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def turn(r, kx, ky):
    """Place (x, y, z) in the volume of the point (kx, ky) of a slice: rows of R times (kx, ky, 0)."""
    return kx * r[0, 0] + ky * r[1, 0], kx * r[0, 1] + ky * r[1, 1], kx * r[0, 2] + ky * r[1, 2]


@njit(nogil=True, cache=True, fastmath=FLAGS, inline="always")
def gather_voxel(grid, stride, plane_step, row_step, place, center, center_x, taken):
    """Write the ``stride`` floats (re, im of each volume) at ``place`` (x, y, z) index units to ``taken``.

    ``grid`` is flat float32, ``plane_step`` and ``row_step`` the floats (uint64) from one plane and row to the next,
    ``center`` and ``center_x`` the index of frequency 0. Where x < 0 the mate is read and conjugated. Inlined: called
    as a function it costs its callers a fifth of their time.
    """
    f4, u8 = np.float32, np.uint64
    x, y, z = place
    sign = f4(1)
    if x < f4(0):
        sign = f4(-1)
        x, y, z = -x, -y, -z
    step, middle = u8(stride), f4(center)
    x0, y0, z0 = np.int32(x), np.int32(y + middle), np.int32(z + middle)
    x_taps = linear_taps(x - f4(x0))
    y_taps = linear_taps(y - (f4(y0) - middle))
    z_taps = linear_taps(z - (f4(z0) - middle))
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
