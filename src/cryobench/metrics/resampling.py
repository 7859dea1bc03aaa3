"""Bootstrap over 100,000 particles: resampled tables, means and medians without resampled copies.

A score needs little of a resample, and this is drawn directly: the count of each cell of a table, the count of each
particle, or the order statistics on which the median falls. All three follow the distribution of the
plain bootstrap exactly.

A resample holds copies of particles, and a copy agrees with itself: this raises indices of agreement, and the
noise raises distances between distributions. The samples of such scores are therefore shifted to have their mean at
the value before the ends of the interval are read off (``centred_interval``).

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 10 (bias) and 13 (percentiles).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from cryobench.metrics.uncertainty import RESAMPLES
from cryobench.rng import stream

_BLOCK = 20_000_000
"""Numbers held at once: 160 MB."""


def resample_table(
    counts: Int[np.ndarray, "cells"],
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> np.ndarray:
    """A statistic of bootstrap resamples of particles that are counted in cells.

    Parameters
    ----------
    counts
        (cells,) particles in each cell; in every resample as many are drawn with replacement.
    statistic
        Maps counts (m, cells) of m resamples to values (m, ...).

    Returns
    -------
    (resamples, ...).
    """
    generator = stream(seed, "bootstrap")
    total = int(counts.sum())
    block = max(1, _BLOCK // max(len(counts), 1))
    fractions = counts / total
    return np.concatenate(
        [
            statistic(generator.multinomial(total, fractions, size=min(block, resamples - start)))
            for start in range(0, resamples, block)
        ]
    )


def resample_means(
    rows: Float[np.ndarray, "n d"],
    *,
    groups: Int[np.ndarray, "n"] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Float[np.ndarray, "r d"]:
    """Means (resamples, d) over bootstrap resamples of the n rows (n, d), one per particle.

    ``groups`` (n,) marks equal rows: rows of one group must be equal, and only their number is then drawn.
    """
    n = len(rows)
    if groups is not None:
        _, first, counts = np.unique(groups, return_index=True, return_counts=True)
        return resample_table(counts, lambda hits: hits @ rows[first] / n, seed=seed, resamples=resamples)
    generator = stream(seed, "bootstrap")
    block = max(1, min(64, _BLOCK // n))
    means = []
    for start in range(0, resamples, block):
        hits = np.empty((min(block, resamples - start), n), dtype=rows.dtype)
        for row in hits:
            row[:] = np.bincount(generator.integers(n, size=n), minlength=n)
        means.append(hits @ rows / n)
    return np.concatenate(means)


def resample_medians(
    values: Float[np.ndarray, "n"], *, seed: int = 0, resamples: int = RESAMPLES
) -> Float[np.ndarray, "r"]:
    """Medians (resamples,) of bootstrap resamples of ``values`` (n,).

    The k-th smallest of n numbers drawn from the sorted values is the value at the k-th smallest of n uniform
    numbers, which is Beta(k, n + 1 − k); given it, the excess of the next is the smallest of the n − k left.
    """
    generator = stream(seed, "bootstrap")
    n = len(values)
    ordered = np.sort(values)
    lower = (n + 1) // 2
    uniform = generator.beta(lower, n + 1 - lower, size=resamples)
    first = ordered[np.minimum((uniform * n).astype(np.int64), n - 1)]
    if n % 2:
        return first
    uniform = uniform + (1 - uniform) * generator.beta(1, n - lower, size=resamples)
    return (first + ordered[np.minimum((uniform * n).astype(np.int64), n - 1)]) / 2


def centred_interval(value: float, samples: np.ndarray, *, low: float, high: float) -> tuple[float, float]:
    """Ends of the 95 % interval of ``value``: percentiles of the samples, shifted so that their mean is the value.

    ``low`` and ``high`` are the least and greatest possible scores; the ends stay within them.
    """
    centred = value + samples - samples.mean()
    ends = np.quantile(centred, [0.025, 0.975])
    # Keeps a score at the edge of its range, or one that never varies, inside its own interval.
    return float(min(max(ends[0], low), value)), float(max(min(ends[1], high), value))
