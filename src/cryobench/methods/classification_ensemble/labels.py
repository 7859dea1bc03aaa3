"""Classes of many jobs as one table, independent of the order of jobs and the numbers of their classes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

ABSENT = -1
"""Label of a particle that was not in a job."""


@dataclass(frozen=True, eq=False)
class Labellings:
    """Classes of n particles by l labellings; labellings of one tree are not independent of each other."""

    labels: np.ndarray
    """(l, n) int32, numbered by first appearance among the particles; −1 for particles that were absent."""
    trees: np.ndarray
    """(l,) tree of each labelling, from 0 without gaps."""

    @classmethod
    def tidy(cls, labels: Int[np.ndarray, "l n"], trees: Int[np.ndarray, "t"] | None = None) -> "Labellings":
        """Labellings in canonical form: the same for any order of jobs and any numbers of classes.

        Parameters
        ----------
        labels
            (l, n) class of each particle in each labelling, any non-negative integers; negative where absent.
        trees
            (l,) any integers, equal for labellings that depend on each other; None if all are independent.

        Raises
        ------
        ValueError
            If there are no labellings, or fewer than two particles.
        """
        labels = np.asarray(labels)
        if labels.ndim != 2 or labels.shape[0] == 0 or labels.shape[1] < 2:
            raise ValueError(f"expected labels of at least one job and two particles, got shape {labels.shape}.")
        trees = np.arange(len(labels)) if trees is None else np.asarray(trees)
        if trees.shape != (len(labels),):
            raise ValueError(f"{len(labels)} labellings need as many trees, got {trees.shape}.")
        numbered = np.stack([_number_by_appearance(each) for each in labels])
        members: dict[int, list[bytes]] = {}
        for tree, each in zip(trees.tolist(), numbered, strict=True):
            members.setdefault(tree, []).append(each.tobytes())
        ordered = sorted(sorted(each) for each in members.values())
        flat = [(tree, each) for tree, group in enumerate(ordered) for each in group]
        table = np.stack([np.frombuffer(each, dtype=np.int32) for _, each in flat])
        return cls(table, np.array([tree for tree, _ in flat]))

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return int(self.trees.max()) + 1

    def of_trees(self, chosen: Int[np.ndarray, "t"]) -> "Labellings":
        """The labellings of some trees, which keep their numbers."""
        kept = np.isin(self.trees, chosen)
        return Labellings(self.labels[kept], self.trees[kept])

    def of_particles(self, chosen: Int[np.ndarray, "m"]) -> "Labellings":
        """The labellings of some particles (m,)."""
        return Labellings(self.labels[:, chosen], self.trees)

    def counts(self) -> list[Int[np.ndarray, "_"]]:
        """Particles in each class, one array (classes,) per labelling."""
        return [np.bincount(each[each >= 0], minlength=1) for each in self.labels]

    def chance(self) -> Float[np.ndarray, "l"]:
        """(l,) fraction of all pairs of particles that are in one class: Σ m (m − 1) / (n (n − 1))."""
        found = []
        for each in self.counts():
            total = max(each.sum(), 2)
            found.append((each * (each - 1.0)).sum() / (total * (total - 1.0)))
        return np.array(found)

    def one_hot(self) -> tuple[Float[np.ndarray, "n c"], Int[np.ndarray, "c"]]:
        """Memberships (n, c) float32 in the classes of all labellings, and the labelling (c,) of each class."""
        sizes = [len(each) for each in self.counts()]
        table = np.zeros((self.labels.shape[1], sum(sizes)), dtype=np.float32)
        first = 0
        for size, each in zip(sizes, self.labels, strict=True):
            present = np.flatnonzero(each >= 0)
            table[present, first + each[present]] = 1
            first += size
        return table, np.repeat(np.arange(len(sizes)), sizes)


def _number_by_appearance(labels: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Labels (n,) int32 numbered from 0 in the order of their first particles; negative ones are −1."""
    numbered = np.full(len(labels), ABSENT, dtype=np.int32)
    present = labels >= 0
    _, first, inverse = np.unique(labels[present], return_index=True, return_inverse=True)
    numbered[present] = np.argsort(np.argsort(first))[inverse]
    return numbered
