"""Moves between classes that iterations do not find: an empty class takes part of a mixed one, two alike become one.

Judged by the particles' coordinates (n, d) along their principal volumes (``principal``), where noise is about the
same in every direction. A class of particles alike is as wide along its longest axis as noise makes it,

    λ_1 ≤ (1 + √(d / N))² · λ̄        (Marchenko & Pastur 1967; λ̄ the mean of the other eigenvalues),

and what it is longer by is the *spread*, N (λ_1 − λ̄), that a cut across that axis explains. Two classes are *apart*
by the spread that taking them together would add, N_k N_l / (N_k + N_l) · |x_k − x_l|², less what noise adds.
Source of the idea of such moves: Ueda et al., Neural Computation 12 (2000) 2109 (split and merge EM).
"""

import numpy as np

_SPARSE = 2
"""A class of fewer particles than this times the coordinates is not looked into."""
_HOPE = 2.0
"""Two classes are taken together if what a cut explains, times this, is more than they are apart: at a resolution
beyond that of the coordinates it may be."""


def split_into_empty(posteriors: np.ndarray, empty: np.ndarray, coordinates: np.ndarray) -> tuple[np.ndarray, int]:
    """Posteriors (n, k) after each empty class took half of the class of the largest spread, and how many did.

    Classes that are no wider than noise makes them are left whole, and classes that find no other to take from empty.
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


def merge_and_split(posteriors: np.ndarray, coordinates: np.ndarray) -> tuple[np.ndarray, int]:
    """Posteriors (n, k) after the two nearest classes became one and the widest two, and 1; 0 if that is hopeless."""
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


def _measure_spread(weights: np.ndarray, coordinates: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
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


def _measure_distances(posteriors: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """How far classes are apart (k, k), infinite on the diagonal and for classes without particles."""
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


def _cut(posteriors: np.ndarray, source: int, target: int, coordinates: np.ndarray) -> None:
    """Move to ``target`` what lies on one side of the middle of ``source``, across its longest axis. In place."""
    _, centre, axis = _measure_spread(posteriors[:, source], coordinates)
    beyond = (coordinates - centre) @ axis > 0
    posteriors[beyond, target] += posteriors[beyond, source]
    posteriors[beyond, source] = 0
