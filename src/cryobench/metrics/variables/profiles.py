"""True and recovered distribution of one variable: bins, free energies, distances, and their resamples.

Definitions of the scores, and the source of recovered values: ``metrics.variables.distributions``.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Num

from cryobench.metrics.labels.populations import population_divergence, smooth_populations
from cryobench.metrics.variables.neighbourhoods import Neighbourhoods
from cryobench.metrics.variables.transport import earth_movers_distance
from cryobench.rng import stream

MOST_BINS = 20
POPULATED = 10
"""Fewest true particles in a bin whose free energy is compared."""
FEWEST = 40
"""Fewest particles: two bins of 20."""
_RESAMPLES = 500
_CELLS = 1000
"""Steps of the grid on which resampled distances are computed."""


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of about equal width, from edge to edge; on a circle the first extends across the origin."""

    edges: Float[np.ndarray, "e"]
    """On a line, between bins; on a circle, the upper end of each."""
    low: Float[np.ndarray, "bins"]
    high: Float[np.ndarray, "bins"]
    period: float | None

    def count(
        self, values: Float[np.ndarray, "n"], weights: Float[np.ndarray, "n"] | None = None
    ) -> Num[np.ndarray, "bins"]:
        """Number of values in each bin, or the sum of their weights."""
        return np.bincount(self.assign(values), weights=weights, minlength=len(self.low))

    def assign(self, values: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """Bin of each value."""
        if self.period is None:
            return np.searchsorted(self.edges, values)
        return np.searchsorted(self.edges, np.mod(values, self.period)) % len(self.low)


def choose_bins(true_values: Float[np.ndarray, "n"], *, period: float | None = None) -> Bins:
    """Bins for these values, of 20 or more on average, edges in the gaps between distinct values."""
    n_bins = int(np.clip(len(true_values) // 20, 2, MOST_BINS))
    if period is None:
        distinct = np.unique(true_values)
        nominal = distinct[0] + (distinct[-1] - distinct[0]) * np.arange(1, n_bins) / n_bins
        edges = np.unique(_move_into_gaps(nominal, distinct))
        bounds = np.r_[distinct[0], edges, distinct[-1]]
    else:
        distinct = np.unique(np.mod(true_values, period))
        nominal = period * np.arange(n_bins) / n_bins
        edges = _move_into_gaps(nominal, np.r_[distinct[-1] - period, distinct, distinct[0] + period])
        edges = np.unique(np.mod(edges, period))
        bounds = np.r_[edges[-1] - period, edges]
    return Bins(edges, bounds[:-1], bounds[1:], period)


def _move_into_gaps(edges: np.ndarray, distinct: np.ndarray) -> np.ndarray:
    """Middle of the gap between sorted values in which each edge lies."""
    above = np.clip(np.searchsorted(distinct, edges, side="right"), 1, len(distinct) - 1)
    return (distinct[above - 1] + distinct[above]) / 2


def free_energy(counts: Num[np.ndarray, "bins"]) -> Float[np.ndarray, "bins"]:
    """−ln p in kT of each bin, half a particle added to each."""
    total = counts.sum()
    return -np.log(smooth_populations(counts / total, round(float(total))))


def compare_distributions(
    true_values: Float[np.ndarray, "n"],
    values: Float[np.ndarray, "m"],
    *,
    certainty: Float[np.ndarray, "m"] | None = None,
    period: float | None = None,
) -> dict[str, float]:
    """Scores of recovered values against true ones, named as in ``metrics.variables.distributions``.

    In addition "emd", the distance in the unit of the values, and "emd-of-mean", that of all mass at the true mean.

    Parameters
    ----------
    true_values, values
        (n,) of the same n particles, in any order.
    certainty
        (n,) fraction of each particle at its value, the rest being at the true mean; None for all of it.
    period
        Period of a circular variable; None for a line.

    Raises
    ------
    ValueError
        If the lengths differ, there are fewer than 40 values, one is not finite, or the true ones do not vary.
    """
    if len(true_values) != len(values) or len(values) < FEWEST:
        raise ValueError(
            f"there must be as many recovered as true values, {FEWEST} or more; "
            f"got {len(values)} and {len(true_values)}."
        )
    return Comparison(true_values, values, np.ones(len(values)) if certainty is None else certainty, period).measure()


class Comparison:
    """True and recovered distribution of one variable, scored as a whole and in resamples."""

    def __init__(
        self, true_values: np.ndarray, values: np.ndarray, certainty: np.ndarray, period: float | None
    ) -> None:
        if not (np.isfinite(true_values).all() and np.isfinite(values).all()):
            raise ValueError("values along a variable must be finite: leave out the other particles.")
        if not varies(true_values, period):
            raise ValueError("the true values are all the same: there is no distribution to recover.")
        self.true_values, self.values, self.certainty, self.period = true_values, values, certainty, period
        everywhere = Neighbourhoods(np.zeros(len(true_values), dtype=np.int64))
        self.centre = everywhere.average(true_values, period=period)[0][:1]
        self.floor = earth_movers_distance(true_values, self.centre, period=period)
        self.bins = choose_bins(true_values, period=period)

    def measure(self) -> dict[str, float]:
        """The scores, "emd" and "emd-of-mean"."""
        points = np.append(self.values, self.centre)
        masses = np.append(self.certainty, (1 - self.certainty).sum())
        emd = earth_movers_distance(self.true_values, points, second_weights=masses, period=self.period)
        counts = _compare_counts(self.bins.count(self.true_values), self.bins.count(points, masses))
        return {"emd": emd, "emd-of-mean": self.floor, "distribution-error": emd / self.floor, **counts}

    def resample(self, seed: int) -> np.ndarray:
        """Scores (resamples, 3) of bootstrap resamples of the particles, distances taken on a fine grid."""
        low = self.true_values.min() if self.period is None else 0.0
        length = np.ptp(self.true_values) if self.period is None else self.period

        def find_cells(values: np.ndarray) -> np.ndarray:
            along = values - low if self.period is None else np.mod(values, self.period)
            return np.clip((along / length * _CELLS).astype(np.int64), 0, _CELLS - 1)

        true_cells, cells, centre_cell = (find_cells(at) for at in (self.true_values, self.values, self.centre))
        true_bins, bins, centre_bin = (self.bins.assign(at) for at in (self.true_values, self.values, self.centre))
        generator, n, n_bins = stream(seed, "bootstrap"), len(self.values), len(self.bins.low)
        samples = np.empty((_RESAMPLES, 3))
        for row in samples:
            drawn = generator.integers(n, size=n)
            certainty = self.certainty[drawn]
            excess = np.bincount(true_cells[drawn], minlength=_CELLS).astype(np.float64)
            excess -= np.bincount(cells[drawn], weights=certainty, minlength=_CELLS)
            excess[centre_cell] -= n - certainty.sum()
            excess = np.cumsum(excess) / n
            if self.period is not None:
                excess -= np.median(excess)
            counts = np.bincount(bins[drawn], weights=certainty, minlength=n_bins)
            counts[centre_bin] += n - certainty.sum()
            compared = _compare_counts(np.bincount(true_bins[drawn], minlength=n_bins), counts)
            row[:] = np.abs(excess).mean() * length / self.floor, *compared.values()
        return samples

    def tabulate(self, name: str) -> pd.DataFrame:
        """Rows of the curve "profiles"."""
        points = np.append(self.values, self.centre)
        true_counts = self.bins.count(self.true_values)
        counts = self.bins.count(points, np.append(self.certainty, (1 - self.certainty).sum()))
        populated = true_counts >= POPULATED
        return pd.DataFrame(
            {
                "variable": name,
                "low": self.bins.low,
                "high": self.bins.high,
                "true": true_counts,
                "recovered": counts.astype(np.float64),
                "true_free_energy": np.where(populated, free_energy(true_counts), np.nan),
                "free_energy": np.where(populated, free_energy(counts), np.nan),
            }
        )


def _compare_counts(true_counts: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    total = int(true_counts.sum())
    divergence = population_divergence(true_counts / total, counts / total, total)
    difference = np.abs(free_energy(counts) - free_energy(true_counts))[true_counts >= POPULATED]
    return {"distribution-kl": divergence, "free-energy-error": float(difference.mean())}


def varies(values: np.ndarray, period: float | None) -> bool:
    return bool(np.ptp(values if period is None else np.mod(values, period)) > 0)
