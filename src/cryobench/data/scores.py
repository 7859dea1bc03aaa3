"""``Scores``: what metrics say of one reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True, eq=False)
class Score:
    """One metric of one reconstruction: a value with its interval, and the items it is the mean of."""

    metric: str
    """Name, such as "fsc-auc"."""
    value: float
    low: float
    """Lower end of the 95 % bootstrap interval."""
    high: float
    """Upper end."""
    n: int
    """Number of items."""
    items: pd.DataFrame
    """One row per item (query particle): at least the columns ``particle`` and ``value``."""


@dataclass(frozen=True, eq=False)
class Scores:
    """All scores of one reconstruction."""

    scores: Mapping[str, Score]
    curves: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Named tables behind the scores, such as the FSC curve of every query particle."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What they were taken with: mask hash, data set hash, version."""

    def __getitem__(self, metric: str) -> Score:
        return self.scores[metric]
