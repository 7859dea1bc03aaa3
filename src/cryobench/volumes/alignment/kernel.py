"""Compiled sampling of a volume's spectrum between grid points, and the correlation of two spectra with its slopes.

The spectrum is in the layout of ``alignment.spectrum``: half of it (x ≥ 0) with a border, ``centre`` being the index
of frequency 0 on z and y, index 1 that on x. It is read with cubic B-splines, 4 x 4 x 4 taps. Sums are made in double
precision, in one order, by one thread: the bits depend on nothing else. All functions release the GIL.
"""

import math

import numpy as np
from numba import njit

_FLAGS = {"contract", "nsz"}
_TERMS = 6
SUMS = 1 + _TERMS + _TERMS * (_TERMS + 1) // 2
"""Length of the output of ``accumulate``: the sum, its gradient, the upper triangle of the curvature."""


@njit(nogil=True, cache=True, inline="always", fastmath=_FLAGS)
def _fill_taps(fraction, weights, slopes):
    """Cubic B-spline and its derivative at the four grid points around a fractional coordinate."""
    t = fraction
    u = np.float32(1) - t
    sixth = np.float32(1 / 6)
    half = np.float32(0.5)
    weights[0] = sixth * u * u * u
    weights[1] = sixth * (t * t * (np.float32(3) * t - np.float32(6)) + np.float32(4))
    weights[2] = sixth * (u * u * (np.float32(3) * u - np.float32(6)) + np.float32(4))
    weights[3] = sixth * t * t * t
    slopes[0] = -half * u * u
    slopes[1] = half * t * (np.float32(3) * t - np.float32(4))
    slopes[2] = half * u * (np.float32(4) - np.float32(3) * u)
    slopes[3] = half * t * t


@njit(nogil=True, cache=True, fastmath=_FLAGS)
def _read(grid, centre, x, y, z, taps, found):
    """Value and derivatives by x, y, z into ``found`` (4 pairs of real and imaginary part)."""
    sign = np.float32(1)
    if x < 0:
        x, y, z = -x, -y, -z
        sign = np.float32(-1)
    first_x, first_y, first_z = math.floor(x), math.floor(y), math.floor(z)
    _fill_taps(np.float32(x - first_x), taps[0], taps[1])
    _fill_taps(np.float32(y - first_y), taps[2], taps[3])
    _fill_taps(np.float32(z - first_z), taps[4], taps[5])
    column = 2 * first_x
    row = first_y + centre - 1
    plane = first_z + centre - 1
    zero = np.float32(0)
    v_re = v_im = dx_re = dx_im = dy_re = dy_im = dz_re = dz_im = zero
    for k in range(4):
        a_re = a_im = ax_re = ax_im = ay_re = ay_im = zero
        for j in range(4):
            line = grid[plane + k, row + j]
            b_re = b_im = bx_re = bx_im = zero
            for i in range(4):
                re = line[column + 2 * i]
                im = line[column + 2 * i + 1]
                b_re += taps[0, i] * re
                b_im += taps[0, i] * im
                bx_re += taps[1, i] * re
                bx_im += taps[1, i] * im
            a_re += taps[2, j] * b_re
            a_im += taps[2, j] * b_im
            ax_re += taps[2, j] * bx_re
            ax_im += taps[2, j] * bx_im
            ay_re += taps[3, j] * b_re
            ay_im += taps[3, j] * b_im
        v_re += taps[4, k] * a_re
        v_im += taps[4, k] * a_im
        dx_re += taps[4, k] * ax_re
        dx_im += taps[4, k] * ax_im
        dy_re += taps[4, k] * ay_re
        dy_im += taps[4, k] * ay_im
        dz_re += taps[5, k] * a_re
        dz_im += taps[5, k] * a_im
    # F(-k) is the conjugate of F(k), so its derivative is minus the conjugate.
    found[0] = v_re
    found[1] = sign * v_im
    found[2] = sign * dx_re
    found[3] = dx_im
    found[4] = sign * dy_re
    found[5] = dy_im
    found[6] = sign * dz_re
    found[7] = dz_im


@njit(nogil=True, cache=True, fastmath=_FLAGS)
def sample(grid, centre, padding, positions, values):
    """Spectrum at frequencies (p, 3) in index units of the box, as pairs (p, 2) into ``values``."""
    taps = np.empty((6, 4), np.float32)
    found = np.empty(8, np.float32)
    for p in range(len(positions)):
        x, y, z = positions[p, 0] * padding, positions[p, 1] * padding, positions[p, 2] * padding
        _read(grid, centre, x, y, z, taps, found)
        values[p, 0] = found[0]
        values[p, 1] = found[1]


@njit(nogil=True, cache=True, fastmath=_FLAGS)
def accumulate(grid, centre, padding, matrix, shift, points, targets, curvatures, penalty, sums):
    """Add to ``sums`` Σ Re(target · V'(k)) − penalty/2 · curvature |V'(k)|², its gradient and a curvature.

    Over integer k (p, 3), with V'(k) = exp(-2πi k·shift) V(k matrix), shift as a fraction of the box. The gradient's
    parameters are a rotation vector ω (radian), by which the matrix becomes exp([ω]) matrix, and the shift. With J
    the derivative of V' the curvature is Σ curvature Re(conj(J) J), row after row of the upper triangle.
    """
    taps = np.empty((6, 4), np.float32)
    found = np.empty(8, np.float32)
    jacobian = np.empty((2, 6), np.float64)
    two_pi = 2 * math.pi
    for p in range(len(points)):
        kx, ky, kz = np.float64(points[p, 0]), np.float64(points[p, 1]), np.float64(points[p, 2])
        x = (kx * matrix[0, 0] + ky * matrix[1, 0] + kz * matrix[2, 0]) * padding
        y = (kx * matrix[0, 1] + ky * matrix[1, 1] + kz * matrix[2, 1]) * padding
        z = (kx * matrix[0, 2] + ky * matrix[1, 2] + kz * matrix[2, 2]) * padding
        _read(grid, centre, x, y, z, taps, found)
        angle = -two_pi * (kx * shift[0] + ky * shift[1] + kz * shift[2])
        # Target and phase in one: Re(target · phase · number).
        cosine, sine = math.cos(angle), math.sin(angle)
        t_re = targets[p, 0] * cosine - targets[p, 1] * sine
        t_im = targets[p, 0] * sine + targets[p, 1] * cosine
        weight = curvatures[p]
        pull = penalty * weight
        sums[0] += t_re * found[0] - t_im * found[1]
        sums[0] -= 0.5 * pull * (found[0] * found[0] + found[1] * found[1])
        # The derivative of |V'|² / 2 is Re(conj(V') J): one more target. A shift does not change it.
        q_re, q_im = t_re - pull * found[0], t_im + pull * found[1]
        for part in range(2):
            dx, dy, dz = found[2 + part], found[4 + part], found[6 + part]
            gx = (matrix[0, 0] * dx + matrix[0, 1] * dy + matrix[0, 2] * dz) * padding
            gy = (matrix[1, 0] * dx + matrix[1, 1] * dy + matrix[1, 2] * dz) * padding
            gz = (matrix[2, 0] * dx + matrix[2, 1] * dy + matrix[2, 2] * dz) * padding
            # k becomes k + k x ω, so the derivative by ω is the gradient crossed with k.
            jacobian[part, 0] = gy * kz - gz * ky
            jacobian[part, 1] = gz * kx - gx * kz
            jacobian[part, 2] = gx * ky - gy * kx
        jacobian[0, 3] = two_pi * kx * found[1]
        jacobian[0, 4] = two_pi * ky * found[1]
        jacobian[0, 5] = two_pi * kz * found[1]
        jacobian[1, 3] = -two_pi * kx * found[0]
        jacobian[1, 4] = -two_pi * ky * found[0]
        jacobian[1, 5] = -two_pi * kz * found[0]
        at = 1 + 6
        for a in range(6):
            re, im = jacobian[0, a], jacobian[1, a]
            sums[1 + a] += q_re * re - q_im * im
            for b in range(a, 6):
                sums[at] += weight * (re * jacobian[0, b] + im * jacobian[1, b])
                at += 1
