"""Distributions of the collective variables: histograms of each, and the first two against each other."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cryobench._sampling import spread_indices
from cryobench.data import Dataset
from cryobench.report.axes import TruthAxis
from cryobench.report.card.state_list import collective_axes

MOST_VARIABLES = 12
"""Variables drawn; the table of states has all."""
MOST_BARS = 36
MOST_POINTS = 4_000


@dataclass(frozen=True, eq=False)
class Histogram:
    """Particles by value of one collective variable: in equal bins, or at each distinct value if there are few."""

    axis: TruthAxis
    centres: np.ndarray
    counts: np.ndarray
    width: float
    """Width of a bar."""

    @property
    def turn(self) -> tuple[float, float]:
        """Limits of the axis: one whole period, or the outer edges of the bars if the variable is not periodic."""
        half = self.width / 2
        if self.axis.period is None:
            return float(self.centres[0]) - half, float(self.centres[-1]) + half
        start = _start_of_turn(self.centres, self.axis.period)
        return start, start + self.axis.period

    @property
    def bars(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres and counts of the bars to draw: one across an end of the period is also at the other end."""
        if self.axis.period is None:
            return self.centres, self.counts
        (low, high), reach = self.turn, 0.49 * self.width
        first, last = self.centres - reach < low, self.centres + reach > high
        centres = [self.centres, self.centres[first] + self.axis.period, self.centres[last] - self.axis.period]
        return np.concatenate(centres), np.concatenate([self.counts, self.counts[first], self.counts[last]])


def variable_axes(dataset: Dataset) -> list[TruthAxis]:
    """The collective variables that differ between particles, in order."""
    if dataset.truth is None:
        return []
    axes = collective_axes(dataset.truth)
    return [axis for axis in axes if np.unique(axis.values[np.isfinite(axis.values)]).size > 1]


def variable_histograms(dataset: Dataset) -> list[Histogram]:
    """Histograms of the first ``MOST_VARIABLES`` variables, over the particles where they are known."""
    return [_histogram(axis) for axis in variable_axes(dataset)[:MOST_VARIABLES]]


def _histogram(axis: TruthAxis) -> Histogram:
    values = axis.values[np.isfinite(axis.values)]
    limits = (values.min(), values.max())
    if axis.period is not None:
        start = _start_of_turn(values, axis.period)
        limits = (start, start + axis.period)
        values = np.mod(values - start, axis.period) + start
    centres, counts = np.unique(np.round(values, 6), return_counts=True)
    if len(centres) <= MOST_BARS:
        # Values may be close together: no bar is too thin to be seen.
        return Histogram(axis, centres, counts, max(float(np.diff(centres).min()), float(np.ptp(centres)) / 60))
    counts, edges = np.histogram(values, bins=MOST_BARS, range=limits)
    return Histogram(axis, (edges[:-1] + edges[1:]) / 2, counts, float(edges[1] - edges[0]))


def _start_of_turn(values: np.ndarray, period: float) -> float:
    """Start of the period shown: 0, or half a period below 0 if there are negative values."""
    return 0.0 if values.min() >= 0 else -period / 2


def variable_pair(dataset: Dataset) -> pd.DataFrame | None:
    """The first two variables of at most ``MOST_POINTS`` evenly spaced particles: columns particle, first, second.

    Their titles are in ``attrs["titles"]``. None if there are fewer than two, or no particle has both.
    """
    axes = variable_axes(dataset)[:2]
    if len(axes) < 2:
        return None
    known = np.flatnonzero(np.isfinite(axes[0].values) & np.isfinite(axes[1].values))
    if not len(known):
        return None
    shown = known[spread_indices(len(known), MOST_POINTS)]
    table = pd.DataFrame({"particle": shown, "first": axes[0].values[shown], "second": axes[1].values[shown]})
    table.attrs["titles"] = [axis.title for axis in axes]
    return table
