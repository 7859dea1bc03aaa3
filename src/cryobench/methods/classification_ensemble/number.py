"""Number of species: as many as one half of the jobs can find that tell anything of the classes of the other half.

The jobs are divided into halves at random. With the tree and the votes of one half the particles are divided into m
groups, for growing m. The other half of the jobs had no part in that: its labels are predicted from the groups by

    G(m) = Σ_i Σ_l log θ_−i(class of i in l | group of i)

with θ_−i the distribution of the labels of the group without particle i. G grows as long as further groups are
species, and falls if they are arbitrary, since smaller groups predict with less certainty. The choice is the smallest
m from which what is left to gain is less than a fourth of the mean gain of a species, and 1 if there is no
significant gain.

Then groups are joined while some pair A and B is not separated by the other half of the jobs. With within the
fraction of pairs of different particles of one group that are in one class, and between that of pairs of both, summed
over labellings,

    separation(A, B) = 1 − between / (½ (within A + within B)),

1 if no class ever holds particles of both, 0 in expectation for two parts of one species.

This is repeated for many random halves, both ways. The median is the number of species, the 5th and 95th percentiles
its interval. Half of the jobs find less than all, so the number errs on the low side where jobs are few.
"""

import numpy as np
from jaxtyping import Float, Int

from cryobench.methods.classification_ensemble.hierarchy import Tree, build_tree, cut_tree
from cryobench.methods.classification_ensemble.labels import Labellings
from cryobench.methods.classification_ensemble.votes import vote
from cryobench.rng import stream

MOST_SPECIES = 400
_LEFT = 0.25
"""Gain left, in mean gains of a species, below which there are no more."""
_SIGNIFICANCE = 4.0
"""Standard errors above which a gain is significant."""
_PATIENCE = 4
"""Candidate numbers without further gain after which larger ones are not tried."""
_DENSE, _GROWTH = 16, 1.1
"""All candidates up to the first; beyond, growing by that factor."""
_ROUNDS = 10


def find_numbers(
    labellings: Labellings, least: int, separation: float, n_halves: int, seed: int
) -> Int[np.ndarray, "r"]:
    """Numbers of groups (2 n_halves,) that one half of the jobs finds and the other confirms.

    Parameters
    ----------
    labellings
        Of some particles, with at least two trees.
    least
        Particles of the smallest group.
    separation
        Least separation of two groups, 0 to 1.
    n_halves
        Random divisions of the trees into halves.

    Raises
    ------
    ValueError
        If there is one tree only.
    """
    n_trees = labellings.n_trees
    if n_trees < 2:
        raise ValueError(
            "the number of species is found by comparing jobs, and there is only one tree of jobs: make more jobs, "
            "or give n_species."
        )
    found = []
    for number in range(n_halves):
        order = stream(seed, "halves of the jobs", number).permutation(n_trees)
        halves = [labellings.of_trees(order[: n_trees // 2]), labellings.of_trees(order[n_trees // 2 :])]
        for half, other in (halves, halves[::-1]):
            groups = _divide(half, other, least)
            found.append(count_separate(other, groups, separation))
    return np.array(found)


def _divide(half: Labellings, other: Labellings, least: int) -> Int[np.ndarray, "n"]:
    """Groups (n,) by one half of the jobs, as many as tell anything of the labels of the other half."""
    tree = build_tree(half)
    gains = {1: predict_labels(other, np.zeros(half.labels.shape[1], dtype=np.int64))}
    divisions = {1: np.zeros(half.labels.shape[1], dtype=np.int64)}
    best, count, waited = 1, 1, 0
    while waited < _PATIENCE and count < MOST_SPECIES:
        count = count + 1 if count < _DENSE else int(np.ceil(count * _GROWTH))
        groups = _cut(tree, half, least, count)
        if groups is None:
            break
        divisions[count], gains[count] = groups, predict_labels(other, groups)
        if gains[count].sum() > gains[best].sum():
            best, waited = count, 0
        else:
            waited += 1
    rise = gains[best] - gains[1]
    error = rise.std() * np.sqrt(len(rise))
    if not rise.sum() > _SIGNIFICANCE * error:
        return divisions[1]
    for number in sorted(gains):
        left = (gains[best] - gains[number]).sum()
        if left < _LEFT * rise.sum() / max(number, 2):
            return divisions[number]
    return divisions[best]


def _cut(tree: Tree, labellings: Labellings, least: int, count: int) -> Int[np.ndarray, "n"] | None:
    """Groups (n,) of the tree and its votes; None if it has fewer."""
    nodes = cut_tree(tree, least, count).nodes
    if len(nodes) < count:
        return None
    initial = np.full(len(tree.order), -1)
    for number, node in enumerate(nodes):
        initial[tree.members(node)] = number
    return vote(labellings, initial, count, rounds=_ROUNDS)


def predict_labels(labellings: Labellings, groups: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Log-likelihood (n,) of the labels of each particle, given those of all others in its group."""
    total = np.zeros(len(groups))
    n_groups = int(groups.max()) + 1
    for labels, sizes in zip(labellings.labels, labellings.counts(), strict=True):
        present = labels >= 0
        counts = np.zeros((n_groups, len(sizes)))
        np.add.at(counts, (groups[present], labels[present]), 1)
        prior = sizes / max(sizes.sum(), 1)
        own, group = labels[present], groups[present]
        rest = counts[group, own] - 1 + prior[own]
        total[present] += np.log(rest / counts[group].sum(1))
    return total


def count_separate(labellings: Labellings, groups: Int[np.ndarray, "n"], separation: float) -> int:
    """Number of groups after those are joined that the labellings do not separate, the least separated first."""
    members, labelling = labellings.one_hot()
    counts = np.zeros((int(groups.max()) + 1, members.shape[1]))
    np.add.at(counts, groups, members)
    while len(counts) > 1:
        found = measure_separations(counts, labelling)
        np.fill_diagonal(found, np.inf)
        one, other = np.unravel_index(int(found.argmin()), found.shape)
        if found[one, other] >= separation:
            break
        counts[one] += counts[other]
        counts = np.delete(counts, other, axis=0)
    return len(counts)


def measure_separations(
    counts: Float[np.ndarray, "g c"], labelling: Int[np.ndarray, "c"]
) -> Float[np.ndarray, "g g"]:
    """Separation of each pair of groups with class counts (g, c), of the classes' labellings (c,)."""
    totals = np.zeros((len(counts), int(labelling.max()) + 1))
    np.add.at(totals.T, labelling, counts.T)
    sizes = totals[:, labelling]
    shares = np.divide(counts, sizes, out=np.zeros_like(counts), where=sizes > 1)
    own = np.divide(counts * (counts - 1), sizes * (sizes - 1), out=np.zeros_like(counts), where=sizes > 1).sum(1)
    # Labellings in which a group is absent are the same for all groups, except by accident.
    within, between = 0.5 * (own[:, None] + own), shares @ shares.T
    # Rounded, as the last bits, which differ between processors, would decide between equal pairs.
    return np.round(1 - np.divide(between, within, out=np.ones_like(between), where=within > 0), 9)
