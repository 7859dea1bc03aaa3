"""Molecules cut by a periodic box, made whole again.

Molecular dynamics programs may write every atom inside the box, so that a molecule across its wall is in two pieces.
Atoms of a residue, and consecutive residues, are a few Å apart; if they are further apart than half
the box but their periodic images are not, a wall is between them. Then molecules that touch across a wall are brought
together. Uncut molecules are not moved at all, to the last bit.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.spatial import KDTree

from cryobench.atoms.files.records import AtomRecords, Cell

_LEAST_SIDE = 20.0
_FARTHEST, _NEAREST = 12.0, 8.0
"""Å: neighbours in a chain are never further apart than the first, and always as near as the second."""
_CONTACT = 6.0
_LINKS = ("C", "O3'", "O3*")
_IMAGES = np.array([[x, y, z] for x in (0, -1, 1) for y in (0, -1, 1) for z in (0, -1, 1)], dtype=np.float64)
"""Image offsets, the original atoms first."""


def cell_vectors(cell: Cell) -> Float64[np.ndarray, "3 3"]:
    """Rows a, b and c in Å of a box of three lengths and three angles (degrees), a along x, b in the xy plane."""
    a, b, c = cell[:3]
    alpha, beta, gamma = np.deg2rad(cell[3:])
    cosines = [0.0 if angle == np.pi / 2 else float(np.cos(angle)) for angle in (alpha, beta, gamma)]
    sine = float(np.sin(gamma))
    y = (cosines[0] - cosines[1] * cosines[2]) / sine
    z = np.sqrt(max(1 - cosines[1] ** 2 - y**2, 0.0))
    return np.array([[a, 0, 0], [b * cosines[2], b * sine, 0], [c * cosines[1], c * y, c * z]])


@dataclass(frozen=True, eq=False)
class Linkage:
    """Links between atoms in file order."""

    previous: Int64[np.ndarray, " a"]
    """Preceding atom, of the same or the previous residue; its own index where a molecule begins."""
    residues: Int64[np.ndarray, " a"]
    molecules: Int64[np.ndarray, " a"]
    """Number of the residue, and of the molecule, of each atom."""


def make_whole(records: AtomRecords) -> tuple[Float64[np.ndarray, "a 3"], int]:
    """Positions with whole molecules, and the number that were cut, 0 if there is no box."""
    if records.cell is None:
        return records.positions, 0
    return join_molecules(records.positions, cell_vectors(records.cell), link_atoms(records))


def link_atoms(records: AtomRecords) -> Linkage:
    """Linkage of the atoms of a file: of consecutive residues of one chain, with consecutive numbers."""
    chains, numbers, names = records.chains, records.residue_numbers, records.residue_names
    count = len(records)
    same_chain = (chains[1:] == chains[:-1]) & (records.parts[1:] == records.parts[:-1])
    step = np.diff(numbers)
    same = same_chain & (step == 0) & (names[1:] == names[:-1])
    follows = same_chain & ~same & ((step == 0) | (step == 1))
    residues = np.concatenate([[0], np.cumsum(~same)])
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    # The last atom of each residue that bonds to the next; if unknown, its last atom.
    bond = np.append(starts[1:], count) - 1
    links = np.flatnonzero(np.isin(records.names, _LINKS))
    bond[residues[links]] = links
    previous = np.arange(count) - 1
    previous[0] = 0
    inner = starts[1:]
    previous[inner] = np.where(follows[inner - 1], bond[:-1], inner)
    begins = np.zeros(count, dtype=np.int64)
    begins[inner] = ~follows[inner - 1]
    return Linkage(previous, residues, np.cumsum(begins))


def join_molecules(
    positions: Float64[np.ndarray, "a 3"],
    vectors: Float64[np.ndarray, "3 3"],
    linkage: Linkage,
    *,
    gather: bool = False,
) -> tuple[Float64[np.ndarray, "a 3"], int]:
    """Positions shifted by whole box vectors, and the number of molecules cut or moved; 0 if nothing changed.

    With ``gather``, whole molecules are also brought together if they are more than half a box from the
    largest one, touch nothing there, and touch it at another image: the rest of a complex across the wall.
    """
    if min(np.linalg.norm(vectors, axis=1)) < _LEAST_SIDE or not abs(np.linalg.det(vectors)) > 0:
        return positions, 0
    inverse = np.linalg.inv(vectors)
    steps = positions - positions[linkage.previous]
    far = np.flatnonzero((steps**2).sum(axis=1) > _FARTHEST**2)
    turns = -np.rint(steps[far] @ inverse)
    near = ((steps[far] + turns @ vectors) ** 2).sum(axis=1) < _NEAREST**2
    cut = far[near & turns.any(axis=1)]
    n_cut = len(np.unique(linkage.molecules[cut]))
    if n_cut:
        jumps = np.zeros_like(positions)
        jumps[cut] = turns[near & turns.any(axis=1)]
        positions = positions + _add_along(jumps, linkage) @ vectors
    elif not (gather and _lie_scattered(positions, inverse, linkage)):
        return positions, 0
    placed, moved = _gather_molecules(positions, vectors, linkage.molecules)
    return (placed, n_cut or moved) if moved else (positions, n_cut)


def bring_near(
    positions: Float64[np.ndarray, "a 3"], vectors: Float64[np.ndarray, "3 3"], centre: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "a 3"]:
    """All atoms shifted together by whole box vectors, with their mean within half a box of ``centre``."""
    turns = -np.rint((positions.mean(axis=0) - centre) @ np.linalg.inv(vectors))
    return positions + turns @ vectors if turns.any() else positions


def _lie_scattered(
    positions: Float64[np.ndarray, "a 3"], inverse: Float64[np.ndarray, "3 3"], linkage: Linkage
) -> bool:
    """Whether the centre of a molecule is more than half a box from that of the largest one."""
    sizes = np.bincount(linkage.molecules)
    centres = np.stack([np.bincount(linkage.molecules, column) for column in positions.T], axis=1) / sizes[:, None]
    return bool((np.abs((centres - centres[sizes.argmax()]) @ inverse) > 0.5).any())


def _add_along(jumps: Float64[np.ndarray, "a 3"], linkage: Linkage) -> Float64[np.ndarray, "a 3"]:
    """Box vectors to shift every atom by: the jumps of all links between it and the start of its molecule."""
    starts = np.flatnonzero(np.diff(linkage.residues, prepend=-1))
    within = jumps.copy()
    within[starts] = 0
    within = np.cumsum(within, axis=0)
    within -= within[starts][linkage.residues]
    linked = linkage.previous[starts]
    joints = jumps[starts] + np.where((linked != starts)[:, None], within[linked], 0)
    along = np.cumsum(joints, axis=0)
    first = np.flatnonzero(np.diff(linkage.molecules, prepend=-1))
    before = (along - joints)[linkage.residues[first]]
    return within + along[linkage.residues] - before[linkage.molecules]


def _gather_molecules(
    positions: Float64[np.ndarray, "a 3"], vectors: Float64[np.ndarray, "3 3"], molecules: Int64[np.ndarray, " a"]
) -> tuple[Float64[np.ndarray, "a 3"], int]:
    """Molecules at images that touch the largest one, or its neighbours; and the number of those moved."""
    starts = np.flatnonzero(np.diff(molecules, prepend=-1))
    members = [slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(positions)], strict=True)]
    members.sort(key=lambda member: member.start - member.stop)
    placed = positions.copy()
    waiting, lying, moved = members[1:], [members[0]], 0
    while waiting:
        tree = KDTree(np.concatenate([placed[member] for member in lying]))
        # Images are tried once no remaining molecule touches without a shift.
        touching = [_count_touching(placed[member], tree) > 0 for member in waiting]
        found = [_IMAGES[0] if touches else None for touches in touching]
        if not any(touching):
            found = [_find_image(placed[member], tree, vectors) for member in waiting]
        new = []
        for member, image in zip(waiting, found, strict=True):
            if image is not None:
                placed[member] += image @ vectors
                moved += bool(image.any())
                new.append(member)
        if not new:
            break
        lying += new
        waiting = [member for member, image in zip(waiting, found, strict=True) if image is None]
    return placed, moved


def _find_image(
    points: Float64[np.ndarray, "p 3"], tree: KDTree, vectors: Float64[np.ndarray, "3 3"]
) -> Float64[np.ndarray, "3"] | None:
    """Image of a molecule at which most of its atoms touch those in the tree; None if none touches."""
    counts = [_count_touching(points + image @ vectors, tree) for image in _IMAGES]
    return _IMAGES[int(np.argmax(counts))] if max(counts) else None


def _count_touching(points: Float64[np.ndarray, "p 3"], tree: KDTree) -> int:
    distance, _ = tree.query(points, distance_upper_bound=_CONTACT)
    return int(np.isfinite(np.asarray(distance)).sum())
