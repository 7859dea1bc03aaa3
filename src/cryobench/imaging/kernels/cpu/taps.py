"""Pieces shared by the compiled kernels: tap weights and weighted sums over grid rows.

Indices into the grid are unsigned, so that numba adds no wrap-around check to a load. ``FLAGS`` let LLVM fuse and
reorder sums; nothing here relies on NaN, infinity or signed zero.
"""

import numpy as np
from numba import njit

FLAGS = {"contract", "reassoc", "nsz"}


@njit(nogil=True, cache=True, fastmath=FLAGS)
def linear_taps(fraction):
    """Weights of the two taps at a fractional coordinate."""
    return np.float32(1) - fraction, fraction


@njit(nogil=True, cache=True, fastmath=FLAGS)
def wide_taps(coefficients, fraction):
    """Weights of the four taps at a fractional coordinate: mirrored taps share the parts of their polynomial."""
    t = fraction - np.float32(0.5)
    s = t * t
    c = coefficients[0]
    even = ((c[1] * s + c[3]) * s + c[5]) * s + c[7]
    odd = (((c[0] * s + c[2]) * s + c[4]) * s + c[6]) * t
    c = coefficients[1]
    even_inner = ((c[1] * s + c[3]) * s + c[5]) * s + c[7]
    odd_inner = (((c[0] * s + c[2]) * s + c[4]) * s + c[6]) * t
    return even + odd, even_inner + odd_inner, even_inner - odd_inner, even - odd


@njit(nogil=True, cache=True, fastmath=FLAGS)
def mix_rows(values, index, row, w0, w1, w2, w3):
    """Weighted sum of the same float of four rows of a plane."""
    return (
        w0 * values[index]
        + w1 * values[index + row]
        + w2 * values[index + row + row]
        + w3 * values[index + row + row + row]
    )


@njit(nogil=True, cache=True, fastmath=FLAGS)
def mix_planes(values, index, plane, row, y_taps, z_taps):
    """Weighted sum of the same float of 4 × 4 rows."""
    y0, y1, y2, y3 = y_taps
    z0, z1, z2, z3 = z_taps
    second = index + plane
    third = second + plane
    fourth = third + plane
    return (
        z0 * mix_rows(values, index, row, y0, y1, y2, y3)
        + z1 * mix_rows(values, second, row, y0, y1, y2, y3)
        + z2 * mix_rows(values, third, row, y0, y1, y2, y3)
        + z3 * mix_rows(values, fourth, row, y0, y1, y2, y3)
    )
