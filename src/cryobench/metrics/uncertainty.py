"""Percentile bootstrap intervals of scores over query particles.

The interval shows how the value would vary had other query particles been drawn from the same data set. It does
not contain the variation between runs of a method or between data sets, nor a bias common to all queries.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (the percentile interval).
"""

from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from cryobench.data import Score
from cryobench.rng import stream

RESAMPLES = 2000
"""Bootstrap samples: the ends of a 95 % interval then rest on about 50 samples each."""
_BLOCK = 4_000_000
"""Numbers drawn at once: 32 MB."""


def bootstrap_interval(
    values: Shaped[np.ndarray, "q"],
    *,
    seed: int = 0,
    statistic: Literal["mean", "median"] = "mean",
    coverage: float = 0.95,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Ends of the percentile bootstrap interval of the mean or median of ``values`` (q,).

    The same seed and values give the same interval. With a single value both ends are that value, which does not
    measure its uncertainty: report the number of items with every interval.

    Raises
    ------
    ValueError
        If there are no values, one is NaN or infinite, or the coverage is not between 0 and 1.
    """
    values = _check_finite(values)
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must lie between 0 and 1, got {coverage}.")
    samples = resample_statistic(values[:, None], statistic=statistic, seed=seed, resamples=resamples)[:, 0]
    # The mean of equal numbers can be off by one rounding: keep the interval inside the range of the values.
    samples = np.clip(samples, values.min(), values.max())
    low, high = np.quantile(samples, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def _check_finite(values: np.ndarray) -> np.ndarray:
    """The values, float64. ValueError if there are none, or one is not finite."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"a bootstrap interval needs finite values, got {len(values)} of which "
            f"{int((~np.isfinite(values)).sum())} are not finite."
        )
    return values


def resample_statistic(
    rows: Float[np.ndarray, "n d"],
    *,
    statistic: Literal["mean", "median"] = "mean",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Float[np.ndarray, "r d"]:
    """Mean or median (resamples, d) of every column of bootstrap resamples of the rows, block by block."""
    generator = stream(seed, "bootstrap")
    block = max(1, _BLOCK // max(rows.size, 1))
    reduce = getattr(np, statistic)
    samples = np.empty((resamples, rows.shape[1]))
    for start in range(0, resamples, block):
        # Drawn in blocks, the numbers equal those of a single draw.
        drawn = generator.integers(len(rows), size=(min(block, resamples - start), len(rows)))
        for column in range(rows.shape[1]):
            samples[start : start + block, column] = reduce(rows[:, column][drawn], axis=1)
    return samples


def summarise(
    metric: str, items: pd.DataFrame, *, seed: int = 0, statistic: Literal["mean", "median"] = "mean"
) -> Score:
    """Score from a table with one row per query particle and a column ``value``: statistic and 95 % interval."""
    values = items["value"].to_numpy(dtype=np.float64)
    low, high = bootstrap_interval(values, seed=seed, statistic=statistic)
    value = float(np.clip(getattr(np, statistic)(values), values.min(), values.max()))
    return Score(metric=metric, value=value, low=low, high=high, n=len(values), items=items)


def interval_over_groups(
    values: Shaped[np.ndarray, "q"], groups: Shaped[np.ndarray, "q"], *, seed: int = 0
) -> tuple[float, float]:
    """Ends of the 95 % percentile bootstrap interval of the mean of ``values`` (q,) when whole groups are resampled.

    Query particles of one state have the same volume; resampled by state, the interval shows how the mean would vary
    with other states in the data set. With one group both ends are the mean. Errors as ``bootstrap_interval``.
    """
    values = _check_finite(values)
    if len(groups) != len(values):
        raise ValueError(f"each value needs a group, got {len(values)} values and {len(groups)} groups.")
    _, members = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(members, weights=values), np.bincount(members)
    drawn = stream(seed, "bootstrap").integers(len(counts), size=(RESAMPLES, len(counts)))
    samples = np.clip(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), values.min(), values.max())
    low, high = np.quantile(samples, [0.025, 0.975])
    return float(low), float(high)
