"""Split and merge, which iterations cannot do: an empty class takes part of a mixed one, two similar ones merge.

Decided by the particles' coordinates (n, d) along their principal volumes (``principal``), where noise is about
isotropic. For a class of equal particles noise explains the variance along its longest axis,

    λ_1 ≤ (1 + √(d / N))² · λ̄        (Marchenko & Pastur 1967; λ̄ the mean of the other eigenvalues),

and any excess is the *spread*, N (λ_1 − λ̄), explained by a cut across that axis. The *distance* of two classes is
the spread that merging them would add, N_k N_l / (N_k + N_l) · |x_k − x_l|², minus the part that noise adds.
Source of the idea: Ueda et al., Neural Computation 12 (2000) 2109 (split and merge EM).
"""

import numpy as np
from jaxtyping import Float, Int

_SPARSE = 2
"""A class with fewer particles than this times the number of coordinates is not analysed."""
_HOPE = 2.0
"""Two classes merge if the spread explained by a cut, times this, exceeds their distance: at a resolution
beyond that of the coordinates the cut may explain more."""


def split_into_empty(
    posteriors: Float[np.ndarray, "n k"], empty: Int[np.ndarray, "_"], coordinates: Float[np.ndarray, "n d"]
) -> tuple[Float[np.ndarray, "n k"], int]:
    """Responsibilities (n, k) after each empty class took half of the class of largest spread; number of such
    classes.

    Classes no wider than noise explains are not split, and empty classes without such a class stay empty.
    """
    posteriors = posteriors.copy()
    moved = 0
    posteriors[:, empty] = 0
    spreads = [_measure_spread(weights, coordinates)[0] for weights in posteriors.T]
    for target in empty:
        source = int(np.argmax(spreads))
        if spreads[source] <= 0:
            break
        _cut(posteriors, source, int(target), coordinates)
        for part in (source, int(target)):
            spreads[part] = _measure_spread(posteriors[:, part], coordinates)[0]
        moved += 1
    left = posteriors.sum(axis=1, keepdims=True)
    uniform = np.full_like(posteriors, 1 / posteriors.shape[1])
    return np.where(left > 0, posteriors / np.maximum(left, 1e-30), uniform).astype(np.float32), moved


def merge_and_split(
    posteriors: Float[np.ndarray, "n k"], coordinates: Float[np.ndarray, "n d"]
) -> tuple[Float[np.ndarray, "n k"], int]:
    """Responsibilities (n, k) after merging the two nearest classes and splitting the widest, and 1; 0 if no gain."""
    spreads = np.array([_measure_spread(weights, coordinates)[0] for weights in posteriors.T])
    apart = _measure_distances(posteriors, coordinates)
    source = int(np.argmax(spreads))
    apart[source], apart[:, source] = np.inf, np.inf
    first, second = np.unravel_index(int(np.argmin(apart)), apart.shape)
    if not _HOPE * spreads[source] > max(float(apart[first, second]), 0):
        return posteriors, 0
    posteriors = posteriors.copy()
    posteriors[:, first] += posteriors[:, second]
    posteriors[:, second] = 0
    _cut(posteriors, source, int(second), coordinates)
    return posteriors, 1


def _measure_spread(
    weights: Float[np.ndarray, "n"], coordinates: Float[np.ndarray, "n d"]
) -> tuple[float, Float[np.ndarray, "d"], Float[np.ndarray, "d"]]:
    """Spread of a class (0 if noise explains it), its centre and its longest axis."""
    number, d = float(weights.sum()), coordinates.shape[1]
    centre = weights @ coordinates / max(number, 1e-9)
    if d < 2 or number < _SPARSE * d:
        return 0.0, centre, np.eye(d)[0]
    away = coordinates - centre
    values, axes = np.linalg.eigh((away * weights[:, None]).T @ away / number)
    others = float(values[:-1].mean())
    wide = values[-1] > (1 + np.sqrt(d / number)) ** 2 * others
    return (number * (float(values[-1]) - others) if wide else 0.0), centre, axes[:, -1]


def _measure_distances(
    posteriors: Float[np.ndarray, "n k"], coordinates: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, "k k"]:
    """Distances of classes, infinite on the diagonal and for classes without particles."""
    numbers = posteriors.sum(axis=0, dtype=np.float64)
    centres = posteriors.T @ coordinates / np.maximum(numbers, 1e-9)[:, None]
    noise = np.median(((coordinates - posteriors @ centres) ** 2).sum(axis=1))
    squared = ((centres[:, None] - centres) ** 2).sum(axis=-1)
    inverse = 1 / np.maximum(numbers, 1e-9)
    sums = inverse[:, None] + inverse
    apart = squared / sums - noise
    nothing = numbers < 1
    apart[nothing], apart[:, nothing] = np.inf, np.inf
    np.fill_diagonal(apart, np.inf)
    return apart


def _cut(
    posteriors: Float[np.ndarray, "n k"], source: int, target: int, coordinates: Float[np.ndarray, "n d"]
) -> None:
    """Move to ``target`` the part of ``source`` on one side of its centre, across its longest axis. In place."""
    _, centre, axis = _measure_spread(posteriors[:, source], coordinates)
    beyond = (coordinates - centre) @ axis > 0
    posteriors[beyond, target] += posteriors[beyond, source]
    posteriors[beyond, source] = 0
