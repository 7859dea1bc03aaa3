"""Side chains placed one after another, each in the rotamer with the least overlap, in a whole complex at once.

A side chain placed in one copy of the asymmetric unit is placed in all. A side chain without room is
cut back to alanine, and if CB has none either to glycine, so that side chains keep a stated minimum
distance between residues. Compiled.
"""

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from cryobench._types import RotationArray
from cryobench.atoms.procedural.residues import KINDS, side_chain_table

CONTACT = 3.3
"""Distance in Å below which two atoms overlap."""
CLASH = 2.5
"""Minimum distance in Å of a side-chain atom from atoms of other residues."""

_ALANINE, _GLYCINE = KINDS.index("ALA"), KINDS.index("GLY")


def pack_side_chains(
    main_chain: Float[np.ndarray, "r 5 3"],
    frames: Float[np.ndarray, "r 3 3"],
    kinds: Int[np.ndarray, " r"],
    rotations: RotationArray,
) -> tuple[Int[np.ndarray, " r"], Float[np.ndarray, "r 9 3"]]:
    """Kinds of all residues, some cut back, and their side-chain atoms beyond CB; only a kind's own rows are valid.

    ``main_chain`` holds N, CA, C, O, CB of the asymmetric unit in Å, ``frames`` the residues' local axes
    (`residues.residue_frames`), ``rotations`` the copies, the identity first.
    """
    table, sizes = side_chain_table()
    return _pack(main_chain, frames, kinds.astype(np.int64), rotations, table, sizes)


@njit(cache=True, nogil=True)
def _set(target, point):
    """``target[:] = point``, which would take seconds to compile because of its shape check."""
    for axis in range(3):
        target[axis] = point[axis]


@njit(cache=True, nogil=True)
def _square_distance(one, other):
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 + (one[2] - other[2]) ** 2


@njit(cache=True, nogil=True)
def _cell(point, low, inverse, shape):
    x = min(max(int((point[0] - low[0]) * inverse), 0), shape[0] - 1)
    y = min(max(int((point[1] - low[1]) * inverse), 0), shape[1] - 1)
    z = min(max(int((point[2] - low[2]) * inverse), 0), shape[2] - 1)
    return x, y, z


@njit(cache=True, nogil=True)
def _insert(point, owner, count, low, inverse, shape, head, following, points, owners):
    x, y, z = _cell(point, low, inverse, shape)
    _set(points[count], point)
    owners[count] = owner
    following[count] = head[x, y, z]
    head[x, y, z] = count


@njit(cache=True, nogil=True)
def _measure(point, own, limit, nearest, low, inverse, shape, head, following, points, owners):
    """Sum of squared penetrations of a point, and the lesser of ``nearest`` and its least distance below ``limit``.

    Atoms of residue ``own`` do not count.
    """
    x, y, z = _cell(point, low, inverse, shape)
    total = 0.0
    for i in range(max(x - 1, 0), min(x + 2, shape[0])):
        for j in range(max(y - 1, 0), min(y + 2, shape[1])):
            for k in range(max(z - 1, 0), min(z + 2, shape[2])):
                atom = head[i, j, k]
                while atom >= 0:
                    if owners[atom] != own:
                        square = _square_distance(points[atom], point)
                        if square < limit * limit:
                            distance = np.sqrt(square)
                            total += (limit - distance) ** 2
                            nearest = min(nearest, distance)
                    atom = following[atom]
    return total, nearest


@njit(cache=True, nogil=True)
def _pack(main_chain, frames, kinds, rotations, table, sizes):
    residues, copies = len(kinds), len(rotations)
    kinds = kinds.copy()
    chosen = np.zeros((residues, table.shape[2], 3))
    reach = 0.0
    for residue in range(residues):
        for atom in range(5):
            for axis in range(3):
                reach = max(reach, main_chain[residue, atom, axis] ** 2)
    reach = np.sqrt(3.0 * reach) + 12.0
    low = np.full(3, -reach)
    inverse = 1.0 / CONTACT
    side = int(2 * reach * inverse) + 2
    shape = (side, side, side)
    head = np.full(shape, -1, dtype=np.int32)
    room = residues * copies * 14
    following = np.empty(room, dtype=np.int32)
    points = np.empty((room, 3))
    owners = np.empty(room, dtype=np.int64)
    count = 0
    # Residues of copy c are numbered c * residues + residue: each is an obstacle to all but itself.
    for copy in range(copies):
        for residue in range(residues):
            for atom in range(4):
                point = rotations[copy] @ main_chain[residue, atom]
                owner = copy * residues + residue
                # A residue's own carbonyl oxygen obstructs its side chain.
                _insert(
                    point, -1 if atom == 3 else owner, count, low, inverse, shape, head, following, points, owners
                )
                count += 1
    for residue in range(residues):
        beta = main_chain[residue, 4]
        if kinds[residue] == _GLYCINE:
            continue
        # Its own oxygen lies 2.4 Å or more from CB, the next residue's N likewise: neither is a clash.
        nearest = _nearest_stranger(
            beta, residue, residues, low, inverse, shape, head, following, points, owners, main_chain
        )
        if nearest < CLASH:
            kinds[residue] = _GLYCINE
            continue
        for copy in range(copies):
            _insert(
                rotations[copy] @ beta, copy * residues + residue, count, low, inverse, shape, head, following,
                points, owners,
            )  # fmt: skip
            count += 1
    candidate = np.empty((table.shape[2], 3))
    for residue in range(residues):
        kind = kinds[residue]
        rotamers, atoms = sizes[kind]
        if atoms == 0:
            continue
        best, best_nearest = np.inf, 0.0
        for rotamer in range(rotamers):
            cost, nearest = 0.0, np.inf
            for atom in range(atoms):
                _set(candidate[atom], frames[residue] @ table[kind, rotamer, atom] + main_chain[residue, 1])
                part, nearest = _measure(
                    candidate[atom], residue, CONTACT, nearest, low, inverse, shape, head, following, points, owners
                )
                cost += part
                if cost > best:
                    break
            if cost > best:
                continue
            for copy in range(1, copies):
                image = rotations[copy] @ main_chain[residue, 1]
                if _square_distance(image, main_chain[residue, 1]) > 400.0:
                    continue
                for atom in range(atoms):
                    image = rotations[copy] @ candidate[atom]
                    for other in range(atoms):
                        distance = np.sqrt(_square_distance(image, candidate[other]))
                        if distance < CONTACT:
                            cost += (CONTACT - distance) ** 2
                            nearest = min(nearest, distance)
            if cost < best:
                best, best_nearest = cost, nearest
                for atom in range(atoms):
                    _set(chosen[residue, atom], candidate[atom])
        if best_nearest < CLASH:
            kinds[residue] = _ALANINE
            for atom in range(atoms):
                _set(chosen[residue, atom], (0.0, 0.0, 0.0))
            continue
        for copy in range(copies):
            for atom in range(atoms):
                _insert(
                    rotations[copy] @ chosen[residue, atom], copy * residues + residue, count, low, inverse, shape,
                    head, following, points, owners,
                )  # fmt: skip
                count += 1
    return kinds, chosen


@njit(cache=True, nogil=True)
def _nearest_stranger(point, residue, residues, low, inverse, shape, head, following, points, owners, main_chain):
    """Distance from a CB to the nearest atom outside its own residue and its neighbours in the chain."""
    x, y, z = _cell(point, low, inverse, shape)
    nearest = np.inf
    for i in range(max(x - 1, 0), min(x + 2, shape[0])):
        for j in range(max(y - 1, 0), min(y + 2, shape[1])):
            for k in range(max(z - 1, 0), min(z + 2, shape[2])):
                atom = head[i, j, k]
                while atom >= 0:
                    owner = owners[atom]
                    near_in_chain = owner >= 0 and owner < residues and abs(owner - residue) <= 1
                    if not near_in_chain:
                        square = _square_distance(points[atom], point)
                        own_oxygen = False
                        if owner == -1:
                            for neighbour in range(max(residue - 1, 0), min(residue + 2, residues)):
                                if _square_distance(points[atom], main_chain[neighbour, 3]) < 1e-12:
                                    own_oxygen = True
                        if not own_oxygen:
                            nearest = min(nearest, np.sqrt(square))
                    atom = following[atom]
    return nearest
