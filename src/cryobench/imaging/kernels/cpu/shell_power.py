"""Power of packed spectra shell by shell, compiled: one pass, no intermediate arrays, in double precision."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def add_shell_power(parts, shells, weights, totals, first, last):
    """Add w |v|² of rows ``first`` … ``last`` of values (n, p, parts), float32, to ``totals`` (n, shells) float64."""
    count, width = parts.shape[1], parts.shape[2]
    for i in range(first, last):
        for p in range(count):
            square = np.float64(0)
            for part in range(width):
                value = np.float64(parts[i, p, part])
                square += value * value
            totals[i, shells[p]] += weights[p] * square
