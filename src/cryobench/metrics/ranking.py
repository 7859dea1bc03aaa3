"""Ranks of runs by one score, with ties: two runs tie when their items do not show a difference.

Two runs of a data set are scored on the same items (query particles, particles or states). Much of the spread of a
score comes from the items, which both runs have in common, so intervals of two scores may overlap although one run is
better on nearly every item. Runs are therefore compared by the *difference* over their common items: items are
resampled, the same for both, and the runs tie if the 95 % interval of the difference includes zero.

A score that is not a mean or median of its items (an index of agreement, a cost), or has fewer than two common items,
is compared by its own interval: runs tie if the two intervals overlap. There is no correction for the number of
runs: among many equal runs, one pair in twenty appears to differ. Ties are not transitive: hence a rank is a range.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 (paired data) and 13 (percentiles).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryobench.data import Score
from cryobench.metrics.uncertainty import RESAMPLES, resample_statistic


@dataclass(frozen=True)
class Difference:
    """One score minus another, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """Number of items compared in pairs; 0 where the scores were compared by their own intervals."""

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes zero: the scores differ."""
        return not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Rank:
    """Best and worst rank a run may have, counted from 1; equal if no other run ties with it."""

    first: int
    last: int

    @property
    def label(self) -> str:
        """ "1", or "1–3" for a tie."""
        return str(self.first) if self.first == self.last else f"{self.first}–{self.last}"


def compare_scores(one: Score, other: Score, *, statistic: Literal["mean", "median"] = "mean") -> Difference:
    """``one`` − ``other`` over their common items, with a paired bootstrap interval.

    ``statistic`` is how the items are reduced to the score (``ScoreKind.statistic``). ValueError if a value is NaN.
    """
    for score in (one, other):
        if np.isnan(score.value):
            raise ValueError(f"a score {score.metric} is NaN and cannot be compared.")
    paired = _pair_items(one, other, statistic)
    if paired is None:
        return Difference(one.value - other.value, one.low - other.high, one.high - other.low, 0)
    samples = resample_statistic(paired, statistic=statistic, resamples=RESAMPLES)
    low, high = np.quantile(samples[:, 0] - samples[:, 1], [0.025, 0.975])
    reduced = getattr(np, statistic)(paired, axis=0)
    return Difference(float(reduced[0] - reduced[1]), float(low), float(high), len(paired))


def rank_scores(
    scores: Sequence[Score | None],
    *,
    better: Literal["higher", "lower"],
    statistic: Literal["mean", "median"] = "mean",
) -> list[Rank | None]:
    """Rank of every run by one of its scores, in the order given; None where it was not measured (None or NaN).

    ``first`` is one more than the number of runs shown to be better, ``last`` excludes those shown to be worse.
    ``better`` and ``statistic`` are those of the ``ScoreKind``.
    """
    measured = [
        (index, score) for index, score in enumerate(scores) if score is not None and not np.isnan(score.value)
    ]
    above = {index: 0 for index, _ in measured}
    below = dict(above)
    for (index, one), (rival, other) in combinations(measured, 2):
        difference = compare_scores(one, other, statistic=statistic)
        if difference.is_significant:
            winner, loser = (index, rival) if (difference.low > 0) == (better == "higher") else (rival, index)
            above[loser] += 1
            below[winner] += 1
    return [
        Rank(above[index] + 1, len(measured) - below[index]) if index in above else None
        for index in range(len(scores))
    ]


def _pair_items(one: Score, other: Score, statistic: Literal["mean", "median"]) -> Float[np.ndarray, "n 2"] | None:
    """Values (n, 2) of the common items; None if the score is not a statistic of its items."""
    columns = []
    for score in (one, other):
        key = next((name for name in ("particle", "state") if name in score.items), None)
        values = score.items["value"].to_numpy(dtype=np.float64)
        if key is None or score.items[key].duplicated().any() or not np.isfinite(values).all():
            return None
        if not np.isclose(getattr(np, statistic)(values), score.value, rtol=1e-6, atol=1e-9):
            return None
        columns.append(pd.Series(values, index=pd.Index(score.items[key], name=key)))
    if columns[0].index.name != columns[1].index.name:
        return None
    shared = pd.concat(columns, axis=1, join="inner").to_numpy()
    return shared if len(shared) >= 2 else None
