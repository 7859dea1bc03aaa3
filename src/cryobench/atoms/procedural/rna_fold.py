"""Positions of the helices of a large RNA: trees of straight rods, drawn together by domain until they touch.

Each piece of RNA is a tree of helices as in a secondary structure: one or two others are attached to a helix's far
end. Helices are rods of beads that keep 19 Å from the beads of all others, a little less than the diameter of A-form
RNA, whose grooves interlock; joined ends are kept within reach; and a fading pull to the centre of the piece
packs them. The iteration is a Jacobi sweep, after which every rod is straightened.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from cryobench.atoms.procedural.ribosome_parts import RnaPiece
from cryobench.atoms.procedural.rna_helix import RISE

DIAMETER = 19.0
"""Distance in Å between beads of different helices."""
_MEAN_PAIRS, _BEAD = 11, 8.4
_JUNCTION = 20.0
_ROUNDS, _PULL, _PULLED = 240, 0.05, 0.7
_FACE = 48.0
_VOLUME_OF_PAIR = 1300.0


@dataclass(frozen=True, eq=False)
class Helices:
    """h helices: number of base pairs, piece of RNA, parent helix (-1: none), and pose.

    ``rotations`` take a helix's local frame, with its axis along z, to that of the molecule; ``centres`` are in Å.
    """

    pairs: Int[np.ndarray, " h"]
    pieces: Int[np.ndarray, " h"]
    parents: Int[np.ndarray, " h"]
    rotations: Float[np.ndarray, "h 3 3"]
    centres: Float[np.ndarray, "h 3"]

    @property
    def beads(self) -> tuple[Float[np.ndarray, "b 3"], Int[np.ndarray, " b"]]:
        """Points about 8.4 Å apart along every helix, and the helix of each."""
        rods, offsets = _lay_beads(self.pairs)
        return self.centres[rods] + offsets[:, None] * self.rotations[rods, :, 2], rods


def fold_helices(pieces: tuple[RnaPiece, ...], generator: np.random.Generator) -> Helices:
    """Helices of all pieces, packed."""
    drawn = [_draw_tree(piece.nucleotides // 2, generator) for piece in pieces]
    counts = [len(pairs) for pairs, _ in drawn]
    before = np.concatenate([[0], np.cumsum(counts)])
    pairs = np.concatenate([pairs for pairs, _ in drawn])
    trees = [tree for _, tree in drawn]
    parents = np.concatenate(
        [np.where(tree < 0, -1, tree + first) for tree, first in zip(trees, before[:-1], strict=True)]
    )
    owners = np.repeat(np.arange(len(pieces)), counts)
    middles = np.array([piece.centre for piece in pieces], dtype=np.float64)[owners]
    radii = np.cbrt([3 * _VOLUME_OF_PAIR * piece.nucleotides / 2 / (4 * np.pi) for piece in pieces])[owners]
    centres = middles + radii[:, None] * _draw_in_ball(len(pairs), generator)
    axes = generator.standard_normal((len(pairs), 3))
    centres, axes = _relax(centres, axes / np.linalg.norm(axes, axis=1, keepdims=True), pairs, parents, middles)
    return Helices(pairs, owners, parents, _complete_frames(axes, generator), centres)


def _draw_tree(pairs: int, generator: np.random.Generator) -> tuple[Int[np.ndarray, " h"], Int[np.ndarray, " h"]]:
    """Lengths of the helices that make up ``pairs``, and the parent of each: one of the last six with room."""
    count = max(1, round(pairs / _MEAN_PAIRS))
    weights = generator.uniform(0.7, 1.3, count)
    lengths = np.floor(weights / weights.sum() * pairs).astype(np.int64)
    lengths[: pairs - lengths.sum()] += 1
    parents = np.full(count, -1)
    carried = np.zeros(count, dtype=np.int64)
    for helix in range(1, count):
        room = [other for other in range(max(0, helix - 6), helix) if carried[other] < 2]
        parents[helix] = room[int(generator.integers(len(room)))]
        carried[parents[helix]] += 1
    return lengths, parents


def _draw_in_ball(count: int, generator: np.random.Generator) -> Float[np.ndarray, "h 3"]:
    directions = generator.standard_normal((count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True) * np.cbrt(generator.random((count, 1)))


def _lay_beads(pairs: Int[np.ndarray, " h"]) -> tuple[Int[np.ndarray, " b"], Float[np.ndarray, " b"]]:
    """Helix of each bead, and its position along the axis from the centre, Å."""
    counts = np.maximum(2, np.round(pairs * RISE / _BEAD).astype(np.int64))
    rods = np.repeat(np.arange(len(pairs)), counts)
    within = np.arange(len(rods)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rods, (within - (counts[rods] - 1) / 2) * (pairs * RISE / counts)[rods]


def _relax(
    centres: Float[np.ndarray, "h 3"],
    axes: Float[np.ndarray, "h 3"],
    pairs: Int[np.ndarray, " h"],
    parents: Int[np.ndarray, " h"],
    middles: Float[np.ndarray, "h 3"],
) -> tuple[Float[np.ndarray, "h 3"], Float[np.ndarray, "h 3"]]:
    """Centres and axes of the packed rods."""
    count = len(pairs)
    rods, offsets = _lay_beads(pairs)
    weights, inertia = np.bincount(rods), np.bincount(rods, offsets**2)
    half = (pairs * RISE / 2)[:, None]
    children = np.flatnonzero(parents >= 0)
    bearers = parents[children]
    for round_ in range(_ROUNDS):
        beads = centres[rods] + offsets[:, None] * axes[rods]
        close = _find_close(beads, DIAMETER)
        close = close[rods[close[:, 0]] != rods[close[:, 1]]]
        apart = _correct(beads[close[:, 1]] - beads[close[:, 0]], DIAMETER, np.inf)
        push = _scatter(close[:, 0], apart, len(beads)) - _scatter(close[:, 1], apart, len(beads))
        shift = _scatter(rods, push, count) / weights[:, None]
        turn = _scatter(rods, push * offsets[:, None], count) / inertia[:, None]
        ends, starts = (centres + half * axes)[bearers], (centres - half * axes)[children]
        joined = 0.5 * _correct(starts - ends, 0.0, _JUNCTION)
        shift += _scatter(bearers, joined, count) - _scatter(children, joined, count)
        turn += (_scatter(bearers, joined, count) + _scatter(children, joined, count)) / half
        shift += _PULL * max(0.0, 1 - round_ / (_PULLED * _ROUNDS)) * (middles - centres)
        # The interface with the small subunit is flat.
        shift[:, 2] -= 0.3 * np.maximum(centres[:, 2] + np.abs(axes[:, 2]) * half[:, 0] - _FACE, 0.0)
        centres, axes = centres + 0.6 * shift, axes + 0.6 * turn
        axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    return centres, axes


def _find_close(points: Float[np.ndarray, "b 3"], distance: float) -> Int[np.ndarray, "pairs 2"]:
    """Pairs of points (smaller index first) closer than ``distance`` Å, in index order."""
    pairs = KDTree(points).query_pairs(distance, output_type="ndarray").astype(np.int64)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _correct(difference: Float[np.ndarray, "p 3"], shortest: float, longest: float) -> Float[np.ndarray, "p 3"]:
    """Shift of a pair's first partner, and minus that of the second, to bring a distance within bounds."""
    distance = np.maximum(np.sqrt((difference**2).sum(axis=1, keepdims=True)), 1e-6)
    return 0.5 * (distance - np.clip(distance, shortest, longest)) / distance * difference


def _scatter(owners: Int[np.ndarray, " p"], values: Float[np.ndarray, "p 3"], count: int) -> Float[np.ndarray, "c 3"]:
    """Sum of the values of each owner."""
    return np.stack([np.bincount(owners, values[:, axis], count) for axis in range(3)], axis=1)


def _complete_frames(axes: Float[np.ndarray, "h 3"], generator: np.random.Generator) -> Float[np.ndarray, "h 3 3"]:
    """Rotations that take z to the axes, each with a random rotation about its axis."""
    least = np.eye(3)[np.round(np.abs(axes), 6).argmin(axis=1)]
    across = np.cross(axes, least)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    frames = np.stack([across, np.cross(axes, across), axes], axis=2)
    turns = Rotation.from_rotvec(np.outer(generator.uniform(0, 2 * np.pi, len(axes)), [0.0, 0.0, 1.0]))
    return frames @ turns.as_matrix()
