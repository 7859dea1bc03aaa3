"""Species of every particle, by the votes of all jobs.

Each species s has, in labelling l, a distribution θ over its classes; the labels of a particle are taken as
independent votes:

    p(s | labels of i) ∝ π_s Π_l θ_s,l(class of i in l),    θ_s,l(c) = (n_slc + a p_lc) / (n_sl + a)

with n_slc the particles of species s in class c of labelling l, p_lc the fraction of all particles there, and the
weight a of that prior. A labelling in which a class holds every species alike does not vote; one that separates them
decides. From the groups of the tree, species and θ are alternated until no particle changes (latent class analysis by
classification EM; Dawid & Skene, Appl. Stat. 28 (1979) 20, for the model). Votes of one particle are not independent,
since a noisy image is misplaced by many jobs, so the probabilities are too near 0 and 1; only the species are used.
"""

import numpy as np
from jaxtyping import Float, Int

from cryobench.methods.classification_ensemble.labels import Labellings

_PRIOR = 2.0
"""Weight of the prior, in particles."""
MOST_ROUNDS = 50
_CHUNK = 20_000


def vote(
    labellings: Labellings, initial: Int[np.ndarray, "n"], n_species: int, *, rounds: int = MOST_ROUNDS
) -> Int[np.ndarray, "n"]:
    """Species (n,) of every particle, from initial ones; those of initial species −1 have no part in the first θ.

    No species becomes empty: rounds end before that.
    """
    species = np.asarray(initial)
    for _ in range(rounds):
        found = assign(labellings, estimate_votes(labellings, species, n_species))
        if len(np.unique(found)) < n_species:
            break
        if np.array_equal(found, species):
            break
        species = found
    if (species < 0).any():
        # The first round emptied a species: the initial ones stand, and only the others vote.
        found = assign(labellings, estimate_votes(labellings, species, n_species))
        species = np.where(species < 0, found, species)
    return species


def estimate_votes(
    labellings: Labellings, species: Int[np.ndarray, "n"], n_species: int
) -> tuple[list[Float[np.ndarray, "s _"]], Float[np.ndarray, "s"]]:
    """Logarithms of θ, (species, classes) for each labelling, and of the populations (species,)."""
    known = species >= 0
    populations = np.bincount(species[known], minlength=n_species)
    logs = []
    for labels, totals in zip(labellings.labels, labellings.counts(), strict=True):
        used = known & (labels >= 0)
        counts = np.zeros((n_species, len(totals)))
        np.add.at(counts, (species[used], labels[used]), 1)
        prior = _PRIOR * totals / max(totals.sum(), 1)
        logs.append(_log((counts + prior) / (counts.sum(1, keepdims=True) + _PRIOR)))
    return logs, _log((populations + 1) / (populations.sum() + n_species))


def _log(values: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Logarithms without their last bits, which differ between processors and would decide equal votes."""
    return np.round(np.log(values), 9)


def assign(
    labellings: Labellings, votes: tuple[list[Float[np.ndarray, "s _"]], Float[np.ndarray, "s"]]
) -> Int[np.ndarray, "n"]:
    """Most probable species (n,) of each particle."""
    logs, populations = votes
    found = np.empty(labellings.labels.shape[1], dtype=np.int64)
    for first in range(0, len(found), _CHUNK):
        part = slice(first, first + _CHUNK)
        sums = np.repeat(populations[None], len(found[part]), axis=0)
        for labels, each in zip(labellings.labels[:, part], logs, strict=True):
            # Absent particles get the last row, which is zero.
            sums += np.vstack([each.T, np.zeros(len(populations))])[labels]
        found[part] = sums.argmax(1)
    return found
