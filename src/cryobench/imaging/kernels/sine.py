"""Sine for compiled loops: a polynomial without branches or calls, which the compiler vectorises.

Nothing in it is fused or reordered, so its bits are the same on every machine; accurate to 1e-7.
"""

import numba
import numpy as np

_f4 = np.float32
_QUARTER = _f4(0.25)
_ROUNDING = _f4(1.5 * 2**23)
# sin 2πt = t P(t²) for |t| ≤ ¼, starting from the constant of P: a least-squares fit at Chebyshev nodes.
_SINE = (_f4(6.2831855), _f4(-41.341682), _f4(81.602478), _f4(-76.581284), _f4(39.760723))


@numba.njit(cache=True, inline="always")
def sine_of_turns(turns):
    """Sine of 2π times float32 ``turns`` from −½ to 1."""
    folded = _QUARTER - abs(turns - _QUARTER)
    folded = abs(folded + _QUARTER) - _QUARTER
    square = folded * folded
    return folded * (_SINE[0] + square * (_SINE[1] + square * (_SINE[2] + square * (_SINE[3] + square * _SINE[4]))))


@numba.njit(cache=True, inline="always")
def wrap_turns(turns):
    """The same angle between −½ and ½, of float32 below 2²² turns."""
    return turns - ((turns + _ROUNDING) - _ROUNDING)
