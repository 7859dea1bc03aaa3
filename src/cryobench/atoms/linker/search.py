"""The search for a conformation without clashes: exact, and far faster than drawing the whole linker every time.

A long linker drawn at once hardly ever is free of clashes. So it is halved, each half drawn until it is free in
itself (and, where it is an end, free of the Fab or the rest it hangs on), the halves joined, and both thrown away
if the whole clashes; and so on for the halves of halves. What a half is tested for the whole is tested for as well,
so the accepted wholes follow just the law that drawing whole linkers would give (dimerization: Alexandrowicz, J.
Chem. Phys. 51 (1969) 561).
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial import KDTree

from cryobench.atoms.linker import geometry
from cryobench.atoms.linker.coil import draw_dihedrals
from cryobench.atoms.linker.pieces import Piece, PieceBuilder
from cryobench.atoms.model import AtomicModel

_LEAF = 7
"""Pieces of up to this many residues are drawn at once."""


class ClashFinder:
    """Least distances of heavy atoms that may clash: not within a residue, nor between neighbours in the chain."""

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
        self._fab_alphas = model.positions[fab & heavy & (model.atom_names == "CA")]
        self._fab_tree, self._fab_tree_but_before = _build_trees(model, fab & heavy, chain.atoms_before)
        self._rest_tree, self._rest_tree_but_after = _build_trees(model, rest & heavy, chain.atoms_after)

    def measure(self, piece: Piece) -> float:
        """Å; at least clash_distance (or infinity) if the piece is free, else that of the first clash met.

        A piece at an end of the linker is tested against what it hangs on, the whole linker for the Fab as well;
        what is cheap comes first.
        """
        heavy, owner = self._builder.list_heavy(piece)
        atoms = piece.atoms[heavy]
        closest = self._within(atoms, owner)
        at_fab, at_rest = piece.first == 0, piece.stop == self._last + 1
        if at_fab and closest >= self.clash_distance:
            found = geometry.move(self._builder.start, atoms)
            closest = min(closest, self._to_body(self._fab_tree, self._fab_tree_but_before, found, owner == 0))
        if at_rest and closest >= self.clash_distance:
            frame = self._builder.locate(piece)
            found = geometry.move(frame, atoms)
            closest = min(
                closest, self._to_body(self._rest_tree, self._rest_tree_but_after, found, owner == self._last)
            )
            motion = frame @ geometry.invert(self._builder.start)
            for body in (self._fab_alphas, self._fab) if at_fab else ():
                if closest >= self.clash_distance:
                    closest = min(closest, self._nearest(self._rest_tree, geometry.move(motion, body)))
        return closest

    def _within(self, atoms: Float64[np.ndarray, "m 3"], owner: Int64[np.ndarray, " m"]) -> float:
        pairs = KDTree(atoms).query_pairs(self.clash_distance, output_type="ndarray")
        pairs = pairs[np.abs(owner[pairs[:, 0]] - owner[pairs[:, 1]]) > 1]
        return float(np.min(np.linalg.norm(atoms[pairs[:, 0]] - atoms[pairs[:, 1]], axis=1), initial=np.inf))

    def _to_body(
        self,
        tree: KDTree,
        without_neighbour: KDTree,
        atoms: Float64[np.ndarray, "m 3"],
        bonded: Bool[np.ndarray, " m"],
    ) -> float:
        return min(self._nearest(tree, atoms[~bonded]), self._nearest(without_neighbour, atoms[bonded]))

    def _nearest(self, tree: KDTree, atoms: Float64[np.ndarray, "m 3"]) -> float:
        distances, _ = tree.query(atoms, distance_upper_bound=self.clash_distance)
        return float(np.min(distances, initial=np.inf))


def _build_trees(
    model: AtomicModel, body: Bool[np.ndarray, " a"], neighbour: Int64[np.ndarray, " b"]
) -> tuple[KDTree, KDTree]:
    """Of a body's atoms, and of those without the residue that is bonded to the linker."""
    without = body.copy()
    without[neighbour] = False
    return KDTree(model.positions[body]), KDTree(model.positions[without])


class NoSolution(Exception):
    """The tries are used up; the message says how far they came."""


class LinkerSearch:
    """One search: its random numbers, and how many tries it has left. A try is one piece drawn or joined."""

    def __init__(
        self, builder: PieceBuilder, clashes: ClashFinder, generator: np.random.Generator, max_tries: int
    ) -> None:
        self._builder, self._clashes, self._generator = builder, clashes, generator
        self._left = max_tries
        self._best: dict[tuple[int, int], float] = {}

    def find(self) -> Piece:
        """The whole linker without a clash. NoSolution if the tries do not suffice."""
        return self._draw(0, len(self._builder.chain.labels))

    def _draw(self, first: int, stop: int) -> Piece:
        while self._left > 0:
            piece = self._propose(first, stop)
            self._left -= 1
            closest = self._clashes.measure(piece)
            if closest >= self._clashes.clash_distance:
                return piece
            self._best[first, stop] = max(closest, self._best.get((first, stop), 0.0))
        raise NoSolution(self._describe())

    def _propose(self, first: int, stop: int) -> Piece:
        if stop - first <= _LEAF:
            names = self._builder.chain.names[first : stop + 1]
            return self._builder.grow(first, draw_dihedrals(names, self._generator))
        middle = (first + stop) // 2
        return self._draw(first, middle).joined(self._draw(middle, stop))

    def _describe(self) -> str:
        if not self._best:
            return "All tries went into the pieces."
        first, stop = max(self._best, key=lambda piece: piece[1] - piece[0])
        labels = self._builder.chain.labels
        return (
            f"The longest piece tried, {labels[first]} to {labels[stop - 1]}, came to "
            f"{self._best[first, stop]:.2f} Å at best."
        )
