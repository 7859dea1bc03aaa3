"""Co-assignment of pairs of particles above chance, its average-linkage tree, and cuts of the tree into groups.

Two particles i and j that were in labellings L_ij together have the co-assignment

    s_ij = Σ_{l ∈ L_ij} (1[same class] − q_l) / Σ_{l ∈ L_ij} (1 − q_l)

where q_l is the probability that two random particles of labelling l are in one class: 1 if they are always together,
0 if as often as chance. Without absent particles it is a linear function of the fraction of jobs in which both are in
one class, so average linkage gives the same tree. Groups are merged by mean s, at height 1 − s.

A cut descends from the root, the highest node first. A node whose smaller branch has fewer than ``least`` particles
is not a branching into groups: these few particles are left out, and join a group by their votes (``votes``).
"""

import heapq
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import leaves_list, linkage

from cryobench.methods.classification_ensemble.labels import Labellings

_ROWS = 1024
"""Rows of the matrix of pairs that are made at a time."""
_FLOAT32_BITS = 24


def tree_bytes(n: int) -> float:
    """Bytes that the tree of n particles takes: distances of all pairs twice, and some rows of the matrix."""
    return 8.0 * n * n + 24.0 * _ROWS * n


def measure_distances(labellings: Labellings) -> Float[np.ndarray, "p"]:
    """Distances 1 − s of all pairs (n (n − 1) / 2,) float64, in scipy's order; 1 for pairs never in one labelling.

    The q_l are rounded so that their sums are exact in float32, in whatever order a processor adds: pairs of equal
    labels have equal distances, and such ties decide the tree.
    """
    chance = _round_for_sums(labellings.chance())
    useful = chance < 1
    if not useful.any():
        n = labellings.labels.shape[1]
        return np.ones(n * (n - 1) // 2)
    labellings, chance = Labellings(labellings.labels[useful], labellings.trees[useful]), chance[useful]
    members, _ = labellings.one_hot()
    present = (labellings.labels >= 0).T.astype(np.float32)
    expected, possible = present * chance.astype(np.float32), present * (1 - chance).astype(np.float32)
    whole = bool(present.all())
    n = len(members)
    distances = np.empty(n * (n - 1) // 2)
    filled = 0
    for first in range(0, n - 1, _ROWS):
        last = min(first + _ROWS, n - 1)
        together = members[first:last] @ members[first:].T
        if whole:
            excess, most = together - np.float32(chance.sum()), np.float32((1 - chance).sum())
        else:
            excess = together - expected[first:last] @ present[first:].T
            most = np.maximum(possible[first:last] @ present[first:].T, 1e-6)
        rows = np.maximum(1 - excess / most, 0)
        for row in range(last - first):
            kept = rows[row, row + 1 :]
            distances[filled : filled + len(kept)] = kept
            filled += len(kept)
    return distances


def _round_for_sums(values: Float[np.ndarray, "l"]) -> Float[np.ndarray, "l"]:
    """Values from 0 to 1 in steps of which float32 holds the sum of all exactly."""
    steps = 2.0 ** (_FLOAT32_BITS - int(np.ceil(np.log2(len(values) + 1))))
    return np.round(values * steps) / steps


@dataclass(frozen=True, eq=False)
class Tree:
    """Average-linkage tree of n particles."""

    merges: np.ndarray
    """(n − 1, 4) as in scipy: two nodes, height, particles."""
    order: np.ndarray
    """(n,) particles in the order of the leaves."""
    firsts: np.ndarray
    """(2n − 1,) position in that order of the first leaf of each node."""
    sizes: np.ndarray
    """(2n − 1,) particles of each node."""

    @property
    def root(self) -> int:
        """The last node."""
        return len(self.sizes) - 1

    def branches(self, node: int) -> tuple[int, int]:
        """The two nodes that were merged, the larger first."""
        one, other = self.merges[node - len(self.order), :2].astype(int).tolist()
        return (one, other) if self.sizes[one] >= self.sizes[other] else (other, one)

    def height(self, node: int) -> float:
        """Height of a node; 0 for a particle."""
        return 0.0 if node < len(self.order) else float(self.merges[node - len(self.order), 2])

    def members(self, node: int) -> Int[np.ndarray, "m"]:
        """Particles (m,) of a node."""
        return self.order[self.firsts[node] : self.firsts[node] + self.sizes[node]]


def build_tree(labellings: Labellings) -> Tree:
    """Average-linkage tree of all particles of the labellings; memory as ``tree_bytes``."""
    n = labellings.labels.shape[1]
    merges = linkage(measure_distances(labellings), "average")
    order = leaves_list(merges)
    firsts, sizes = np.empty(2 * n - 1, dtype=int), np.ones(2 * n - 1, dtype=int)
    firsts[order] = np.arange(n)
    for index, (one, other) in enumerate(merges[:, :2].astype(int)):
        firsts[n + index] = min(firsts[one], firsts[other])
        sizes[n + index] = sizes[one] + sizes[other]
    return Tree(merges, order, firsts, sizes)


@dataclass(frozen=True, eq=False)
class Cut:
    """Disjoint groups of particles, nodes of a tree, and the merges that join them."""

    nodes: list[int]
    """Node of each of g groups, in the order of the leaves."""
    merges: np.ndarray
    """(g − 1, 4) merges of the groups, as in scipy: two nodes, height, groups."""


def cut_tree(tree: Tree, least: int, most: int) -> Cut:
    """Up to ``most`` groups of at least ``least`` particles, the highest nodes being divided first."""
    heap: list[tuple[float, int, int, int]] = []
    groups: list[int] = []
    divisions: list[tuple[float, int, int, int]] = []

    def add(node: int) -> None:
        below = node
        while tree.sizes[below] >= 2 * least and below >= len(tree.order):
            one, other = tree.branches(below)
            if tree.sizes[other] >= least:
                heapq.heappush(heap, (-tree.height(below), node, one, other))
                return
            below = one
        groups.append(node)

    add(tree.root)
    while heap and len(heap) + len(groups) < most:
        height, node, one, other = heapq.heappop(heap)
        divisions.append((-height, node, one, other))
        add(one)
        add(other)
    groups += [node for _, node, _, _ in heap]
    groups.sort(key=lambda node: int(tree.firsts[node]))
    return Cut(groups, _join(groups, divisions))


def _join(groups: list[int], divisions: list[tuple[float, int, int, int]]) -> Float[np.ndarray, "m 4"]:
    """Merges (g − 1, 4) of the groups from the divisions that made them, lowest first."""
    numbers = {node: index for index, node in enumerate(groups)}
    sizes = dict.fromkeys(groups, 1)
    merges = np.zeros((len(divisions), 4))
    # Heights of an average-linkage tree ascend, so a division comes after all of those that it contains.
    for index, (height, node, one, other) in enumerate(reversed(divisions)):
        sizes[node] = sizes[one] + sizes[other]
        low, high = sorted((numbers[one], numbers[other]))
        merges[index] = low, high, height, sizes[node]
        numbers[node] = len(groups) + index
    return merges
