"""Jobs merged into one partition of the particles: tree, number of species with its uncertainty, and votes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cryobench.methods.classification_ensemble.hierarchy import Tree, build_tree, cut_tree
from cryobench.methods.classification_ensemble.labels import Labellings
from cryobench.methods.classification_ensemble.number import find_numbers
from cryobench.methods.classification_ensemble.votes import assign, estimate_votes, vote
from cryobench.rng import stream

MOST_BLOCKS = 40
"""Groups shown in the matrix of co-assignments, unless there are more species."""
_LEAST_PARTICLES = 5


@dataclass(frozen=True)
class MergeOptions:
    """Parameters of the merging; see the settings of the method."""

    n_species: int | None = None
    """None to find it."""
    least_population: float = 0.002
    """Fraction of the particles in the smallest species."""
    separation: float = 0.15
    n_halves: int = 10
    linkage_particles: int = 10_000
    """Particles of the tree; all others join by their votes."""
    halves_particles: int = 3_000
    """Particles of the trees of half of the jobs."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Co-assignments between groups of particles, finer than species."""

    shares: np.ndarray
    """(b, b) mean co-assignment above chance, see ``hierarchy``."""
    populations: np.ndarray
    """(b,) fractions of the particles of the tree."""
    merges: np.ndarray
    """(b − 1, 4) tree of the blocks, as in scipy."""
    species: np.ndarray
    """(b,) species of most particles of each block."""


@dataclass(frozen=True, eq=False)
class Merged:
    """Species found by merging jobs."""

    species: np.ndarray
    """(n,) species of each particle, the largest first."""
    n_species: int
    numbers: np.ndarray
    """(r,) numbers of species found by halves of the jobs; empty if the number was given."""
    intervals: np.ndarray
    """(species, 2) 5th and 95th percentile of the populations by the votes of halves of the jobs."""
    blocks: Blocks

    @property
    def populations(self) -> Float[np.ndarray, "s"]:
        """(species,) fractions of the particles."""
        return np.bincount(self.species, minlength=self.n_species) / len(self.species)


def merge_jobs(
    labels: Int[np.ndarray, "l n"],
    trees: Int[np.ndarray, "t"] | None = None,
    options: MergeOptions | None = None,
    seed: int = 0,
) -> Merged:
    """Partition of n particles that most jobs agree with.

    The result is the same, to the bit, for any order of jobs and any numbers of classes.

    Parameters
    ----------
    labels
        (l, n) class of each particle in each labelling, negative where it was absent.
    trees
        (l,) trees of the labellings; those of one tree depend on each other. None if all are independent.
    seed
        Of the random choices of particles and halves.

    Raises
    ------
    ValueError
        As ``Labellings.tidy`` and ``find_numbers``, or if more species were requested than there are groups of the
        least population.
    """
    options = options or MergeOptions()
    labellings = Labellings.tidy(labels, trees)
    n = labellings.labels.shape[1]
    numbers = np.zeros(0, dtype=int)
    if options.n_species is None:
        few = _draw(n, options.halves_particles, seed, "particles of the halves")
        least = _least(len(few), options)
        numbers = find_numbers(labellings.of_particles(few), least, options.separation, options.n_halves, seed)
    wanted = options.n_species if options.n_species is not None else int(np.median(numbers))
    chosen = _draw(n, options.linkage_particles, seed, "particles of the tree")
    sampled = labellings.of_particles(chosen)
    tree = build_tree(sampled)
    least = _least(len(chosen), options)
    cut = cut_tree(tree, least, wanted)
    if options.n_species is not None and len(cut.nodes) < wanted:
        raise ValueError(
            f"n_species is {wanted}, but the tree of jobs has only {len(cut.nodes)} groups of at least {least} "
            "particles: set n_species or least_population lower, or make more jobs."
        )
    found = len(cut.nodes)
    initial = np.full(n, -1)
    for number, node in enumerate(cut.nodes):
        initial[chosen[tree.members(node)]] = number
    species = vote(labellings, initial, found)
    sizes = np.bincount(species, minlength=found)
    ranks = np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")
    species = ranks[species]
    return Merged(
        species,
        found,
        numbers,
        _find_intervals(labellings, species, found, options, seed),
        _show_blocks(tree, sampled, species[chosen], least, max(MOST_BLOCKS, found)),
    )


def _least(count: int, options: MergeOptions) -> int:
    return min(max(_LEAST_PARTICLES, int(np.ceil(options.least_population * count))), max(1, count // 2))


def _draw(n: int, most: int, seed: int, purpose: str) -> Int[np.ndarray, "m"]:
    if n <= most:
        return np.arange(n)
    return np.sort(stream(seed, purpose).choice(n, most, replace=False))


def _find_intervals(
    labellings: Labellings, species: Int[np.ndarray, "n"], n_species: int, options: MergeOptions, seed: int
) -> Float[np.ndarray, "s 2"]:
    """5th and 95th percentile of the populations by the votes of random halves of the trees."""
    n_trees = labellings.n_trees
    if n_trees < 2:
        return np.full((n_species, 2), np.nan)
    populations = []
    few = _draw(len(species), options.linkage_particles, seed, "particles of the intervals")
    sampled = labellings.of_particles(few)
    for number in range(options.n_halves):
        order = stream(seed, "halves of the votes", number).permutation(n_trees)
        for part in (order[: n_trees // 2], order[n_trees // 2 :]):
            half = sampled.of_trees(part)
            found = assign(half, estimate_votes(half, species[few], n_species))
            populations.append(np.bincount(found, minlength=n_species) / len(few))
    return np.percentile(np.array(populations), [5, 95], axis=0).T


def _show_blocks(tree: Tree, labellings: Labellings, species: Int[np.ndarray, "n"], least: int, most: int) -> Blocks:
    cut = cut_tree(tree, least, most)
    members, labelling = labellings.one_hot()
    chance = labellings.chance()
    groups = [tree.members(node) for node in cut.nodes]
    sums = np.stack([members[each].sum(0, dtype=np.float64) for each in groups])
    present = (labellings.labels >= 0).T.astype(np.float64)
    there = np.stack([present[each].sum(0) for each in groups])
    together = sums @ sums.T
    pairs = there @ (chance[:, None] * there.T)
    possible = there @ ((1 - chance)[:, None] * there.T)
    # Pairs of a particle with itself are not counted.
    own = np.diag([float(present[each].sum()) for each in groups])
    own_chance = np.diag([float((present[each] @ chance).sum()) for each in groups])
    excess = together - own - (pairs - own_chance)
    most_possible = possible - (own - own_chance)
    del labelling
    shares = np.divide(excess, most_possible, out=np.zeros_like(excess), where=most_possible > 1e-9)
    majority = np.array([np.bincount(species[each]).argmax() for each in groups])
    populations = np.array([len(each) for each in groups]) / len(species)
    return Blocks(shares, populations, cut.merges, majority)
