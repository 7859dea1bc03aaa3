"""Recovered against true populations of states.

The recovered population of a class is the mean of its posterior over particles, or its fraction of them where classes
are clusters of latents. A state's is the sum over the classes matched to it: one to one where most particles agree,
excess classes by majority (``metrics.labels.classes``), so that cutting a state into several classes costs nothing
and missing one costs its whole population. True populations are those of the particles of known state; particles
left out count as recovered in an extra state of true population 0.

| score | what | range |
|---|---|---|
| population-error | total variation distance, ½ Σ abs(recovered − true): the misplaced fraction | 0 to 1 |
| population-kl | Σ true ln(true / recovered) in nats, half a particle added to every state on both sides | ≥ 0 |

Populations ignore particle identity: labels shuffled over the particles score perfectly here. Read them together
with the label scores.

Source: total variation and KL as in the Flatiron Institute's heterogeneity challenge and ManifoldEM's populations;
half a particle: Jeffreys' prior of a multinomial (Krichevsky & Trofimov 1981). The matching is ours.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.labels.classes import (
    StatesAndClasses,
    count_pairs,
    explain_missing_classes,
    match_classes,
    pair_states_and_classes,
)
from cryobench.metrics.metric import Metric, ScoreKind, described
from cryobench.metrics.resampling import centred_interval, resample_means
from cryobench.metrics.uncertainty import RESAMPLES

PSEUDO_COUNT = 0.5
"""Particles added to every state, or bin, before taking a logarithm."""

_RESAMPLES_OF_POSTERIORS = 500
"""Fewer than where particles are counted in cells: each resample is a product of all particles and all states."""


def population_error(true_populations: Float[np.ndarray, "k"], populations: Float[np.ndarray, "j"]) -> float:
    """Total variation distance of populations (k,): the fraction of misplaced particles.

    Raises
    ------
    ValueError
        If the numbers of populations differ, one is negative or NaN, or they do not sum to 1.
    """
    _check_populations(true_populations, populations)
    return float(_measure_error(true_populations[None], populations[None])[0])


def population_divergence(
    true_populations: Float[np.ndarray, "k"], populations: Float[np.ndarray, "j"], n: int
) -> float:
    """Kullback-Leibler divergence in nats of populations (k,) over n particles from the true ones.

    Half a particle is added to every state on both sides, so that a missed state costs a finite amount.
    Raises ValueError as ``population_error``.
    """
    _check_populations(true_populations, populations)
    return float(_measure_divergence(true_populations[None], populations[None], n)[0])


def smooth_populations(populations: Float[np.ndarray, "*m k"], n: int) -> Float[np.ndarray, "*m k"]:
    """Populations (..., k) of n particles after adding ``PSEUDO_COUNT`` to each of the k."""
    return (populations * n + PSEUDO_COUNT) / (n + PSEUDO_COUNT * populations.shape[-1])


def _measure_error(true: Float[np.ndarray, "m k"], found: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m"]:
    return np.abs(found - true).sum(axis=1) / 2


def _measure_divergence(
    true: Float[np.ndarray, "m k"], found: Float[np.ndarray, "m k"], n: int
) -> Float[np.ndarray, "m"]:
    smooth_true, smooth = smooth_populations(true, n), smooth_populations(found, n)
    return np.maximum((smooth_true * np.log(smooth_true / smooth)).sum(axis=1), 0)


def _check_populations(true: np.ndarray, found: np.ndarray) -> None:
    if len(true) != len(found):
        raise ValueError(f"there are {len(true)} true populations but {len(found)} recovered ones.")
    for name, values in (("true", true), ("recovered", found)):
        if not (np.all(values >= 0) and abs(values.sum() - 1) < 1e-3):
            raise ValueError(f"{name} populations must not be negative and sum to 1, got a sum of {values.sum()}.")


def estimate_populations(
    paired: StatesAndClasses, posteriors: Float[np.ndarray, "n k"] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States present (k,), and probabilities of each particle: true (m, k), one-hot, and recovered (m, k).

    Particles that were left out come last, with probability 0 for every recovered state.
    """
    present, all_states = np.unique(np.append(paired.states, paired.left_out), return_inverse=True)
    states = all_states[: len(paired.states)]
    n_classes = paired.classes.n_classes
    # A class that is no particle's first choice still has a population: it is matched by its probabilities.
    responsibilities = (
        np.eye(n_classes)[paired.labels] if posteriors is None else posteriors[paired.particles].astype(np.float64)
    )
    responsibilities = responsibilities / responsibilities.sum(axis=1, keepdims=True)
    matched = match_classes(count_pairs(states, paired.labels, len(present), n_classes))
    true_responsibilities = np.eye(len(present))[all_states]
    empty = np.flatnonzero(matched < 0)
    if len(empty):
        matched[empty] = np.argmax(true_responsibilities[: len(states)].T @ responsibilities[:, empty], axis=0)
    recovered = np.zeros_like(true_responsibilities)
    recovered[: len(states)] = responsibilities @ np.eye(len(present))[matched]
    return present, true_responsibilities, recovered


@described
class Populations(Metric):
    """Recovered populations of the states against the true ones; ignores particle identity.

    Formulas, smoothing and failure modes: ``cryobench.metrics.labels.populations``. Invariant to the numbering of
    classes and to cutting a state into several.
    """

    name = "populations"
    label = "Populations of states"
    scores = (
        ScoreKind(
            "population-error",
            "Error of state populations",
            "",
            "lower",
            high=1.0,
            ignores_identity=True,
            short="Population error",
            main=True,
        ),
        ScoreKind(
            "population-kl", "KL divergence of state populations", "nat", "lower", ignores_identity=True, decimals=2
        ),
    )
    version = 2
    needs = frozenset({"true states"})
    uses = frozenset({"latents", "posteriors"})
    curves = (("populations", "true and recovered populations"),)

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: it needs posteriors or latents, and two states of several particles."""
        return explain_missing_classes(reconstruction, dataset.truth)

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """The two scores over particles; curve "populations": state, true, recovered, low, high (95 %)."""
        paired = pair_states_and_classes(reconstruction, dataset, seed=seed)
        present, true_responsibilities, responsibilities = estimate_populations(paired, reconstruction.posteriors)
        if len(paired.left_out):
            true_responsibilities = np.pad(true_responsibilities, ((0, 0), (0, 1)))
            responsibilities = np.append(
                responsibilities, (responsibilities.sum(axis=1, keepdims=True) == 0).astype(np.float64), axis=1
            )
        n, k = true_responsibilities.shape
        certain = bool((responsibilities.max(axis=1) == 1).all())
        groups = true_responsibilities.argmax(axis=1) * k + responsibilities.argmax(axis=1) if certain else None
        rows = np.concatenate([true_responsibilities, responsibilities], axis=1, dtype=np.float32)
        resamples = RESAMPLES if certain else _RESAMPLES_OF_POSTERIORS
        means = resample_means(rows, groups=groups, seed=seed, resamples=resamples).astype(np.float64)
        true, recovered = true_responsibilities.mean(axis=0), responsibilities.mean(axis=0)
        n_present = len(present)
        table = pd.DataFrame({"state": present, "true": true[:n_present], "recovered": recovered[:n_present]})
        table["low"], table["high"] = np.quantile(means[:, k : k + n_present], [0.025, 0.975], axis=0)
        observed = true[None], recovered[None]
        resampled = means[:, :k], means[:, k:]
        values = {
            "population-error": (_measure_error(*observed)[0], _measure_error(*resampled)),
            "population-kl": (_measure_divergence(*observed, n)[0], _measure_divergence(*resampled, n)),
        }
        items = pd.DataFrame({"state": present, "value": np.abs(recovered - true)[:n_present]})
        scores = {}
        for kind in self.scores:
            value, samples = values[kind.name]
            ends = centred_interval(float(value), samples, low=kind.low, high=kind.high)
            scores[kind.name] = Score(kind.name, float(value), *ends, n=n, items=items)
        context = {**paired.context, "pseudo_count": PSEUDO_COUNT}
        return Scores(scores, {"populations": table}, context)
