"""Evenly spaced samples of long tables."""

import numpy as np
from jaxtyping import Int


def spread_indices(count: int, most: int, *, nearest: bool = False) -> Int[np.ndarray, "m"]:
    """At most ``most`` of ``count`` indices, evenly spaced, ends included; rounded down, or to the nearest.

    For samples that define a data set ``recipes.spread`` has the same in integer arithmetic.
    """
    positions = np.linspace(0, count - 1, min(count, most))
    return np.unique((positions.round() if nearest else positions).astype(np.int64))
