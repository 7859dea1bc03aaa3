"""The distribution along each collective variable as recovered, against the true one.

A reconstruction gives classes or latents, not angles or distances, so a value is read from it for each particle, in
the same way for every method: the mean true value of the particles that it puts in the same place. For posteriors,
and for latents of which there are few, that is the particle's class (its most probable one); for other latents, its
√n nearest neighbours in Euclidean distance, itself not among them. The mean of a circular variable is that of
directions; as much of the particle as the mean vector falls short of length 1 is put at the mean direction of all
particles instead, since directions that cancel leave one that means nothing. Classes of fewer than five particles
would repeat the truth rather than average it: their particles get the mean of all, and so do particles that the
reconstruction left out. The distribution of the values is
compared with the true one:

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

Source: earth mover's distance, ``metrics.variables.transport``; √n neighbours, Devroye, Györfi & Lugosi, A
Probabilistic Theory of Pattern Recognition (1996), chapter 5. The protocol is ours.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from cryobench._progress import Progress
from cryobench.data import CollectiveVariable, Dataset, Reconstruction, Score, Scores
from cryobench.metrics.labels.populations import PSEUDO_COUNT
from cryobench.metrics.metric import Metric, ScoreKind, shown
from cryobench.metrics.resampling import centred_interval
from cryobench.metrics.variables.places import Places
from cryobench.metrics.variables.profiles import FEWEST, Comparison, varies

MOST_PARTICLES = 20_000

KINDS = (
    ScoreKind(
        "distribution-error",
        "Distribution along variables, error",
        "",
        "lower",
        0.0,
        float("inf"),
        short="Distribution error",
        main=True,
    ),
    ScoreKind(
        "distribution-kl",
        "Distribution along variables, KL divergence",
        "nat",
        "lower",
        0.0,
        float("inf"),
        decimals=2,
    ),
    ScoreKind("free-energy-error", "Free-energy profile error", "kT", "lower", 0.0, float("inf"), decimals=2),
)


class Distributions(Metric):
    """Distribution along every collective variable as recovered, against the true one.

    Formulas, the way values are read from classes or latents, and failure modes:
    ``cryobench.metrics.variables.distributions``. Invariant to the numbering of classes, and to rotation, shift and
    scale of the latent.
    """

    name = "distributions"
    label = "Distributions along collective variables"
    scores = KINDS
    version = 2
    needs = frozenset({"truth"})
    uses = frozenset({"latents", "posteriors"})
    curves = (("profiles", "distributions and free energies along collective variables"),)
    reference = "Delon et al. 2010, doi:10.1137/090772708 (distance on the circle); protocol of cryobench"
    question = "Is the distribution along each collective variable, and its free-energy profile, recovered?"
    formula = """
    x_i  true value of particle i     x̂_i  mean true value of the particles that the reconstruction puts where i is:
    those of its class, or its √n nearest latents (of a circular variable the mean direction); the mean of all for a
    particle that was left out
    P, P̂  distributions of the x_i and x̂_i; p, p̂ their histograms (up to 20 bins) with ½ particle added to each bin

    distribution-error = W(P̂, P) / W(all mass at the mean of P, P), W earth mover's distance on the line or circle
    distribution-kl    = Σ p ln(p / p̂) in nats
    free-energy-error  = mean |ln p − ln p̂| in kT over bins of at least 10 true particles
    each the mean over the variables that vary
    """
    conditions = ("posteriors or latents", "a collective variable that varies", "at least 40 particles")
    calibration = (
        "The truth: 0 in distribution-error where latents tell values apart; near 0 in the others.",
        "The truth with half of the particles left out: distribution-error about ½.",
        "A reconstruction that knows nothing: distribution-error near 1, as all values bunch at the mean (about "
        "1 − 1/√m for classes of m particles); the others large.",
    )
    invariances = (
        "Not changed by the numbering of classes, nor by rotation, shift and scale of the whole latent; changed by "
        "the scale of one latent dimension.",
        "Not changed by where a circular variable is cut.",
    )
    cost = (
        "O(n log n) to O(n²) for the √n neighbours of at most 20,000 particles, and 500 resamples a variable: some "
        "seconds a variable."
    )
    limits = (
        "Values are read with the help of the truth, in the same way for all methods: a latent that is folded onto "
        "itself is read as the mean of its sheets. It scores the resolution of the latent, not a method's own "
        "estimate of the variable.",
        "Errors that cancel between particles are not seen: it compares distributions, not particles. See "
        "decodability.",
        "Averages of √n neighbours shrink towards the mean even in a perfect latent, by about the width of √n "
        "neighbours: values below that floor mean nothing.",
        "The free energy of an empty or rare bin rests on the half particle added.",
    )

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Why it cannot be measured: it needs posteriors or latents, and a collective variable that varies."""
        missing = super().explain_missing(reconstruction, dataset)
        if missing is not None or dataset.truth is None:
            return missing
        if reconstruction.posteriors is None and reconstruction.latents is None:
            return "needs posteriors or latents, which the reconstruction does not have"
        particles = _usable(reconstruction, dataset)
        particles = particles[_placed(reconstruction)[particles]]
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
        placed = _placed(reconstruction)[particles]
        places = _find_places(reconstruction, particles[placed])
        rows, tables, samples = [], [], []
        with shown(progress).task("distributions", len(variables)) as task:
            for name, variable in variables.items():
                true_values = np.asarray(variable.values[particles], dtype=np.float64)
                # Of a particle left out no share is at a value of its own: all of it is at the mean of all.
                values, certainty = true_values.copy(), np.zeros(len(particles))
                values[placed], certainty[placed] = places.average(true_values[placed], period=variable.period)
                comparison = Comparison(true_values, values, certainty, variable.period)
                samples.append(comparison.resample(seed))
                rows.append({"variable": name, "unit": variable.unit, **comparison.measure()})
                tables.append(comparison.tabulate(name))
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
            "n_left_out": int((~_placed(reconstruction)[usable]).sum()),
            "coverage": float(_placed(reconstruction)[usable].mean()),
            "n_unknown": len(dataset.truth) - len(usable),
            "constant_variables": sorted(set(dataset.truth.variables) - set(variables)),
            "pseudo_count": PSEUDO_COUNT,
        }
        return Scores(scores, {"profiles": pd.concat(tables, ignore_index=True)}, context)


def _usable(reconstruction: Reconstruction, dataset: Dataset) -> Int[np.ndarray, "m"]:
    """Particles with finite variables, and with a state where any has one."""
    placed = _placed(reconstruction)
    if len(placed) == 0 or dataset.truth is None:
        return np.empty(0, dtype=np.int64)
    if len(placed) != len(dataset.truth):
        raise ValueError(
            f"{reconstruction.name} has {len(placed)} particles, {dataset.name} has {len(dataset.truth)}: "
            "was it made from another data set?"
        )
    usable = np.ones(len(placed), dtype=bool)
    if (dataset.truth.states >= 0).any():
        usable &= dataset.truth.states >= 0
    for variable in dataset.truth.variables.values():
        usable &= np.isfinite(variable.values)
    return np.flatnonzero(usable)


def _placed(reconstruction: Reconstruction) -> Bool[np.ndarray, "n"]:
    """Which particles have a class or a latent; none of none where the reconstruction has neither."""
    parts = reconstruction.posteriors if reconstruction.posteriors is not None else reconstruction.latents
    return np.asarray(np.zeros(0, dtype=bool) if parts is None else np.isfinite(parts).all(axis=1))


def _varying(variables: Mapping[str, CollectiveVariable], particles: np.ndarray) -> dict[str, CollectiveVariable]:
    return {name: each for name, each in variables.items() if varies(each.values[particles], each.period)}


def _find_places(reconstruction: Reconstruction, particles: np.ndarray) -> Places:
    if reconstruction.posteriors is not None:
        return Places(np.argmax(reconstruction.posteriors[particles], axis=1))
    if reconstruction.latents is None:
        raise ValueError(f"{reconstruction.name} has neither posteriors nor latents.")
    return Places(None, reconstruction.latents[particles].astype(np.float64))
