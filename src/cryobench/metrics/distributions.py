"""The distribution along each collective variable as recovered, against the true one.

A reconstruction gives classes or latents, not angles or distances, so a value is read from it for each particle, in
the same way for every method: the mean true value of the particles that it puts in the same place. For posteriors,
and for latents of which there are few, that is the particle's class (its most probable one); for other latents, its
√n nearest neighbours in Euclidean distance, itself not among them. Means of circular variables are those of
directions. Classes of fewer than five particles would repeat the truth rather than average it: their
particles get the mean of all. The distribution of the values is compared with the true one:

| score | what | truth | knowing nothing |
|---|---|---|---|
| distribution-error | earth mover's distance (line or circle) / that of all mass at the mean | 0 | 1 |
| distribution-kl | KL divergence of recovered from true histogram in nats, ½ particle added to each bin | 0 | large |
| free-energy-error | mean abs(ΔF), F = −ln p in kT, ½ particle added, bins of ≥ 10 true particles | 0 | large |

Each is the mean over the variables; a variable that does not vary says nothing and is left out. Averaging makes
values of a coarse or noisy answer bunch together, which is what is scored; labels shuffled over particles bunch at
the mean, the less tightly the smaller the classes (1 − 1/√size of the first score, or so). Bins are of equal width
but their edges are moved into the gaps of the true values, so that discrete
states never fall on an edge. At most ``MOST_PARTICLES`` are used, evenly drawn. Values of particles are not read
again in each bootstrap resample.

Source: earth mover's distance, ``metrics.transport``; √n neighbours, Devroye, Györfi & Lugosi, A Probabilistic
Theory of Pattern Recognition (1996), chapter 5. The protocol is ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from cryobench._progress import Progress
from cryobench.data import CollectiveVariable, Dataset, Reconstruction, Score, Scores
from cryobench.metrics.metric import Metric, ScoreKind, shown
from cryobench.metrics.places import Places
from cryobench.metrics.populations import PSEUDO_COUNT, population_divergence, smooth_populations
from cryobench.metrics.resampling import centred_interval
from cryobench.metrics.transport import earth_movers_distance
from cryobench.rng import stream

MOST_PARTICLES = 20_000
MOST_BINS = 20
POPULATED = 10
"""True particles a bin must hold for its free energy to be compared."""
FEWEST = 40
"""Particles: two bins of 20."""
_RESAMPLES = 500
_CELLS = 1000
"""Steps of the grid on which resampled distances are taken."""

KINDS = (
    ScoreKind("distribution-error", "Distribution along variables, error", "", "lower", 0.0, float("inf")),
    ScoreKind("distribution-kl", "Distribution along variables, KL divergence", "nat", "lower", 0.0, float("inf")),
    ScoreKind("free-energy-error", "Free-energy profile error", "kT", "lower", 0.0, float("inf")),
)


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of about equal width, from edge to edge; on a circle the first reaches back over the origin."""

    edges: Float[np.ndarray, "e"]
    """On a line, between bins; on a circle, the upper end of each."""
    low: Float[np.ndarray, "bins"]
    high: Float[np.ndarray, "bins"]
    period: float | None

    def count(self, values: Float[np.ndarray, "n"]) -> Int[np.ndarray, "bins"]:
        """Values in each bin."""
        return np.bincount(self.assign(values), minlength=len(self.low))

    def assign(self, values: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """Bin of each value."""
        if self.period is None:
            return np.searchsorted(self.edges, values)
        return np.searchsorted(self.edges, np.mod(values, self.period)) % len(self.low)


def choose_bins(true_values: Float[np.ndarray, "n"], *, period: float | None = None) -> Bins:
    """Bins for these values, of 20 particles on average or more, edges in the gaps between distinct values."""
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
    """Middle of the gap between sorted values in which each edge lies, or above which value it lies."""
    above = np.clip(np.searchsorted(distinct, edges, side="right"), 1, len(distinct) - 1)
    return (distinct[above - 1] + distinct[above]) / 2


def free_energy(counts: Int[np.ndarray, "bins"]) -> Float[np.ndarray, "bins"]:
    """−ln p in kT of each bin, half a particle added to each."""
    total = int(counts.sum())
    return -np.log(smooth_populations(counts / total, total))


def compare_distributions(
    true_values: Float[np.ndarray, "n"], values: Float[np.ndarray, "n"], *, period: float | None = None
) -> dict[str, float]:
    """Scores of recovered values (n,) against true ones, as the module names them.

    Beside them "emd", the distance in the unit of the values, and "emd-of-mean", that of all mass at the true mean.

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
    emd = earth_movers_distance(true_values, values, period=period)
    floor = _distance_knowing_nothing(true_values, period)
    if floor == 0:
        raise ValueError("the true values are all the same: there is no distribution to recover.")
    bins = choose_bins(true_values, period=period)
    return {
        "emd": emd,
        "distribution-error": emd / floor,
        **_compare_counts(bins.count(true_values), bins.count(values)),
    }


def _compare_counts(true_counts: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    total = int(true_counts.sum())
    divergence = population_divergence(true_counts / total, counts / total, total)
    difference = np.abs(free_energy(counts) - free_energy(true_counts))[true_counts >= POPULATED]
    return {"distribution-kl": float(divergence), "free-energy-error": float(difference.mean())}


def _distance_knowing_nothing(values: np.ndarray, period: float | None) -> float:
    """Earth mover's distance of the values from all mass at their mean."""
    centre = Places(np.zeros(len(values), dtype=np.int64)).average(values, period=period)
    return earth_movers_distance(values, centre, period=period)


def _resample(
    true_values: np.ndarray, values: np.ndarray, period: float | None, floor: float, *, seed: int
) -> np.ndarray:
    """Scores (resamples, 3) of bootstrap resamples of the particles, distances taken on a fine grid."""
    low, length = (true_values.min(), np.ptp(true_values)) if period is None else (0.0, period)
    both = [at - low if period is None else np.mod(at, period) for at in (true_values, values)]
    cells = [np.clip((at / length * _CELLS).astype(np.int64), 0, _CELLS - 1) for at in both]
    bins = choose_bins(true_values, period=period)
    of_bins = [bins.assign(at) for at in (true_values, values)]
    generator, n = stream(seed, "bootstrap"), len(values)
    samples = np.empty((_RESAMPLES, len(KINDS)))
    for row in samples:
        drawn = generator.integers(n, size=n)
        true_cells, found_cells = (np.bincount(cell[drawn], minlength=_CELLS) for cell in cells)
        excess = np.cumsum(true_cells - found_cells) / n
        excess = excess if period is None else excess - np.median(excess)
        compared = _compare_counts(*(np.bincount(bin_of[drawn], minlength=len(bins.low)) for bin_of in of_bins))
        row[:] = np.abs(excess).mean() * length / floor, compared["distribution-kl"], compared["free-energy-error"]
    return samples


class Distributions(Metric):
    """Distribution along every collective variable as recovered, against the true one.

    Formulas, the way values are read from classes or latents, and failure modes: ``cryobench.metrics.distributions``.
    Invariant to the numbering of classes, and to rotation, shift and scale of the latent.
    """

    name = "distributions"
    label = "Distributions along collective variables"
    scores = KINDS
    needs = frozenset({"truth"})
    reference = "Delon et al. 2010, doi:10.1137/090772708 (distance on the circle); protocol of cryobench"

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Why it cannot be measured: it needs posteriors or latents, and a collective variable that varies."""
        missing = super().explain_missing(reconstruction, dataset)
        if missing is not None or dataset.truth is None:
            return missing
        if reconstruction.posteriors is None and reconstruction.latents is None:
            return "needs posteriors or latents, which the reconstruction does not have"
        particles = _usable(reconstruction, dataset)
        if len(particles) < FEWEST:
            return f"needs {FEWEST} particles with a place and a state, and there are {len(particles)}"
        if not _varying(dataset.truth.variables, particles):
            return "needs a collective variable that varies, which the data set does not have"
        return None

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """The three scores over particles; items are variables, with ``emd`` in their unit.

        Curve "profiles": variable, low, high (bin), true, recovered (particles), and the two free energies in kT,
        NaN where the bin holds too few true particles.
        """
        missing = self.explain_missing(reconstruction, dataset)
        if missing is not None or dataset.truth is None:
            raise ValueError(f"distributions of {reconstruction.name} cannot be measured: it {missing}.")
        usable = _usable(reconstruction, dataset)
        variables = _varying(dataset.truth.variables, usable)
        particles = usable[np.linspace(0, len(usable), min(len(usable), MOST_PARTICLES), endpoint=False).astype(int)]
        places = _find_places(reconstruction, particles)
        rows, tables, samples = [], [], []
        with shown(progress).task("distributions", len(variables)) as task:
            for name, variable in variables.items():
                true_values = np.asarray(variable.values[particles], dtype=np.float64)
                values = places.average(true_values, period=variable.period)
                compared = compare_distributions(true_values, values, period=variable.period)
                floor = compared["emd-of-mean"]
                samples.append(_resample(true_values, values, variable.period, floor, seed=seed))
                rows.append({"variable": name, "unit": variable.unit, **compared})
                tables.append(_tabulate_profile(name, true_values, values, variable.period))
                task.advance()
        table = pd.DataFrame(rows)
        scores = {}
        for kind, of_resamples in zip(KINDS, np.mean(samples, axis=0).T, strict=True):
            items = table[["variable", "unit", "emd"]].assign(value=table[kind.name])
            value = float(items["value"].to_numpy().mean())
            ends = centred_interval(value, of_resamples, low=kind.low, high=kind.high)
            scores[kind.name] = Score(kind.name, value, *ends, n=len(particles), items=items)
        context = {
            "values_from": places.source,
            "n_particles": len(particles),
            "n_usable": len(usable),
            "n_left_out": len(dataset.truth) - len(usable),
            "constant_variables": sorted(set(dataset.truth.variables) - set(variables)),
            "pseudo_count": PSEUDO_COUNT,
        }
        return Scores(scores, {"profiles": pd.concat(tables, ignore_index=True)}, context)


def _usable(reconstruction: Reconstruction, dataset: Dataset) -> Int[np.ndarray, "m"]:
    """Particles with a finite place and finite variables, and with a state where any has one."""
    parts = reconstruction.posteriors if reconstruction.posteriors is not None else reconstruction.latents
    if parts is None or dataset.truth is None:
        return np.empty(0, dtype=np.int64)
    if len(parts) != len(dataset.truth):
        raise ValueError(
            f"{reconstruction.name} has {len(parts)} particles, {dataset.name} has {len(dataset.truth)}: "
            "was it made from another data set?"
        )
    usable = np.isfinite(parts).all(axis=1)
    if (dataset.truth.states >= 0).any():
        usable &= dataset.truth.states >= 0
    for variable in dataset.truth.variables.values():
        usable &= np.isfinite(variable.values)
    return np.flatnonzero(usable)


def _varying(variables: Mapping[str, CollectiveVariable], particles: np.ndarray) -> dict[str, CollectiveVariable]:
    return {name: each for name, each in variables.items() if np.ptp(each.values[particles]) > 0}


def _find_places(reconstruction: Reconstruction, particles: np.ndarray) -> Places:
    if reconstruction.posteriors is not None:
        return Places(np.argmax(reconstruction.posteriors[particles], axis=1))
    if reconstruction.latents is None:
        raise ValueError(f"{reconstruction.name} has neither posteriors nor latents.")
    return Places(None, reconstruction.latents[particles].astype(np.float64))


def _tabulate_profile(name: str, true_values: np.ndarray, values: np.ndarray, period: float | None) -> pd.DataFrame:
    bins = choose_bins(true_values, period=period)
    true_counts, counts = bins.count(true_values), bins.count(values)
    populated = true_counts >= POPULATED
    return pd.DataFrame(
        {
            "variable": name,
            "low": bins.low,
            "high": bins.high,
            "true": true_counts,
            "recovered": counts,
            "true_free_energy": np.where(populated, free_energy(true_counts), np.nan),
            "free_energy": np.where(populated, free_energy(counts), np.nan),
        }
    )
