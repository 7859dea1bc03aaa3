"""Folds: a blob filled with straight helices and strands in layers, joined by loops, at the density of protein.

The layers are those of globular domains (Taylor, Nature 416:657, 2002): helices side by side at 10 Å, strands at
4.8 Å, one layer 10 Å above the other. Layers of helices are rotated against each other, sheets are twisted. Rods of
residues run through the blob; where one enters and leaves, the chain reverses. Ends too far apart
for a loop stay unjoined, like the unmodelled loops of deposited structures.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation

from cryobench._types import RotationArray
from cryobench.atoms.procedural.backbone import build_backbone
from cryobench.atoms.procedural.blobs import Blob, measure_margin
from cryobench.atoms.procedural.contacts import find_crossing_loops
from cryobench.atoms.procedural.residues import BACKBONE, helix, strand
from cryobench.atoms.tie_breaking import find_least

FoldKind = Literal["helices", "sheets", "mixed"]

GROWTH = 12.0
"""Most by which the surface of a blob may grow, Å."""
WALL = 9.0
"""Minimum margin (twice the distance to the wall between two blobs) of the axis of a helix or strand, Å."""

_HELIX_SPACING, _STRAND_SPACING, _LAYER_SPACING = 10.0, 4.8, 10.0
_HELIX_SHORTEST, _STRAND_SHORTEST = 7, 4
_LOOP_SPEEDS = np.array([3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 22.0, 26.0])
_RESIDUES_PER_LOOP = 2.3
_LOOP_LONGEST, _BOND, _MOST_STRAIN, _TIGHTEST = 9, 3.8, 0.35, 5.2


@dataclass(frozen=True, eq=False)
class Element:
    """A helix or strand: N, CA, C, O, CB (e, 5, 3) in Å of its residues, and the unit vector along it.

    The first and last residue are not its own: they extend its course, as starting points for loops.
    """

    atoms: Float[np.ndarray, "e 5 3"]
    axis: Float[np.ndarray, "3"]

    def shifted(self, offset: Float[np.ndarray, "3"]) -> "Element":
        """The element moved by ``offset`` Å."""
        return Element(self.atoms + offset, self.axis)


@dataclass(frozen=True, eq=False)
class Rods:
    """Positions for residues in one blob: lines of helix or strand through all of it.

    ``depth`` and ``margin`` (rods, places) locate each position, see `blobs`; ``axis`` is its point on the axis of
    its rod, ``turn`` the angle of its residue about it; ``frames`` (rods, 3, 3) rotate z into the direction of a rod.
    """

    depth: Float[np.ndarray, "rods places"]
    margin: Float[np.ndarray, "rods places"]
    axis: Float[np.ndarray, "rods places 3"]
    turn: Float[np.ndarray, "rods places"]
    frames: Float[np.ndarray, "rods 3 3"]
    helical: Bool[np.ndarray, " rods"]

    def estimate_residues(self, level: float) -> float:
        """Approximate number of residues, including loops, when the blob's surface has grown by ``level`` Å."""
        _, begin, end = self._find_runs(level)
        return int((end - begin).sum()) + _RESIDUES_PER_LOOP * len(begin)

    def build_elements(self, level: float) -> list[Element]:
        """Every helix and strand of the blob grown by ``level`` Å."""
        rod, begin, end = self._find_runs(level)
        if len(rod) == 0:
            return []
        begin, end = begin - 1, end + 1
        counts = end - begin
        owner = np.repeat(rod, counts)
        taken = owner, np.arange(len(owner)) + np.repeat(begin - np.cumsum(counts) + counts, counts)
        cosine, sine = np.cos(self.turn[taken])[:, None], np.sin(self.turn[taken])[:, None]
        template = np.where(self.helical[owner][:, None, None], helix().atoms, strand().atoms)
        local = np.empty_like(template)
        local[..., 0] = cosine * template[..., 0] - sine * template[..., 1]
        local[..., 1] = sine * template[..., 0] + cosine * template[..., 1]
        local[..., 2] = template[..., 2]
        atoms = np.einsum("rxy,ray->rax", self.frames[owner], local) + self.axis[taken][:, None]
        parts = np.split(atoms, np.cumsum(counts)[:-1])
        return [Element(part, axis) for part, axis in zip(parts, self.frames[rod, :, 2], strict=True)]

    def _find_runs(
        self, level: float
    ) -> tuple[Int[np.ndarray, " runs"], Int[np.ndarray, " runs"], Int[np.ndarray, " runs"]]:
        """Rod, first position and position after the last of every sufficiently long run."""
        padded = np.zeros((self.depth.shape[0], self.depth.shape[1] + 2), dtype=np.int8)
        padded[:, 2:-2] = ((self.depth < level) & (self.margin > WALL))[:, 1:-1]
        step = np.diff(padded, axis=1)
        rod, begin = np.nonzero(step == 1)
        end = np.nonzero(step == -1)[1]
        long = end - begin >= np.where(self.helical, _HELIX_SHORTEST, _STRAND_SHORTEST)[rod]
        return rod[long], begin[long], end[long]


def lay_rods(blob: Blob, others: list[Blob], kind: FoldKind, generator: np.random.Generator) -> Rods:
    """Rods through a blob that may grow by up to ``GROWTH``, within the walls to ``others``."""
    order = generator.permutation(3)
    axes = blob.axes[:, order] * np.array([1.0, 1.0, np.linalg.det(blob.axes[:, order])])
    frame = axes @ Rotation.from_rotvec(0.35 * generator.standard_normal(3)).as_matrix()
    reach = blob.reach + GROWTH
    across, tilts, helical = _section(kind, blob.radii[order], reach, generator)
    # Rods that miss the ball around the blob are skipped.
    near = np.linalg.norm(across - (across * tilts[:, :, 2]).sum(1, keepdims=True) * tilts[:, :, 2], axis=1) < reach
    across, tilts, helical = across[near], tilts[near], helical[near]
    rise = np.where(helical, helix().rise, strand().rise)[:, None]
    n_positions = 2 * (int(np.ceil(reach / rise.min())) + 2)
    # Strands are in register, so that in either direction the O of one faces the N of the next; helices start
    # anywhere.
    start = np.where(helical, generator.uniform(-0.5, 0.5, len(across)), 0.0)[:, None]
    steps = start + np.arange(n_positions) - n_positions // 2
    turn = 13.0 * start + np.where(helical, helix().angle, strand().angle)[:, None] * np.arange(n_positions)
    # Half of the rods run down: rotated about their own x.
    upward = np.where(generator.random(len(across)) < 0.5, 1.0, -1.0)
    frames = frame @ tilts * np.stack([np.ones_like(upward), upward, upward], axis=1)[:, None, :]
    axis = (across @ frame.T + blob.centre)[:, None] + (rise * steps)[..., None] * frames[:, None, :, 2]
    depth = np.full(axis.shape[:2], np.inf)
    inside = np.linalg.norm(axis - blob.centre, axis=2) < reach
    depth[inside] = blob.measure_depth(axis[inside])
    margin = np.full(depth.shape, -np.inf)
    inside = depth < GROWTH
    margin[inside] = measure_margin(axis[inside], depth[inside], others, WALL + 1.0)
    return Rods(depth, margin, axis, turn, frames, helical)


def _section(
    kind: FoldKind, radii: Float[np.ndarray, "3"], reach: float, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "rods 3"], Float[np.ndarray, "rods 3 3"], Bool[np.ndarray, " rods"]]:
    """Positions of rods in the middle of a blob, their rotations from z, and which are helices, in the blob's frame.

    Layers follow one another along x, rods along y.
    """
    n_layers = int(np.ceil(reach / 8.0))
    spacing = _LAYER_SPACING * (np.sqrt(0.75) if kind == "helices" else 1.0)
    offset = generator.uniform(-0.5, 0.5)
    parity = int(generator.integers(2))
    sign = 1.0 if generator.random() < 0.7 else -1.0
    between = sign * min(0.35, 4.0 / max(reach, 1.0))
    twist = -min(0.066, 0.45 / (float(radii[1:].max()) + 5.0))
    points, turns, helical = [], [], []
    for layer in range(-n_layers, n_layers + 1):
        wound = kind == "helices" or (kind == "mixed" and (layer + parity) % 2 == 0)
        step = _HELIX_SPACING if wound else _STRAND_SPACING
        count = int(np.ceil(reach / step))
        shift = 0.5 * (layer % 2) if kind == "helices" else generator.uniform(-0.5, 0.5)
        y = step * (np.arange(-count, count + 1) + shift)
        x = np.full(len(y), spacing * (layer + offset))
        if kind == "helices":
            turn = Rotation.from_rotvec(np.outer(np.full(len(y), between * layer), [1.0, 0.0, 0.0]))
        else:
            turn = Rotation.from_rotvec(np.outer(twist * y, [0.0, 1.0, 0.0]))
            # All rods count from the plane z = 0, so that neighbours in a sheet stay in register.
            x = x / np.cos(twist * y)
        middle = np.stack([x, y, np.zeros(len(y))], axis=1)
        points.append(turn.apply(middle) if kind == "helices" else middle)
        turns.append(turn.as_matrix())
        helical.append(np.full(len(y), wound))
    return np.concatenate(points), np.concatenate(turns), np.concatenate(helical)


@dataclass(frozen=True, eq=False)
class Chains:
    """Main chains of blobs, residue by residue: atoms N, CA, C, O, CB (r, 5, 3) in Å.

    ``numbers`` are author numbers, which skip gaps; ``blob`` is the blob of each residue, and ``loop`` its loop,
    counted from 1 over all blobs, 0 in an element.
    """

    atoms: Float[np.ndarray, "r 5 3"]
    numbers: Int[np.ndarray, " r"]
    blob: Int[np.ndarray, " r"]
    loop: Int[np.ndarray, " r"]


def find_level(rods: list[Rods], wanted: float, steps: int) -> float:
    """Growth in Å, at most ``GROWTH``, at which blobs have about the given number of residues, by bisection."""
    low, high = -GROWTH, GROWTH
    for _ in range(steps):
        middle = (low + high) / 2
        enough = sum(rod.estimate_residues(middle) for rod in rods) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


def thread_elements(blobs: list[list[Element]], rotations: RotationArray) -> Chains:
    """Chains through the elements of each blob, with the loops that fit between all of them and their copies."""
    ordered = [order_elements(elements) for elements in blobs]
    loops = [_bridge_elements(elements) for elements in ordered]
    chains = _join_blobs(ordered, loops)
    crossing = find_crossing_loops(chains.atoms, chains.loop, chains.blob, rotations)
    number = 0
    for group in loops:
        for index, loop in enumerate(group):
            if len(loop):
                number += 1
                if crossing[number]:
                    group[index] = np.zeros((0, 3))
    return _join_blobs(ordered, loops)


def _join_blobs(ordered: list[list[Element]], loops: list[list[Float[np.ndarray, "_ 3"]]]) -> Chains:
    atoms, numbers, blob, labels = [], [], [], []
    label = 0
    for index, (elements, group) in enumerate(zip(ordered, loops, strict=True)):
        own, own_numbers, own_labels = _join_elements(elements, group, label)
        atoms.append(own)
        numbers.append(own_numbers)
        blob.append(np.full(len(own), index))
        labels.append(own_labels)
        label = max(label, int(own_labels.max()))
    return Chains(np.concatenate(atoms), np.concatenate(numbers), np.concatenate(blob), np.concatenate(labels))


def order_elements(elements: list[Element]) -> list[Element]:
    """Order in which a chain visits elements, from the C end of each to the nearest N end of the others."""
    starts = np.array([element.atoms[1, 1] for element in elements])
    ends = np.array([element.atoms[-2, 1] for element in elements])
    free = np.ones(len(elements), dtype=bool)
    current = find_least(-np.linalg.norm(starts - starts.mean(0), axis=1))
    order = []
    while True:
        order.append(current)
        free[current] = False
        left = np.flatnonzero(free)
        if len(left) == 0:
            return [elements[index] for index in order]
        distance = ((starts[left] - ends[current]) ** 2).sum(axis=1)
        current = int(left[find_least(distance)])


def _bridge_elements(elements: list[Element]) -> list[Float[np.ndarray, "_ 3"]]:
    """CA positions of the loop after each element except the last; none if no loop of suitable length fits.

    The first and last residue continue the elements, with a cubic along their axes between them. Among
    cubics of different bulge, the one with CA spacing nearest to 3.8 Å is used.
    """
    count = len(elements) - 1
    if count < 1:
        return []
    # The two residues before and the two after the free part of each loop.
    ends = np.array([element.atoms[-2:, 1] for element in elements[:-1]])
    starts = np.array([element.atoms[:2, 1] for element in elements[1:]])
    courses = np.array([element.axis for element in elements])
    time = np.linspace(0.0, 1.0, 33)[:, None]
    late, bulge = time * time * (3 - 2 * time), time * (1 - time)
    speeds = _LOOP_SPEEDS[None, :, None, None]
    sway = (1 - time) * courses[:-1, None, None] - time * courses[1:, None, None]
    straight = (1 - late) * ends[:, 1, None] + late * starts[:, 0, None]
    course = straight[:, None] + speeds * bulge * sway
    arc = np.zeros(course.shape[:3])
    arc[..., 1:] = np.sqrt((np.diff(course, axis=2) ** 2).sum(-1)).cumsum(axis=2)
    bonds = np.clip(np.round(arc[..., -1] / _BOND).astype(int), 1, _LOOP_LONGEST)
    # Points at equal steps along each arc; those beyond the last repeat it.
    wanted = np.minimum(np.arange(_LOOP_LONGEST + 1) / bonds[..., None], 1.0) * arc[..., -1:]
    index = np.clip((arc[..., None] <= wanted[:, :, None]).sum(axis=2) - 1, 0, 31)
    low, high = (np.take_along_axis(arc, index + step, axis=2) for step in (0, 1))
    part = ((wanted - low) / np.maximum(high - low, 1e-9))[..., None]
    low, high = (np.take_along_axis(course, (index + step)[..., None], axis=2) for step in (0, 1))
    points = (1 - part) * low + part * high
    used = np.arange(_LOOP_LONGEST) < bonds[..., None]
    strain = np.where(used, np.abs(np.linalg.norm(np.diff(points, axis=2), axis=3) - _BOND), 0.0).max(axis=2)
    # Distances between neighbours, from the last residue of the element to the first of the next one.
    shape = (*points.shape[:2], 1, 3)
    before = np.broadcast_to(ends[:, None, None, 0], shape)
    after = np.broadcast_to(starts[:, None, None, 1], shape)
    everything = np.concatenate([before, points, after], axis=2)
    np.put_along_axis(everything, (bonds + 2)[..., None, None], after, axis=2)
    bend = np.linalg.norm(everything[:, :, 2:] - everything[:, :, :-2], axis=3)
    tight = np.where(np.arange(_LOOP_LONGEST + 1) <= bonds[..., None], bend, np.inf).min(axis=2)
    strain = np.where(tight < _TIGHTEST, np.inf, strain)
    best = strain.argmin(axis=1)
    rows = np.arange(count)
    lengths = np.where(strain[rows, best] < _MOST_STRAIN, bonds[rows, best] + 1, 0)
    return [points[row, best[row], : lengths[row]] for row in rows.tolist()]


def _join_elements(
    elements: list[Element], loops: list[Float[np.ndarray, "_ 3"]], label: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atoms, numbers and loops, counted on from ``label``, of elements and loops as one chain.

    A missing loop leaves a gap in the numbers, as long as the loop would be.
    """
    parts, numbers, labels = [], [], []
    following = 1
    for index, element in enumerate(elements):
        own = element.atoms[1:-1]
        parts.append(own)
        numbers.append(np.arange(following, following + len(own)))
        labels.append(np.zeros(len(own), dtype=np.int64))
        following += len(own)
        if index == len(loops):
            break
        loop = loops[index]
        if len(loop) == 0:
            gap = np.linalg.norm(elements[index + 1].atoms[0, 1] - element.atoms[-1, 1])
            following += max(int(np.ceil(gap / 3.0)), 2)
            continue
        label += 1
        bare = np.full((len(loop), 5, 3), np.nan)
        bare[:, 1] = loop
        # The peptides adjoining the elements belong to the elements.
        bare[0, 0] = element.atoms[-1, 0]
        bare[-1, 2:4] = elements[index + 1].atoms[0, 2:4]
        parts.append(bare)
        numbers.append(np.arange(following, following + len(loop)))
        labels.append(np.full(len(loop), label))
        following += len(loop)
    atoms, label_of = np.concatenate(parts), np.concatenate(labels)
    loose = label_of > 0
    if loose.any():
        built = build_backbone(atoms[:, 1])
        for index, name in enumerate(BACKBONE):
            kept = np.isnan(atoms[:, index, 0])
            atoms[kept, index] = built[name][kept]
    return atoms, np.concatenate(numbers), label_of
