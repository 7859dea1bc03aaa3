"""Agreement of a classification with the true states, by all common indices.

Among n particles, n_sc have state s and class c, and p = n_sc / n:

| score | what | chance |
|---|---|---|
| ari | adjusted Rand index: pairs of particles kept together or apart | 0 |
| ami | adjusted mutual information, (I − E[I]) / (mean entropy − E[I]) | 0 |
| nmi | normalised mutual information, I / mean entropy | above 0, grows with the classes |
| fmi | Fowlkes-Mallows index: pairs together in both / geometric mean of pairs together in either | √(Σp_s² Σp_c²) |
| variation-of-information | H(state given class) + H(class given state), in bits; a distance | H(state) + H(class) |
| label-accuracy | fraction of particles whose class is matched one to one (Hungarian) to their state | ≥ Σ p_s p_c |
| label-accuracy-majority | the same, each class matched to its most frequent state | ≥ the largest p_s |
| macro-f1, macro-f1-majority | F1 of each state by these matchings, averaged over states | |

Majority matching rewards cutting states into many classes, one-to-one matching penalises it; ARI and AMI are
corrected for chance, and come first. Particles of known state that were left out form a class of their own, which
matches no state. Where there are only latents, classes are k-means clusters
(``metrics.labels.classes``), which mean little for a continuum.

The published benchmark has no label metric; users add these. Entropies of resampled tables are biased, hence the
intervals are centred (``metrics.resampling``); the matching and E[I] are those of the data in all resamples.

Source: Hubert & Arabie, J. Classif. 2 (1985) 193; Vinh et al., JMLR 11 (2010) 2837; Fowlkes & Mallows, JASA 78
(1983) 553; Meila, J. Multivar. Anal. 98 (2007) 873. In cryo-EM: Kaz, Kaz & Zhong, A
meta-algorithm for ab initio reconstruction of complex mixtures in cryo-EM.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Num, Shaped

from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.labels.classes import (
    count_pairs,
    explain_missing_classes,
    match_by_majority,
    match_one_to_one,
    pair_states_and_classes,
)
from cryobench.metrics.metric import Metric, ScoreKind, described
from cryobench.metrics.resampling import centred_interval, resample_table

LEFT_OUT = -1
"""Class number, in table and curve, of the particles that a reconstruction left out."""
KINDS = (
    ScoreKind("ari", "Adjusted Rand index of labels", low=-0.5, high=1.0, short="Labels, ARI", main=True),
    ScoreKind("ami", "Adjusted mutual information of labels", low=-1.0, high=1.0),
    ScoreKind("nmi", "Normalised mutual information of labels", high=1.0),
    ScoreKind("fmi", "Fowlkes-Mallows index of labels", high=1.0),
    ScoreKind("variation-of-information", "Variation of information", "bit", "lower", decimals=2),
    ScoreKind("label-accuracy", "Label accuracy, one-to-one matching", high=1.0),
    ScoreKind("label-accuracy-majority", "Label accuracy, majority matching", high=1.0),
    ScoreKind("macro-f1", "Macro F1, one-to-one matching", high=1.0),
    ScoreKind("macro-f1-majority", "Macro F1, majority matching", high=1.0),
)


def compare_labels(states: Shaped[np.ndarray, "n"], labels: Shaped[np.ndarray, "m"], *, seed: int = 0) -> Scores:
    """Every label score of a classification, with 95 % intervals over particles.

    Parameters
    ----------
    states, labels
        (n,) integers: true state and class of each particle. Particles of a negative, unknown state are left out and
        counted. Particles of a negative class are those that a reconstruction left out: they form a class that no
        state is matched to.
    seed
        For the bootstrap.

    Returns
    -------
    The scores of the module's table; ``n`` is the number of particles; items are states where a score is computed by
    state (column ``value``: recall, F1, or the part of the information), else the one partition. Curve
    "confusion": columns state, class, particles, matched (state of the class one to one, −1 for none), majority.

    Raises
    ------
    ValueError
        If the arrays differ in length, hold values other than integers, or leave fewer than two states.
    """
    states, labels = _check_integers("states", states), _check_integers("labels", labels)
    if len(states) != len(labels):
        raise ValueError(f"there are {len(states)} true states but {len(labels)} labels.")
    known = states >= 0
    both = known & (labels >= 0)
    if len(np.unique(states[both])) < 2:
        raise ValueError(
            f"labels are compared on at least two true states, got {len(np.unique(states[both]))} among the "
            f"{int(both.sum())} particles (of {len(states)}) that have both a state and a class."
        )
    present, rows = np.unique(states[known], return_inverse=True)
    names, columns = np.unique(np.maximum(labels[known], LEFT_OUT), return_inverse=True)
    counts = count_pairs(rows, columns, len(present), len(names))
    table = _Table.of(counts, names != LEFT_OUT)
    value = {name: float(values[0]) for name, values in table.measure(table.counts[None]).items()}
    samples = resample_table(table.counts, lambda drawn: np.stack(list(table.measure(drawn).values()), 1), seed=seed)
    items = _tabulate_items(table, counts, present, value)
    scores = {}
    for kind, column in zip(KINDS, samples.T, strict=True):
        at = min(max(value[kind.name], kind.low), kind.high)
        ends = centred_interval(at, column, low=kind.low, high=kind.high)
        scores[kind.name] = Score(kind.name, at, *ends, n=int(known.sum()), items=items[kind.name])
    context = {
        "n_particles": int(both.sum()),
        "n_states": len(present),
        "n_classes": len(np.unique(labels[both])),
        "n_unknown_state": int((~known).sum()),
        "n_left_out": int((known & ~both).sum()),
        "coverage": float(both.sum() / known.sum()),
    }
    return Scores(scores, {"confusion": _tabulate_confusion(table, present, names)}, context)


@dataclass(frozen=True, eq=False)
class _Table:
    """Occupied cells of a table of states and classes, with everything that is constant over resamples."""

    counts: Int[np.ndarray, "cells"]
    rows: Int[np.ndarray, "cells"]
    columns: Int[np.ndarray, "cells"]
    n_states: int
    n_classes: int
    matched: Int[np.ndarray, "classes"]
    majority: Int[np.ndarray, "classes"]
    expected_information: float
    """Mutual information in nats of random labels with these populations."""

    @classmethod
    def of(cls, counts: Int[np.ndarray, "states classes"], matchable: Bool[np.ndarray, "classes"]) -> "_Table":
        """Table of given counts; classes that are not ``matchable`` match no state."""
        from sklearn.metrics.cluster import expected_mutual_information

        rows, columns = np.nonzero(counts)
        matched, majority = np.full((2, counts.shape[1]), -1, dtype=np.int64)
        matched[matchable] = match_one_to_one(counts[:, matchable])
        majority[matchable] = match_by_majority(counts[:, matchable])
        return cls(
            counts=counts[rows, columns],
            rows=rows,
            columns=columns,
            n_states=counts.shape[0],
            n_classes=counts.shape[1],
            matched=matched,
            majority=majority,
            expected_information=float(expected_mutual_information(counts, int(counts.sum()))),
        )

    def measure(self, drawn: Int[np.ndarray, "m cells"]) -> dict[str, np.ndarray]:
        """Every score (m,) of resampled tables, given by their occupied cells, in the order of ``KINDS``."""
        total = int(self.counts.sum())
        of_states = _sum_by(drawn, self.rows, self.n_states)
        of_classes = _sum_by(drawn, self.columns, self.n_classes)
        pairs, pairs_states, pairs_classes = (_count_pairs_within(part) for part in (drawn, of_states, of_classes))
        expected = pairs_states * pairs_classes / (total * (total - 1) / 2)
        joint, entropy_states, entropy_classes = (_entropy(part, total) for part in (drawn, of_states, of_classes))
        information = np.maximum(entropy_states + entropy_classes - joint, 0)
        mean_entropy = (entropy_states + entropy_classes) / 2
        chance = self.expected_information
        return {
            "ari": _divide(pairs - expected, (pairs_states + pairs_classes) / 2 - expected, otherwise=1.0),
            "ami": _divide(information - chance, mean_entropy - chance, otherwise=1.0),
            "nmi": _divide(information, mean_entropy, otherwise=1.0),
            "fmi": _divide(pairs, np.sqrt(pairs_states * pairs_classes), otherwise=0.0),
            "variation-of-information": np.maximum(2 * (joint - mean_entropy), 0) / np.log(2),
            "label-accuracy": drawn[:, self.hits(self.matched)].sum(axis=1) / total,
            "label-accuracy-majority": drawn[:, self.hits(self.majority)].sum(axis=1) / total,
            "macro-f1": self.macro_f1(drawn, of_states, self.matched),
            "macro-f1-majority": self.macro_f1(drawn, of_states, self.majority),
        }

    def hits(self, matching: Int[np.ndarray, "classes"]) -> np.ndarray:
        """Whether each occupied cell holds correctly classified particles."""
        return matching[self.columns] == self.rows

    def f1(self, drawn: np.ndarray, of_states: np.ndarray, matching: np.ndarray) -> np.ndarray:
        """F1 (m, states) of each state; NaN for a state absent from a resample."""
        hits = self.hits(matching)
        right = _sum_by(drawn[:, hits], self.rows[hits], self.n_states)
        told = matching[self.columns] >= 0
        claimed = _sum_by(drawn[:, told], matching[self.columns[told]], self.n_states)
        return np.where(of_states > 0, 2 * right / np.maximum(of_states + claimed, 1), np.nan)

    def macro_f1(self, drawn: np.ndarray, of_states: np.ndarray, matching: np.ndarray) -> np.ndarray:
        """Mean F1 (m,) over the states in a resample."""
        return np.nanmean(self.f1(drawn, of_states, matching), axis=1)


def _sum_by(drawn: Int[np.ndarray, "m cells"], keys: Int[np.ndarray, "cells"], n_keys: int) -> np.ndarray:
    """Sums (m, n_keys) of the cells of each key."""
    order = np.argsort(keys, kind="stable")
    present, starts = np.unique(keys[order], return_index=True)
    sums = np.zeros((len(drawn), n_keys), dtype=np.int64)
    if len(present):
        sums[:, present] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return sums


def _count_pairs_within(counts: Int[np.ndarray, "m cells"]) -> np.ndarray:
    """Pairs (m,) of particles in the same cell."""
    return (counts * (counts - 1) / 2).sum(axis=1)


def _entropy(counts: Int[np.ndarray, "m cells"], total: int) -> np.ndarray:
    """Entropy (m,) in nats."""
    return np.log(total) - (counts * np.log(np.maximum(counts, 1))).sum(axis=1) / total


def _divide(numerator: np.ndarray, denominator: np.ndarray, *, otherwise: float) -> np.ndarray:
    """Ratio, or another value where the denominator is 0 (two trivial partitions)."""
    nothing = np.abs(denominator) < 1e-12
    return np.where(nothing, otherwise, numerator / np.where(nothing, 1.0, denominator))


def _tabulate_items(
    table: _Table, counts: Int[np.ndarray, "states classes"], present: Shaped[np.ndarray, "states"], value: Mapping
) -> dict[str, pd.DataFrame]:
    """Name of the score -> one row per state, or one for the partition."""
    of_states, of_classes = counts.sum(axis=1), counts.sum(axis=0)
    items = {kind.name: pd.DataFrame({"value": [value[kind.name]]}) for kind in KINDS[:4]}
    # Meila's distance is a mean over particles of −log p(class given state) − log p(state given class).
    told = table.counts / of_states[table.rows] * (table.counts / of_classes[table.columns])
    lost = np.bincount(table.rows, weights=-table.counts * np.log2(told), minlength=len(present)) / of_states
    of_one = {"variation-of-information": lost}
    for suffix, matching in (("", table.matched), ("-majority", table.majority)):
        hits = table.hits(matching)
        right = np.bincount(table.rows[hits], weights=table.counts[hits], minlength=len(present))
        of_one[f"label-accuracy{suffix}"] = right / of_states
        of_one[f"macro-f1{suffix}"] = table.f1(table.counts[None], of_states[None], matching)[0]
    for name, values in of_one.items():
        items[name] = pd.DataFrame({"state": present, "particles": of_states, "value": np.maximum(values, 0)})
    return items


def _tabulate_confusion(
    table: _Table, present: Shaped[np.ndarray, "states"], names: Shaped[np.ndarray, "classes"]
) -> pd.DataFrame:
    """Occupied cells, with the state each class is matched to."""
    columns = {"matched": table.matched, "majority": table.majority}
    return pd.DataFrame(
        {
            "state": present[table.rows],
            "class": names[table.columns],
            "particles": table.counts,
            **{name: np.where(to < 0, -1, present[to])[table.columns] for name, to in columns.items()},
        }
    )


def _check_integers(name: str, values: Num[np.ndarray, "n"]) -> np.ndarray:
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name} must be integers, negative where unknown; got {values.dtype}.")
    return values.astype(np.int64)


@described
class Labels(Metric):
    """Classes against true states: most probable classes, or k-means clusters of the latents where there are none.

    Formulas, chance levels and failure modes: ``cryobench.metrics.labels.agreement``. Invariant to the numbering of
    classes, and, where latents are clustered, to their rotation and shift but not to the scale of one dimension.
    """

    name = "labels"
    label = "Agreement of labels"
    scores = KINDS
    version = 2
    needs = frozenset({"true states"})
    uses = frozenset({"latents", "posteriors"})
    curves = (("confusion", "particles by true state and class, with the matching"),)

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: it needs posteriors or latents, and two states of several particles."""
        return explain_missing_classes(reconstruction, dataset.truth)

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores as of ``compare_labels``; the context gives the origin of the classes."""
        paired = pair_states_and_classes(reconstruction, dataset, seed=seed)
        left_out = np.full(len(paired.left_out), LEFT_OUT)
        states, labels = np.append(paired.states, paired.left_out), np.append(paired.labels, left_out)
        measured = compare_labels(states, labels, seed=seed)
        return Scores(measured.scores, measured.curves, {**measured.context, **paired.context})
