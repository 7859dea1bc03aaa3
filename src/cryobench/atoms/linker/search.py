"""Search for a conformation without clashes: exact, and far faster than drawing the whole linker every time.

A long linker drawn at once is hardly ever free of clashes. So it is halved, each half drawn until it is free of
clashes within itself (and, at an end, with the Fab or the rest), the halves joined, and both discarded if the
whole clashes; and so on recursively. Every test of a half applies to the whole as well, so the accepted
conformations follow exactly the distribution of drawing whole linkers (dimerization: Alexandrowicz, J.
Chem. Phys. 51 (1969) 561).
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial import KDTree

from cryobench.atoms.linker import geometry
from cryobench.atoms.linker.coil import LinkerDihedrals, draw_dihedrals
from cryobench.atoms.linker.pieces import Piece, PieceBuilder
from cryobench.atoms.model import AtomicModel, is_alpha_carbon

_LEAF = 7
"""Pieces of up to this many residues are drawn at once, so many at a time:"""
_BATCH = 16


class ClashFinder:
    """Minimum distances of heavy atoms that may clash: not within a residue, nor between neighbours in the chain."""

    def __init__(
        self, model: AtomicModel, builder: PieceBuilder, fab: Bool[np.ndarray, " a"], clash_distance: float
    ) -> None:
        self.clash_distance = clash_distance
        self._builder = builder
        chain = builder.chain
        self._last = len(chain.labels) - 1
        heavy = model.atomic_numbers > 1
        rest = ~fab
        rest[chain.atoms] = False
        self._fab = model.positions[fab & heavy]
        self._fab_alphas = model.positions[fab & heavy & is_alpha_carbon(model)]
        self._fab_tree, self._fab_tree_but_before = _build_trees(model, fab & heavy, chain.atoms_before)
        self._rest_tree, self._rest_tree_but_after = _build_trees(model, rest & heavy, chain.atoms_after)

    def measure(self, piece: Piece) -> Float64[np.ndarray, " k"]:
        """(k,) Å for each alternative: at least clash_distance (or infinity) if free, else the distance of a clash.

        A piece at an end of the linker is tested against the adjacent body, the whole linker against the Fab as well;
        cheap tests come first, and alternatives that clash are not tested further.
        """
        heavy, owner = self._builder.list_heavy(piece)
        atoms = piece.atoms[:, heavy]
        closest = self._within(atoms, owner)
        at_fab, at_rest = piece.first == 0, piece.stop == self._last + 1
        if at_fab:
            found = geometry.move(self._builder.start, atoms)
            self._ask(closest, found[:, owner > 0], self._fab_tree)
            self._ask(closest, found[:, owner == 0], self._fab_tree_but_before)
        if at_rest:
            frame = self._builder.locate(piece)
            found = geometry.move(frame, atoms)
            self._ask(closest, found[:, owner < self._last], self._rest_tree)
            self._ask(closest, found[:, owner == self._last], self._rest_tree_but_after)
            motion = frame @ geometry.invert(self._builder.start)
            for body in (self._fab_alphas, self._fab) if at_fab else ():
                free = closest >= self.clash_distance
                if free.any():
                    closest[free] = self._nearest(geometry.move(motion[free], body), self._rest_tree)
        return closest

    def _within(
        self, atoms: Float64[np.ndarray, "k m 3"], owner: Int64[np.ndarray, " m"]
    ) -> Float64[np.ndarray, " k"]:
        # A fourth coordinate separates the alternatives, so that one tree serves them all.
        count, size = atoms.shape[:2]
        apart = np.repeat(10.0 * self.clash_distance * np.arange(count), size)
        points = np.column_stack([atoms.reshape(-1, 3), apart])
        pairs = KDTree(points).query_pairs(self.clash_distance, output_type="ndarray")
        pairs = pairs[np.abs(owner[pairs[:, 0] % size] - owner[pairs[:, 1] % size]) > 1]
        closest = np.full(count, np.inf)
        distances = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
        np.minimum.at(closest, pairs[:, 0] // size, distances)
        return closest

    def _ask(self, closest: Float64[np.ndarray, " k"], atoms: Float64[np.ndarray, "k m 3"], tree: KDTree) -> None:
        """Update the distances of the alternatives that are free so far."""
        free = closest >= self.clash_distance
        if free.any() and atoms.shape[1]:
            closest[free] = self._nearest(atoms[free], tree)

    def _nearest(self, atoms: Float64[np.ndarray, "k m 3"], tree: KDTree) -> Float64[np.ndarray, " k"]:
        distances, _ = tree.query(atoms, distance_upper_bound=self.clash_distance)
        return np.asarray(distances).min(axis=1)


def _build_trees(
    model: AtomicModel, body: Bool[np.ndarray, " a"], neighbour: Int64[np.ndarray, " b"]
) -> tuple[KDTree, KDTree]:
    """Trees of a body's atoms, and of those without the residue bonded to the linker."""
    without = body.copy()
    without[neighbour] = False
    return KDTree(model.positions[body]), KDTree(model.positions[without])


class NoSolution(Exception):
    """The tries are used up; the message states the best result."""


class LinkerSearch:
    """One search: its random numbers, and the remaining tries. A try is one piece drawn or joined."""

    def __init__(
        self, builder: PieceBuilder, clashes: ClashFinder, generator: np.random.Generator, max_tries: int
    ) -> None:
        self._builder, self._clashes, self._generator = builder, clashes, generator
        self._left = max_tries
        self._best: dict[tuple[int, int], float] = {}
        # Free pieces not yet used, in reverse: each is used once, so used pieces are independent draws.
        self._ready: dict[tuple[int, int], list[Piece]] = {}

    def find(self) -> LinkerDihedrals:
        """Dihedrals of the whole linker without a clash. NoSolution if the tries do not suffice."""
        return self._draw(0, len(self._builder.chain.labels)).dihedrals.pick(0)

    def _draw(self, first: int, stop: int) -> Piece:
        """A piece without a clash, with a leading axis of one."""
        ready = self._ready.setdefault((first, stop), [])
        while not ready:
            if self._left <= 0:
                raise NoSolution(self._describe())
            pieces = self._propose(first, stop)
            closest = self._clashes.measure(pieces)
            self._left -= len(closest)
            free = np.flatnonzero(closest >= self._clashes.clash_distance)
            if len(free) == 0:
                self._best[first, stop] = max(float(closest.max()), self._best.get((first, stop), 0.0))
            ready.extend(pieces.pick(slice(index, index + 1)) for index in free[::-1])
        return ready.pop()

    def _propose(self, first: int, stop: int) -> Piece:
        if stop - first <= _LEAF:
            names = self._builder.chain.names[first : stop + 1]
            return self._builder.grow(first, draw_dihedrals(names, self._generator, min(_BATCH, self._left)))
        middle = (first + stop) // 2
        return self._draw(first, middle).joined(self._draw(middle, stop))

    def _describe(self) -> str:
        if not self._best:
            return "All tries were used for pieces."
        first, stop = max(self._best, key=lambda piece: piece[1] - piece[0])
        labels = self._builder.chain.labels
        return (
            f"The longest piece tried, {labels[first]} to {labels[stop - 1]}, reached "
            f"{self._best[first, stop]:.2f} Å at best."
        )
