"""The course of the main chain: one CA position per residue, ideal in the strands, relaxed in the loops.

Loops leave a strand in its direction, enter the next in its own, and are then relaxed: neighbours at 3.8 Å, next
neighbours at the distance of an extended or bent chain, all others apart. The iteration is a Jacobi sweep of
position corrections (Müller et al., J. Vis. Commun. Image R. 18:109, 2007), which contracts: rounding errors of
different machines do not grow.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from cryobench.atoms.procedural import layout

BOND = 3.8
_NEAREST = 4.6
_NEXT_SHORTEST, _NEXT_LONGEST = 5.2, 7.0
_ROUNDS, _SWEEPS = 60, 5
_TIMES = np.linspace(0.0, 1.0, 101)
_PLEAT = 0.5 * np.sqrt(BOND**2 - layout.RISE**2)


def trace_chains(sequences: dict[str, str], generator: np.random.Generator) -> dict[str, Float[np.ndarray, "r 3"]]:
    """CA positions in Å of every chain, in the frame of the placements."""
    starts, fixed = {}, {}
    for chain, sequence in sequences.items():
        starts[chain], fixed[chain] = _start_chain(chain, len(sequence), generator)
    positions = np.concatenate(list(starts.values()))
    anchored = np.concatenate(list(fixed.values()))
    lengths = [len(sequence) for sequence in sequences.values()]
    relaxed = _relax(positions, anchored, np.repeat(np.arange(len(lengths)), lengths))
    return dict(zip(sequences, np.split(relaxed, np.cumsum(lengths)[:-1]), strict=True))


def place_strand(strand: layout.Strand, placement: layout.Placement) -> Float[np.ndarray, "r 3"]:
    """CA positions of one strand of a placed domain: a straight, pleated line on a twisted sheet."""
    offset = np.arange(strand.last - strand.first + 1) - (strand.last - strand.first) / 2
    along = strand.direction * layout.RISE * offset + strand.along
    side = 1.0 if strand.sheet == 1 else -1.0
    pleat = -side * strand.inward * _PLEAT * (-1.0) ** np.arange(len(offset))
    turn = layout.TWIST * strand.across
    points = np.stack(
        [
            along * np.sin(turn) + pleat * np.cos(turn),
            np.full(len(offset), strand.across),
            along * np.cos(turn) - pleat * np.sin(turn),
        ],
        axis=1,
    )
    points = Rotation.from_rotvec([side * layout.SHEET_ANGLE / 2, 0.0, 0.0]).apply(points)
    points[:, 0] += side * layout.SHEET_SEPARATION / 2
    return Rotation.from_rotvec(placement.rotation).apply(points) + placement.position


def _start_chain(
    chain: str, length: int, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "r 3"], Bool[np.ndarray, " r"]]:
    """First positions of a chain, and which of them are strands and stay."""
    positions = np.full((length, 3), np.nan)
    tangents = np.full((length, 3), np.nan)
    for placement in layout.PLACEMENTS:
        if placement.chain != chain:
            continue
        for strand in layout.FOLDS[placement.fold]:
            points = place_strand(strand, placement)
            positions[strand.first - 1 : strand.last] = points
            course = points[-1] - points[0]
            tangents[strand.first - 1 : strand.last] = course / np.linalg.norm(course)
    fixed = np.isfinite(positions[:, 0])
    for residue, point in layout.HINGE_POINTS.get(chain, {}).items():
        positions[residue - 1] = point
    known = np.flatnonzero(np.isfinite(positions[:, 0])).tolist()
    for before, after in pairwise(known):
        if after - before > 1:
            positions[before + 1 : after] = _bridge(positions, tangents, before, after)
    first, last = known[0], known[-1]
    ahead = np.arange(1, length)
    positions[:first] = positions[first] - BOND * 0.9 * ahead[:first][::-1, None] * tangents[first]
    positions[last + 1 :] = positions[last] + BOND * 0.9 * ahead[: length - 1 - last][:, None] * tangents[last]
    loose = ~fixed
    positions[loose] += 0.7 * generator.standard_normal((int(loose.sum()), 3))
    return positions, fixed


def _bridge(
    positions: Float[np.ndarray, "r 3"], tangents: Float[np.ndarray, "r 3"], before: int, after: int
) -> Float[np.ndarray, "loop 3"]:
    """Loop between two known residues: a cubic whose length is that of the chain, bulging at most 8 Å or so."""
    ends = positions[[before, after]]
    straight = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    directions = np.where(np.isfinite(tangents[[before, after]]), tangents[[before, after]], straight)
    wanted = BOND * (after - before)
    low, high = 0.0, 60.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if _arc_lengths(ends, middle * directions)[-1] > wanted else (middle, high)
    speeds = min(low, 32.0) * directions
    lengths = _arc_lengths(ends, speeds)
    even = np.linspace(0.0, lengths[-1], after - before + 1)[1:-1]
    return _cubic(ends, speeds, np.interp(even, lengths, _TIMES))


def _cubic(
    ends: Float[np.ndarray, "2 3"], speeds: Float[np.ndarray, "2 3"], times: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "t 3"]:
    """Hermite cubic from the first end (time 0) to the second (time 1) with given velocities."""
    time = times[:, None]
    late = time * time * (3 - 2 * time)
    bulge = time * (1 - time)
    return (1 - late) * ends[0] + late * ends[1] + bulge * ((1 - time) * speeds[0] - time * speeds[1])


def _arc_lengths(ends: Float[np.ndarray, "2 3"], speeds: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, " t"]:
    points = _cubic(ends, speeds, _TIMES)
    return np.concatenate([[0.0], np.linalg.norm(points[1:] - points[:-1], axis=1).cumsum()])


def _relax(
    positions: Float[np.ndarray, "r 3"], anchored: Bool[np.ndarray, " r"], chain: Int[np.ndarray, " r"]
) -> Float[np.ndarray, "r 3"]:
    """Move loops, and strands a little, until neighbours are bonded and nothing is too close."""
    home = positions.copy()
    following = np.flatnonzero(chain[1:] == chain[:-1])
    second = np.flatnonzero(chain[2:] == chain[:-2])
    bonds = np.stack([following, following + 1], axis=1)
    angles = np.stack([second, second + 2], axis=1)
    share = np.where(anchored, 0.15, 1.0)
    for _ in range(_ROUNDS):
        close = find_close(positions, _NEAREST + 2.0)
        close = close[(chain[close[:, 0]] != chain[close[:, 1]]) | (close[:, 1] - close[:, 0] > 2)]
        for _ in range(_SWEEPS):
            moves = np.zeros_like(positions)
            correct_distances(positions, bonds, BOND, BOND, share, moves)
            correct_distances(positions, angles, _NEXT_SHORTEST, _NEXT_LONGEST, share, moves)
            correct_distances(positions, close, _NEAREST, np.inf, share, moves)
            positions = positions + 0.4 * moves
            positions += np.where(anchored, 0.1, 0.0)[:, None] * (home - positions)
    return positions


def find_close(positions: Float[np.ndarray, "r 3"], distance: float) -> Int[np.ndarray, "pairs 2"]:
    """Pairs of points (smaller index first) closer than ``distance`` Å, in the order of their indices."""
    pairs = KDTree(positions).query_pairs(distance, output_type="ndarray").astype(np.int64)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def correct_distances(
    positions: Float[np.ndarray, "r 3"],
    pairs: Int[np.ndarray, "pairs 2"],
    shortest: float | Float[np.ndarray, " pairs"],
    longest: float | Float[np.ndarray, " pairs"],
    share: Float[np.ndarray, " r"],
    moves: Float[np.ndarray, "r 3"],
) -> None:
    """Add to ``moves`` what brings the pairs' distances between two bounds, split by each partner's ``share``."""
    first, second = pairs[:, 0], pairs[:, 1]
    difference = positions[second] - positions[first]
    distance = np.maximum(np.linalg.norm(difference, axis=1), 1e-6)
    excess = distance - np.clip(distance, shortest, longest)
    step = (excess / distance / (share[first] + share[second]))[:, None] * difference
    for axis in range(3):
        moves[:, axis] += np.bincount(first, share[first] * step[:, axis], len(positions))
        moves[:, axis] -= np.bincount(second, share[second] * step[:, axis], len(positions))
