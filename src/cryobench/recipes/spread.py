"""Evenly spread selection in integer arithmetic: products of fractions round differently on other processors."""

from fractions import Fraction

import numpy as np
from jaxtyping import Int


def spread_evenly(count: int, wanted: int, *, nearest: bool = False) -> Int[np.ndarray, "m"]:
    """``wanted`` indices of ``count`` (all if there are fewer), ends included; rounded down, or to the nearest."""
    wanted = min(wanted, count)
    if wanted < 2:
        return np.arange(wanted)
    exact = [Fraction(step * (count - 1), wanted - 1) for step in range(wanted)]
    return np.array([round(each) if nearest else int(each) for each in exact], dtype=np.int64)
