"""Recovered distribution along each collective variable, against the true one.

A reconstruction gives classes or latents, not angles or distances, so a value is assigned to each particle in
the same way for every method: the mean true value of its neighbourhood in the reconstruction. For posteriors,
and for latents with few distinct values, that is the particle's (most probable) class; for other latents, its
√n nearest neighbours in Euclidean distance, without itself. The mean of a circular variable is that of
directions; the fraction of the particle by which the mean vector falls short of length 1 is assigned to the mean
direction of all particles, since directions that cancel leave a meaningless one. Classes of fewer than five particles
would repeat the truth rather than average it: their particles get the mean of all, and so do particles that the
reconstruction left out. The distribution of the values is
compared with the true one:

| score | what | truth | uninformative |
|---|---|---|---|
| distribution-error | earth mover's distance (line or circle) / that of all mass at the mean | 0 | 1 |
| distribution-kl | KL divergence of recovered from true histogram in nats, ½ particle added to each bin | 0 | large |
| free-energy-error | mean abs(ΔF), F = −ln p in kT, ½ particle added, bins of ≥ 10 true particles | 0 | large |

Each is the mean over the variables; a variable that does not vary is left out. Averaging makes
values of a coarse or noisy answer cluster together, which is what is scored; labels shuffled over particles cluster
at the mean, less tightly for smaller classes (first score about 1 − 1/√size). Bins are of equal width
but their edges are moved into gaps between true values, so that discrete
states never lie on an edge. At most ``MOST_PARTICLES`` are used, evenly spaced, and as many more as it takes to have
``FEWEST`` with a class or latent. Values of particles are not computed again in each bootstrap resample.

Source: earth mover's distance, ``metrics.variables.transport``; √n neighbours, Devroye, Györfi & Lugosi, A
Probabilistic Theory of Pattern Recognition (1996), chapter 5. The protocol is ours.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from cryobench._progress import Progress, Silent
from cryobench.data import CollectiveVariable, Dataset, Reconstruction, Score, Scores
from cryobench.metrics.labels.populations import PSEUDO_COUNT
from cryobench.metrics.latents.latent_spaces import choose_variables
from cryobench.metrics.metric import Metric, ScoreKind, check_particles, described
from cryobench.metrics.resampling import centred_interval
from cryobench.metrics.variables.neighbourhoods import Neighbourhoods
from cryobench.metrics.variables.profiles import FEWEST, Comparison, varies

MOST_PARTICLES = 20_000


@described
class Distributions(Metric):
    """Recovered distribution along every collective variable, against the true one.

    Formulas, assignment of values from classes or latents, and failure modes:
    ``cryobench.metrics.variables.distributions``. Invariant to the numbering of classes, and to rotation, shift and
    scale of the latent.
    """

    name = "distributions"
    label = "Distributions along collective variables"
    scores = (
        ScoreKind(
            "distribution-error",
            "Distribution along variables, error",
            better="lower",
            short="Distribution error",
            main=True,
        ),
        ScoreKind("distribution-kl", "Distribution along variables, KL divergence", "nat", "lower", decimals=2),
        ScoreKind("free-energy-error", "Free-energy profile error", "kT", "lower", decimals=2),
    )
    version = 2
    needs = frozenset({"truth"})
    uses = frozenset({"latents", "posteriors"})
    curves = (("profiles", "distributions and free energies along collective variables"),)

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: it needs posteriors or latents, and a collective variable that varies."""
        missing = super().explain_missing(reconstruction, dataset)
        if missing is not None or dataset.truth is None:
            return missing
        if reconstruction.posteriors is None and reconstruction.latents is None:
            return "needs posteriors or latents, which the reconstruction does not have"
        particles = _usable(reconstruction, dataset)
        particles = particles[_placed(reconstruction)[particles]]
        if len(particles) < FEWEST:
            return (
                f"needs {FEWEST} particles with a state, every collective variable, and a class or latent, "
                f"and there are {len(particles)}"
            )
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
        truth, usable = self.require(reconstruction, dataset), _usable(reconstruction, dataset)
        variables = _varying(truth.variables, usable)
        has_place = _placed(reconstruction)[usable]
        particles = _spread(usable, MOST_PARTICLES)
        if _placed(reconstruction)[particles].sum() < FEWEST:
            particles = np.union1d(particles, _spread(usable[has_place], FEWEST))
        placed = _placed(reconstruction)[particles]
        if reconstruction.posteriors is not None:
            places = Neighbourhoods(np.argmax(reconstruction.posteriors[particles[placed]], axis=1))
        else:
            assert reconstruction.latents is not None  # one of the needs
            places = Neighbourhoods(None, reconstruction.latents[particles[placed]].astype(np.float64))
        rows, tables, samples = [], [], []
        with (progress or Silent()).task("distributions", len(variables)) as task:
            for name, variable in variables.items():
                true_values = np.asarray(variable.values[particles], dtype=np.float64)
                # Nothing of a particle left out is at a value of its own: all of it is at the mean of all.
                values, certainty = true_values.copy(), np.zeros(len(particles))
                values[placed], certainty[placed] = places.average(true_values[placed], period=variable.period)
                comparison = Comparison(true_values, values, certainty, variable.period)
                samples.append(comparison.resample(seed))
                rows.append({"variable": name, "unit": variable.unit, **comparison.measure()})
                tables.append(comparison.tabulate(name))
                task.advance()
        table = pd.DataFrame(rows)
        scores = {}
        for kind, of_resamples in zip(self.scores, np.mean(samples, axis=0).T, strict=True):
            items = table[["variable", "unit", "emd"]].assign(value=table[kind.name])
            value = float(items["value"].to_numpy().mean())
            ends = centred_interval(value, of_resamples, low=kind.low, high=kind.high)
            scores[kind.name] = Score(kind.name, value, *ends, n=len(particles), items=items)
        context = {
            "values_from": places.source,
            "n_particles": len(particles),
            "n_usable": len(usable),
            "n_left_out": int((~has_place).sum()),
            "coverage": float(has_place.mean()),
            "n_unknown": len(truth) - len(usable),
            "constant_variables": sorted(set(truth.variables) - set(variables)),
            "pseudo_count": PSEUDO_COUNT,
        }
        return Scores(scores, {"profiles": pd.concat(tables, ignore_index=True)}, context)


def _spread(particles: Int[np.ndarray, "n"], most: int) -> Int[np.ndarray, "m"]:
    """At most so many of the particles, evenly spaced."""
    return particles[np.linspace(0, len(particles), min(len(particles), most), endpoint=False).astype(int)]


def _usable(reconstruction: Reconstruction, dataset: Dataset) -> Int[np.ndarray, "m"]:
    """Particles for which all variables that vary are known, and with a state where any has one."""
    placed = _placed(reconstruction)
    if len(placed) == 0 or dataset.truth is None:
        return np.empty(0, dtype=np.int64)
    check_particles(reconstruction, dataset)
    usable = np.ones(len(placed), dtype=bool)
    if (dataset.truth.states >= 0).any():
        usable &= dataset.truth.states >= 0
    for variable in choose_variables(dataset.truth.variables).values():
        usable &= np.isfinite(variable.values)
    return np.flatnonzero(usable)


def _placed(reconstruction: Reconstruction) -> Bool[np.ndarray, "n"]:
    """Mask (n,) of the particles with a class or a latent; all False where the reconstruction has neither."""
    parts = reconstruction.posteriors if reconstruction.posteriors is not None else reconstruction.latents
    return np.asarray(np.zeros(0, dtype=bool) if parts is None else np.isfinite(parts).all(axis=1))


def _varying(variables: Mapping[str, CollectiveVariable], particles: np.ndarray) -> dict[str, CollectiveVariable]:
    return {name: each for name, each in variables.items() if varies(each.values[particles], each.period)}
