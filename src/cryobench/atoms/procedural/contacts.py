"""Contacts between the parts of a complex: gaps are closed by rigid shifts, obstructing loops are left out."""

import numpy as np
from jaxtyping import Bool, Float, Int
from numba import njit
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from cryobench._types import RotationArray

TOUCH = 3.8
"""Distance in Å of the nearest main-chain atoms of two parts that touch."""

_LONGEST = 15.0
_NEAREST_ALPHA, _NEAREST_ATOM = 4.1, 2.8
_CONTACT, _LEAST_CONTACTS, _OVERLAP = 8.5, 3, 3.6


def approach(
    moving: Float[np.ndarray, "m 3"],
    resting: Float[np.ndarray, "r 3"],
    direction: Float[np.ndarray, "3"],
    most: float = _LONGEST,
) -> float:
    """Distance in Å that points can move in a unit direction until one comes within TOUCH of another, up to ``most``.

    Negative if some are nearer than that from the start: the distance back to where they separate.
    """
    # Axes with the direction as the third: two points meet if their first two coordinates are near.
    across = np.linalg.svd(direction[None])[2][1:]
    frame = np.stack([across[0], across[1], direction])
    moving, resting = moving @ frame.T, resting @ frame.T
    low, high = moving.min(axis=0) - TOUCH, moving.max(axis=0) + TOUCH
    resting = resting[((resting[:, :2] > low[:2]) & (resting[:, :2] < high[:2])).all(axis=1)]
    gone = 0.0
    while True:
        step = float(_sweep(moving + np.array([0.0, 0.0, gone]), resting, low[:2], high[:2], TOUCH, most))
        gone += step
        # After moving back from some points, others behind may touch.
        if step > -1e-9:
            return gone
        most = 0.0


def approach_copies(
    points: Float[np.ndarray, "p 3"], rotations: RotationArray, direction: Float[np.ndarray, "3"]
) -> float:
    """Distance in Å that points, with their copies, can move in a unit direction before two copies touch.

    At most 15 Å, and no less than -15 if copies are too near from the start; see `approach`.
    """
    # The relation of two copies is inverse in the other direction: half of the group is enough.
    inverse = [int(((rotations - rotation.T) ** 2).sum(axis=(1, 2)).argmin()) for rotation in rotations]
    gone = _LONGEST
    for copy in range(1, len(rotations)):
        # Relative to the points, their copy approaches by this per Å.
        relative = direction - rotations[copy] @ direction
        speed = float(np.linalg.norm(relative))
        if copy <= inverse[copy] and speed > 1e-6:
            gone = min(gone, approach(points, points @ rotations[copy].T, relative / speed, gone * speed) / speed)
    # Copies that hardly separate in this direction are not separated by going on.
    return max(gone, -_LONGEST)


def is_one_piece(alphas: Float[np.ndarray, "r 3"], parts: Int[np.ndarray, " r"], rotations: RotationArray) -> bool:
    """Whether parts and copies form one piece, a contact being three pairs of CA atoms within 8.5 Å, without overlap.

    ``alphas`` are the CA atoms of the asymmetric unit in Å, ``parts`` the number of each one's body, from 0.
    """
    count, copies = int(parts.max()) + 1, len(rotations)
    everything = np.concatenate([alphas @ rotation.T for rotation in rotations])
    pairs = KDTree(alphas).sparse_distance_matrix(KDTree(everything), _CONTACT, output_type="ndarray")
    copy = pairs["j"] // len(alphas)
    strangers = (copy > 0) | (parts[pairs["i"]] != parts[pairs["j"] % len(alphas)])
    if pairs["v"][strangers].min(initial=np.inf) < _OVERLAP:
        return False
    contacts = np.zeros((copies, count, count))
    np.add.at(contacts, (copy, parts[pairs["i"]], parts[pairs["j"] % len(alphas)]), 1)
    # Contacts are the same for every copy: of copy h with copy h g.
    products = np.einsum("hij,gjk->hgik", rotations, rotations)
    product = ((products[:, :, None] - rotations) ** 2).sum(axis=(3, 4)).argmin(axis=2)
    joined = np.zeros((copies, count, copies, count))
    for row in range(copies):
        joined[row, :, product[row]] = contacts >= _LEAST_CONTACTS
    size = copies * count
    return connected_components(joined.reshape(size, size), directed=False, return_labels=False) == 1


@njit(cache=True, nogil=True)
def _sweep(moving, resting, low, high, touch, most):
    """Smallest distance along z at which a moving point comes within ``touch`` of a resting one."""
    columns = int((high[0] - low[0]) / touch) + 1, int((high[1] - low[1]) / touch) + 1
    head = np.full(columns, -1, dtype=np.int64)
    following = np.empty(len(resting), dtype=np.int64)
    for index in range(len(resting)):
        x, y = int((resting[index, 0] - low[0]) / touch), int((resting[index, 1] - low[1]) / touch)
        following[index] = head[x, y]
        head[x, y] = index
    for index in range(len(moving)):
        point = moving[index]
        x, y = int((point[0] - low[0]) / touch), int((point[1] - low[1]) / touch)
        for i in range(max(x - 1, 0), min(x + 2, columns[0])):
            for j in range(max(y - 1, 0), min(y + 2, columns[1])):
                other = head[i, j]
                while other >= 0:
                    ahead = resting[other, 2] - point[2]
                    aside = (resting[other, 0] - point[0]) ** 2 + (resting[other, 1] - point[1]) ** 2
                    # Points behind that are not touched stay behind.
                    if aside < touch * touch and (ahead > 0 or aside + ahead * ahead < touch * touch):
                        most = min(most, ahead - np.sqrt(touch * touch - aside))
                    other = following[other]
    return most


def find_crossing_loops(
    atoms: Float[np.ndarray, "r 5 3"],
    loops: Int[np.ndarray, " r"],
    chains: Int[np.ndarray, " r"],
    rotations: RotationArray,
) -> Bool[np.ndarray, " l"]:
    """Loops that come too near another part of their chain, another chain or a copy; of two loops the later one.

    Parameters
    ----------
    atoms
        N, CA, C, O, CB of the residues of the asymmetric unit, Å.
    loops
        Number of the loop of each residue, from 1 and unique among chains, or 0. The result has an entry for
        each number; that for 0 is meaningless.
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
        # Of two crossing loops the later is removed, unless the earlier already was.
        order = np.lexsort((loops[second], loops[first]))
        for one, other, image in zip(*(loops[first][order], loops[second][order], copy[order]), strict=True):
            if other > 0 and (one != other or image > 0) and not crossing[one] and not crossing[other]:
                crossing[max(one, other)] = True
    return crossing
