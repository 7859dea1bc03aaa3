"""Tap weights of a fractional coordinate, for the compiled kernels."""

import numpy as np
from numba import njit

FLAGS = {"contract", "nsz"}
"""Multiply-adds may be fused. Sums are not reordered: that would cost the fractional coordinates their precision."""


@njit(nogil=True, cache=True, fastmath=FLAGS)
def linear_taps(fraction):
    """Weights of the two taps at a fractional coordinate."""
    return np.float32(1) - fraction, fraction


@njit(nogil=True, cache=True, fastmath=FLAGS)
def wide_taps(coefficients, fraction):
    """Weights of the four taps at a fractional coordinate: mirrored taps have parts of their polynomial in common."""
    t = fraction - np.float32(0.5)
    s = t * t
    c = coefficients[0]
    even = ((c[1] * s + c[3]) * s + c[5]) * s + c[7]
    odd = (((c[0] * s + c[2]) * s + c[4]) * s + c[6]) * t
    c = coefficients[1]
    even_inner = ((c[1] * s + c[3]) * s + c[5]) * s + c[7]
    odd_inner = (((c[0] * s + c[2]) * s + c[4]) * s + c[6]) * t
    return even + odd, even_inner + odd_inner, even_inner - odd_inner, even - odd
