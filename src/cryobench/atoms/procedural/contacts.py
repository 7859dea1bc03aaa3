"""Contacts between the parts of a complex: gaps are closed by rigid shifts, loops in the way are left out."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from cryobench._types import RotationArray

TOUCH = 3.8
"""Distance in Å of the nearest main-chain atoms of two parts that touch."""

_LONGEST, _STEPS, _SLACK = 15.0, 12, 0.1
_NEAREST_ALPHA, _NEAREST_ATOM = 4.1, 2.8


def approach(
    moving: Float[np.ndarray, "m 3"], resting: Float[np.ndarray, "r 3"], direction: Float[np.ndarray, "3"]
) -> float:
    """How far in Å points can go in a unit direction before any comes within TOUCH of another; at most 15 Å.

    A step by what the least distance exceeds TOUCH is always safe, so the steps never overshoot.
    """
    tree = KDTree(resting)
    gone = 0.0
    for _ in range(_STEPS):
        room = float(tree.query(moving + gone * direction)[0].min()) - TOUCH
        if room < _SLACK or gone > _LONGEST:
            break
        gone += room
    return min(gone, _LONGEST)


def approach_copies(
    points: Float[np.ndarray, "p 3"], rotations: RotationArray, direction: Float[np.ndarray, "3"]
) -> float:
    """How far in Å points can go in a unit direction, their copies going with them, before two copies touch."""
    # Of two copies one lies to the other as its inverse does: half of the group is enough.
    inverse = [int(((rotations - rotation.T) ** 2).sum(axis=(1, 2)).argmin()) for rotation in rotations]
    speeds = np.linalg.norm(rotations @ direction - direction, axis=1)
    partners = [copy for copy in range(1, len(rotations)) if copy <= inverse[copy] and speeds[copy] > 1e-6]
    centre = points.mean(axis=0)
    reach = float(np.linalg.norm(points - centre, axis=1).max())
    gone = 0.0
    for _ in range(_STEPS):
        placed = points + gone * direction
        tree = KDTree(placed)
        step = _LONGEST - gone
        for copy in partners:
            apart = np.linalg.norm(rotations[copy] @ (centre + gone * direction) - centre - gone * direction)
            room = float(apart) - 2 * reach - TOUCH
            if room < step * speeds[copy]:
                room = float(tree.query(placed @ rotations[copy].T)[0].min()) - TOUCH
            step = min(step, room / speeds[copy])
        if step < _SLACK:
            break
        gone += step
    return gone


def find_crossing_loops(
    atoms: Float[np.ndarray, "r 5 3"],
    loops: Int[np.ndarray, " r"],
    chains: Int[np.ndarray, " r"],
    rotations: RotationArray,
) -> Bool[np.ndarray, " l"]:
    """Which loops come too near another part of their chain, another chain or a copy; of two loops the later one.

    Parameters
    ----------
    atoms
        N, CA, C, O, CB of the residues of the asymmetric unit, Å.
    loops
        Number of the loop a residue is in, from 1 and the same in no two chains, or 0. The result has an entry for
        each number, the one for 0 of no meaning.
    chains
        Chain of each residue.
    rotations
        The copies, the identity first.
    """
    crossing = np.zeros(int(loops.max(initial=0)) + 1, dtype=bool)
    loose = np.flatnonzero(loops > 0)
    if len(loose) == 0:
        return crossing
    count = len(atoms)
    for slots, nearest in ((slice(1, 2), _NEAREST_ALPHA), (slice(0, 5), _NEAREST_ATOM)):
        part = atoms[:, slots]
        width = part.shape[1]
        everything = np.concatenate([part.reshape(-1, 3) @ rotation.T for rotation in rotations])
        pairs = KDTree(part[loose].reshape(-1, 3)).sparse_distance_matrix(
            KDTree(everything), nearest, output_type="ndarray"
        )
        first = loose[pairs["i"] // width]
        second, copy = pairs["j"] // width % count, pairs["j"] // (width * count)
        strangers = (copy > 0) | (chains[first] != chains[second]) | (np.abs(first - second) > 1)
        first, second, copy = first[strangers], second[strangers], copy[strangers]
        rigid = loops[second] == 0
        crossing[loops[first[rigid]]] = True
        # Of two loops that cross the later goes, unless the earlier has gone.
        order = np.lexsort((loops[second], loops[first]))
        for one, other, image in zip(*(loops[first][order], loops[second][order], copy[order]), strict=True):
            if other > 0 and (one != other or image > 0) and not crossing[one] and not crossing[other]:
                crossing[max(one, other)] = True
    return crossing
