"""``Scores``: results of the metrics for one reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cryobench._display import Displayed


@dataclass(frozen=True, eq=False, repr=False)
class Score(Displayed):
    """One metric of one reconstruction: a value with its interval, and the items behind it."""

    metric: str
    """Name, such as "fsc-auc"."""
    value: float
    low: float
    """Lower end of the 95 % bootstrap interval; the value itself where there is none."""
    high: float
    """Upper end of the interval."""
    n: int
    """Number of particles or other things measured."""
    items: pd.DataFrame
    """One row per item, with at least the column ``value``, and ``particle`` or ``state`` where items are such."""


@dataclass(frozen=True, eq=False, repr=False)
class Scores(Displayed):
    """All scores of one reconstruction."""

    scores: Mapping[str, Score]
    curves: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Named tables behind the scores, such as the FSC curve of every query particle."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """Conditions of the measurement: mask hash, data set, version."""

    def describe(self) -> list[tuple[str, str]]:
        """Pairs of score name and value with interval."""
        return [
            (name, f"{score.value:.4g} [{score.low:.4g}, {score.high:.4g}]") for name, score in self.scores.items()
        ]

    def __getitem__(self, metric: str) -> Score:
        return self.scores[metric]
