"""Push rigid bodies apart until no atoms of different bodies are too close. Compiled.

A Jacobi sweep: for every pair of atoms that is too close, each body should give way by half of the missing distance;
each body then moves by the mean of these shifts, and turns likewise about its centre. The candidate pairs
are found once for many sweeps.
"""

import numpy as np
from jaxtyping import Float, Int
from numba import njit
from scipy.spatial.transform import Rotation

_MARGIN, _SWEEPS = 3.0, 25
_RELAXATION, _TOLERANCE, _DEEP = 1.5, 0.1, 2.0


def push_apart(
    positions: Float[np.ndarray, "a 3"], bodies: Int[np.ndarray, " a"], nearest: float, rounds: int
) -> Float[np.ndarray, "a 3"]:
    """Positions (Å) with each body moved rigidly; ``bodies`` (a,) numbers them from 0.

    Stops when no two atoms of different bodies are closer than ``nearest`` Å by more than 0.1 Å, or after so many
    rounds of 25 sweeps.
    """
    count = int(bodies.max()) + 1
    sizes = np.bincount(bodies, minlength=count)[:, None]
    for _ in range(rounds):
        pairs = _find_pairs(positions, bodies, nearest + _MARGIN)
        atoms, pairs = np.unique(pairs, return_inverse=True)
        pairs = pairs.reshape(-1, 2)
        owners = bodies[atoms]
        start = np.stack([np.bincount(bodies, positions[:, axis], count) for axis in range(3)], axis=1) / sizes
        offsets = positions[atoms] - start[owners]
        centres, turns = start.copy(), np.tile(np.eye(3), (count, 1, 1))
        resting = False
        for _ in range(_SWEEPS):
            arms = _turn(turns, owners, offsets)
            asked, inertia, contacts, closest = _measure(arms, centres, owners, pairs, nearest)
            if resting := closest > nearest - _TOLERANCE:
                break
            centres += _RELAXATION * asked[:, :3] / np.maximum(contacts, 1)[:, None]
            turn = _RELAXATION * asked[:, 3:] / (inertia + 1.0)[:, None]
            turns = Rotation.from_rotvec(turn).as_matrix() @ turns
        positions = _turn(turns, bodies, positions - start[bodies]) + centres[bodies]
        if resting:
            break
    return positions


def _turn(
    turns: Float[np.ndarray, "b 3 3"], owners: Int[np.ndarray, " a"], offsets: Float[np.ndarray, "a 3"]
) -> Float[np.ndarray, "a 3"]:
    return (turns[owners] @ offsets[:, :, None])[:, :, 0]


@njit(cache=True)
def _find_pairs(positions, bodies, reach):
    """Pairs of atoms of different bodies nearer than ``reach``."""
    low = np.array([positions[:, axis].min() for axis in range(3)])
    shape = np.array([int((positions[:, axis].max() - low[axis]) / reach) + 1 for axis in range(3)])
    cells = ((positions - low) / reach).astype(np.int64)
    pairs = np.empty((0, 2), dtype=np.int64)
    # First count, then fill.
    for filling in range(2):
        head = np.full((shape[0], shape[1], shape[2]), -1, dtype=np.int32)
        following = np.empty(len(positions), dtype=np.int32)
        found = 0
        for atom in range(len(positions)):
            x, y, z = cells[atom, 0], cells[atom, 1], cells[atom, 2]
            for i in range(max(x - 1, 0), min(x + 2, shape[0])):
                for j in range(max(y - 1, 0), min(y + 2, shape[1])):
                    for k in range(max(z - 1, 0), min(z + 2, shape[2])):
                        other = head[i, j, k]
                        while other >= 0:
                            if bodies[other] != bodies[atom]:
                                dx = positions[atom, 0] - positions[other, 0]
                                dy = positions[atom, 1] - positions[other, 1]
                                dz = positions[atom, 2] - positions[other, 2]
                                if dx * dx + dy * dy + dz * dz < reach * reach:
                                    if filling == 1:
                                        pairs[found, 0] = other
                                        pairs[found, 1] = atom
                                    found += 1
                            other = following[other]
            following[atom] = head[x, y, z]
            head[x, y, z] = atom
        if filling == 0:
            pairs = np.empty((found, 2), dtype=np.int64)
    return pairs


@njit(cache=True)
def _measure(arms, centres, owners, pairs, nearest):
    """Sums of shifts and torques, sum of the squared lever arms, and number of close pairs, per body.

    Also the minimum distance of all pairs.
    """
    count = len(centres)
    asked = np.zeros((count, 6))
    inertia = np.zeros(count)
    contacts = np.zeros(count)
    closest = np.inf
    for pair in range(len(pairs)):
        one, two = pairs[pair, 0], pairs[pair, 1]
        first, second = owners[one], owners[two]
        dx = arms[one, 0] + centres[first, 0] - arms[two, 0] - centres[second, 0]
        dy = arms[one, 1] + centres[first, 1] - arms[two, 1] - centres[second, 1]
        dz = arms[one, 2] + centres[first, 2] - arms[two, 2] - centres[second, 2]
        square = dx * dx + dy * dy + dz * dz
        if square < nearest * nearest:
            distance = max(np.sqrt(square), 1e-3)
            closest = min(closest, distance)
            if distance < _DEEP:
                # One body is inside the other, where pushes cancel: they separate along the line of their centres.
                dx, dy, dz = centres[first] - centres[second]
                distance = max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-3)
                step = 0.5 * nearest / distance
            else:
                step = 0.5 * (nearest - distance) / distance
            for body, atom, sign in ((first, one, step), (second, two, -step)):
                x, y, z = arms[atom, 0], arms[atom, 1], arms[atom, 2]
                asked[body, 0] += sign * dx
                asked[body, 1] += sign * dy
                asked[body, 2] += sign * dz
                asked[body, 3] += sign * (y * dz - z * dy)
                asked[body, 4] += sign * (z * dx - x * dz)
                asked[body, 5] += sign * (x * dy - y * dx)
                inertia[body] += x * x + y * y + z * z
                contacts[body] += 1.0
    return asked, inertia, contacts, closest
