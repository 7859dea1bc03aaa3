"""Class of each particle in a reconstruction, and the true state that each class matches.

The class is the most probable one where there are posteriors (the first among equals), else a cluster of the latents:
k-means with as many clusters as there are true states, on unscaled latents in Euclidean distance; centres
are fitted to at most ``MOST_FITTED`` of them, evenly spaced. Where there are no more distinct latents than clusters,
as in discrete methods, each distinct latent is a class.

Classes are matched to states one to one so that most particles agree (Hungarian method); classes in excess of the
states are each matched to their most frequent state.

Source: Kuhn, Naval Res. Logist. Q. 2 (1955) 83; Arthur & Vassilvitskii, k-means++, SODA 2007.
"""

from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.optimize import linear_sum_assignment

from cryobench._one_thread import one_thread
from cryobench._sampling import spread_indices
from cryobench.data import Dataset, GroundTruth, Reconstruction, most_probable
from cryobench.metrics.metric import check_particles

STARTS = 4
"""Runs of k-means, of which the tightest is kept."""
MOST_FITTED = 20_000
"""Most particles to which cluster centres are fitted."""
MOST_STATES = 2000
"""Most states that are distinguished: more are a continuum, for which there are other metrics."""


@dataclass(frozen=True, eq=False)
class Classes:
    """The class of each particle."""

    labels: Int[np.ndarray, "n"]
    """−1 where the reconstruction left the particle out."""
    n_classes: int
    source: Literal["posteriors", "latents"]


@dataclass(frozen=True, eq=False)
class StatesAndClasses:
    """Classes and states to be compared: particles that have both, and those that have only a state."""

    particles: Int[np.ndarray, "m"]
    """Indices of these particles."""
    states: Int[np.ndarray, "m"]
    """True states."""
    labels: Int[np.ndarray, "m"]
    """Classes."""
    classes: Classes
    """Classes of all particles."""
    left_out: Int[np.ndarray, "u"]
    """True states of the particles that the reconstruction left out."""
    context: dict[str, int | float | str]
    """Number left out, with reasons; fraction of the particles with a state that have a class."""


_FOUND: WeakKeyDictionary[Reconstruction, dict[tuple[int, int], Classes]] = WeakKeyDictionary()
"""Cache of classes, for the several metrics that need them in turn."""


def explain_missing_classes(reconstruction: Reconstruction, truth: GroundTruth | None) -> str | None:
    """Reason, in words, why classes cannot be compared with states; None if they can."""
    if truth is None:
        return "needs truth, which the data set does not have"
    rows = reconstruction.posteriors if reconstruction.posteriors is not None else reconstruction.latents
    if rows is None:
        return "needs posteriors or latents, which the reconstruction does not have"
    known = truth.states[truth.states >= 0]
    if len(known) == 0:
        return "needs true states, which the data set does not have"
    n_present = len(np.unique(known))
    if n_present < 2:
        return "needs at least two true states, and all particles have the same one"
    finite = np.asarray(np.isfinite(rows).all(axis=1))
    if len(rows) == len(truth) and len(np.unique(truth.states[finite & (truth.states >= 0)])) < 2:
        return f"needs two states with posteriors or latents, and {int((~finite).sum())} of {len(rows)} rows hold NaN"
    if 2 * n_present > len(known):
        return f"needs states of several particles each, and {len(known)} particles have {n_present} states"
    if n_present > MOST_STATES:
        return f"needs at most {MOST_STATES} true states, and there are {n_present}"
    return None


def classify(reconstruction: Reconstruction, n_clusters: int, *, seed: int = 0) -> Classes:
    """Class of each particle from the posteriors, or from the latents where there are none.

    Parameters
    ----------
    n_clusters
        Clusters of latents: the number of true states. Posteriors have their own number of classes.
    seed
        For k-means.

    Raises
    ------
    ValueError
        If there are neither posteriors nor latents, or no row of them is finite.
    """
    if reconstruction.posteriors is not None:
        posteriors = reconstruction.posteriors
        labels = most_probable(posteriors)
        if (labels < 0).all():
            raise ValueError(f"all {len(posteriors)} rows of posteriors of {reconstruction.name} hold NaN.")
        return Classes(labels, posteriors.shape[1], "posteriors")
    if reconstruction.latents is None:
        raise ValueError(f"{reconstruction.name} has neither posteriors nor latents: there are no classes.")
    labels, found = cluster_latents(reconstruction.latents, n_clusters, seed=seed)
    return Classes(labels, found, "latents")


def cluster_latents(
    latents: Float[np.ndarray, "n d"], n_clusters: int, *, seed: int = 0
) -> tuple[Int[np.ndarray, "n"], int]:
    """Cluster of each latent, −1 where it is not finite, and the number of clusters; see the module.

    Raises
    ------
    ValueError
        If no row is finite, or fewer than one cluster is requested.
    """
    from sklearn.cluster import KMeans

    finite = np.isfinite(latents).all(axis=1)
    if not finite.any():
        raise ValueError(f"all {len(latents)} latents hold NaN or infinite numbers: nothing to cluster.")
    if n_clusters < 1:
        raise ValueError(f"at least one cluster is needed, got {n_clusters}.")
    labels = np.full(len(latents), -1, dtype=np.int64)
    values = np.asarray(latents[finite], dtype=np.float64)
    distinct, which = np.unique(values, axis=0, return_inverse=True)
    if len(distinct) <= n_clusters:
        labels[finite] = which.ravel()
        return labels, len(distinct)
    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    fitted = spread_indices(len(values), MOST_FITTED)
    if len(np.unique(values[fitted], axis=0)) < n_clusters:
        fitted = np.arange(len(values))  # many are equal, so that the sample has fewer distinct ones than clusters
    means = KMeans(n_clusters, n_init=STARTS, random_state=state)  # pyright: ignore[reportArgumentType]
    with one_thread():  # sums of several threads would be added in varying order
        labels[finite] = means.fit(values[fitted]).predict(values)
    return labels, n_clusters


def pair_states_and_classes(reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0) -> StatesAndClasses:
    """Particles that have both a true state and a class, with these.

    Raises
    ------
    ValueError
        If something is missing (``explain_missing_classes``), the reconstruction is of another number of particles,
        or the particles with both have fewer than two states.
    """
    missing = explain_missing_classes(reconstruction, dataset.truth)
    if missing is not None or dataset.truth is None:
        raise ValueError(f"classes of {reconstruction.name} cannot be compared with states: it {missing}.")
    check_particles(reconstruction, dataset)
    states = dataset.truth.states
    n_states = len(np.unique(states[states >= 0]))
    found = _FOUND.setdefault(reconstruction, {})
    if (n_states, seed) not in found:
        found[n_states, seed] = classify(reconstruction, n_states, seed=seed)
    classes = found[n_states, seed]
    both = np.flatnonzero((states >= 0) & (classes.labels >= 0))
    n_present = len(np.unique(states[both]))
    if n_present < 2:
        raise ValueError(
            f"{len(both)} particles have both a true state and a class of {reconstruction.name}, "
            f"in {n_present} states: at least two states are needed."
        )
    left_out = states[(states >= 0) & (classes.labels < 0)]
    context: dict[str, int | float | str] = {
        "classes_from": classes.source,
        "n_classes": classes.n_classes,
        "n_states": n_present,
        "n_particles": len(both),
        "n_unknown_state": int((states < 0).sum()),
        "n_left_out": len(left_out),
        "coverage": len(both) / (len(both) + len(left_out)),
    }
    return StatesAndClasses(both, states[both], classes.labels[both], classes, left_out, context)


def count_pairs(
    states: Shaped[np.ndarray, "m"], labels: Shaped[np.ndarray, "m"], n_states: int, n_classes: int
) -> Int[np.ndarray, "states classes"]:
    """Number of particles of each state (rows) in each class (columns)."""
    cells = np.bincount(states.astype(np.int64) * n_classes + labels, minlength=n_states * n_classes)
    return cells.reshape(n_states, n_classes)


def match_classes(counts: Int[np.ndarray, "states classes"]) -> Int[np.ndarray, "classes"]:
    """State of each class: one to one where most particles agree, excess classes by their most frequent state.

    A class without particles gets −1.
    """
    matched = match_one_to_one(counts)
    return np.where(matched < 0, match_by_majority(counts), matched)


def match_one_to_one(counts: Int[np.ndarray, "states classes"]) -> Int[np.ndarray, "classes"]:
    """State of each class by the Hungarian method; −1 for excess classes, and those without particles of it."""
    states, classes = linear_sum_assignment(counts, maximize=True)
    matched = np.full(counts.shape[1], -1, dtype=np.int64)
    matched[classes] = np.where(counts[states, classes] > 0, states, -1)
    return matched


def match_by_majority(counts: Int[np.ndarray, "states classes"]) -> Int[np.ndarray, "classes"]:
    """Most frequent state in each class, the first among equals; −1 for a class without particles."""
    return np.where(counts.any(axis=0), np.argmax(counts, axis=0), -1)
