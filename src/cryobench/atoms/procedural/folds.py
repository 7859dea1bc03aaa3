"""Folds: a blob filled with straight helices and strands in layers, joined by loops, at the density of protein.

The layers are those of globular domains (Taylor, Nature 416:657, 2002): helices side by side at 10 Å, strands at
4.8 Å, one layer 10 Å above the other. Layers of helices are turned against each other, sheets are twisted. Rods of
residues run through the blob wherever it is; where one enters and leaves the chain turns round. Ends too far apart
for a loop stay unjoined, as the unseen loops of deposited structures do.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from cryobench.atoms.procedural.backbone import build_backbone
from cryobench.atoms.procedural.blobs import Blob, measure_margin
from cryobench.atoms.procedural.residues import BACKBONE, helix, residue_frames, strand

FoldKind = Literal["helices", "sheets", "mixed"]

WALL = 9.0
"""Least margin (twice the distance to the wall between two blobs) of the axis of a helix or strand, Å."""

_HELIX_SPACING, _STRAND_SPACING, _LAYER_SPACING = 10.0, 4.8, 10.0
_HELIX_SHORTEST, _STRAND_SHORTEST = 7, 4
_LOOP_WALL = 8.0
_LOOP_SPEED, _LOOP_LONGEST, _BOND = 11.0, 9, 3.8
_NEAREST_ALPHA = 4.2


@dataclass(frozen=True, eq=False)
class Rods:
    """Places for residues in one blob: lines of helix or strand through all of it.

    ``depth`` and ``margin`` (rods, places) say where a place lies, see `blobs`; ``atoms`` (rods, places, 5, 3) are
    the main-chain atoms that a residue there would have.
    """

    depth: Float[np.ndarray, "rods places"]
    margin: Float[np.ndarray, "rods places"]
    atoms: Float[np.ndarray, "rods places 5 3"]
    helical: Bool[np.ndarray, " rods"]

    def occupied(self, level: float) -> Bool[np.ndarray, "rods places"]:
        """Places within the blob when its surface has grown by ``level`` Å, in runs that are long enough."""
        inside = (self.depth < level) & (self.margin > WALL)
        shortest = np.where(self.helical, _HELIX_SHORTEST, _STRAND_SHORTEST)
        padded = np.zeros((inside.shape[0], inside.shape[1] + 2), dtype=np.int8)
        padded[:, 1:-1] = inside
        step = np.diff(padded, axis=1)
        rod, begin = np.nonzero(step == 1)
        end = np.nonzero(step == -1)[1]
        kept = np.zeros_like(padded[:, :-1])
        long = end - begin >= shortest[rod]
        kept[rod[long], begin[long]] = 1
        kept[rod[long], end[long]] = -1
        return np.cumsum(kept, axis=1)[:, :-1] > 0


def lay_rods(blob: Blob, others: list[Blob], kind: FoldKind, growth: float, generator: np.random.Generator) -> Rods:
    """Rods through a blob that may grow by up to ``growth`` Å, as far as the walls to ``others`` let it."""
    turn = Rotation.from_rotvec(0.35 * generator.standard_normal(3)).as_matrix()
    order = generator.permutation(3)
    axes = blob.axes[:, order] * np.array([1.0, 1.0, np.linalg.det(blob.axes[:, order])])
    frame = axes @ turn
    reach = blob.reach + growth
    across, turns, helical = _section(kind, blob.radii[order], reach, generator)
    longest = int(np.ceil(2 * reach / helix().rise)) + 2
    depths, margins, atoms = [], [], []
    for wanted, screw in ((True, helix()), (False, strand())):
        chosen = np.flatnonzero(helical == wanted)
        if len(chosen) == 0:
            continue
        places = int(np.ceil(2 * reach / screw.rise)) + 1
        steps = np.arange(places) - places / 2
        heights = screw.rise * steps[None] + screw.rise * generator.uniform(-0.5, 0.5, (len(chosen), 1))
        angles = screw.angle * steps[None] + (generator.uniform(0, 2 * np.pi, (len(chosen), 1)) if wanted else 0.0)
        upward = np.where(generator.random(len(chosen)) < 0.5, 1.0, -1.0)
        tilted = frame @ turns[chosen]
        centres = across[chosen] @ frame.T + blob.centre
        axis = centres[:, None] + heights[..., None] * upward[:, None, None] * tilted[:, None, :, 2]
        flat = axis.reshape(-1, 3)
        depth = blob.measure_depth(flat)
        margin = np.full(len(flat), -np.inf)
        near = np.flatnonzero(depth < growth)
        margin[near] = measure_margin(flat[near], depth[near], others, WALL + 1.0)
        pad = ((0, 0), (0, longest - places))
        depths.append(np.pad(depth.reshape(axis.shape[:2]), pad, constant_values=np.inf))
        margins.append(np.pad(margin.reshape(axis.shape[:2]), pad, constant_values=-np.inf))
        # A rod that runs down is turned about its own x.
        flip = np.array([1.0, 1.0, 1.0]) * np.stack([np.ones_like(upward), upward, upward], axis=1)[:, None, :]
        cosine, sine = np.cos(angles)[..., None], np.sin(angles)[..., None]
        template = screw.atoms
        local = np.stack(
            [
                cosine * template[:, 0] - sine * template[:, 1],
                sine * template[:, 0] + cosine * template[:, 1],
                np.broadcast_to(template[:, 2], (*angles.shape, 5)),
            ],
            axis=-1,
        )
        placed = np.einsum("rxy,rpay->rpax", tilted, local * flip[:, None]) + axis[:, :, None]
        atoms.append(np.pad(placed, (*pad, (0, 0), (0, 0))))
    kinds = np.concatenate([helical[helical], helical[~helical]])
    return Rods(np.concatenate(depths), np.concatenate(margins), np.concatenate(atoms), kinds)


def _section(
    kind: FoldKind, radii: Float[np.ndarray, "3"], reach: float, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "rods 3"], Float[np.ndarray, "rods 3 3"], Bool[np.ndarray, " rods"]]:
    """Where rods cross the middle of a blob, their rotations from z, and which are helices, in the blob's frame.

    Layers follow one another along x, rods along y.
    """
    n_layers = int(np.ceil(reach / 8.0))
    spacing = _LAYER_SPACING * (np.sqrt(0.75) if kind == "helices" else 1.0)
    offset = generator.uniform(-0.5, 0.5)
    parity = int(generator.integers(2))
    sign = 1.0 if generator.random() < 0.7 else -1.0
    between = sign * min(0.35, 4.0 / max(reach, 1.0))
    twist = -min(0.066, 0.45 / max(float(radii[1]), 1.0))
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
        points.append(turn.apply(np.stack([x, y, np.zeros(len(y))], axis=1)))
        turns.append(turn.as_matrix())
        helical.append(np.full(len(y), wound))
    return np.concatenate(points), np.concatenate(turns), np.concatenate(helical)


@dataclass(frozen=True, eq=False)
class Chain:
    """Main chain of one blob: atoms N, CA, C, O, CB (r, 5, 3) in Å and author numbers, which leap over a gap.

    ``loop`` (r,) is 0 for residues of helices and strands, else the number, from 1, of the loop a residue is in.
    """

    atoms: Float[np.ndarray, "r 5 3"]
    numbers: Int[np.ndarray, " r"]
    loop: Int[np.ndarray, " r"]


def thread_chain(rods: Rods, level: float, blob: Blob, others: list[Blob]) -> Chain | None:
    """One chain through all elements of a blob grown by ``level`` Å: each time on to the nearest end. None: empty."""
    occupied = rods.occupied(level)
    step = np.diff(occupied.astype(np.int8), axis=1, prepend=0, append=0)
    rod, begin = np.nonzero(step == 1)
    if len(rod) == 0:
        return None
    end = np.nonzero(step == -1)[1]
    elements = [rods.atoms[r, b:e] for r, b, e in zip(rod.tolist(), begin.tolist(), end.tolist(), strict=True)]
    ordered = _order_elements(elements)
    loops = _bridge(ordered)
    return _join(ordered, _drop_crossing(ordered, loops, level, blob, others))


def _order_elements(elements: list[Float[np.ndarray, "e 5 3"]]) -> list[Float[np.ndarray, "e 5 3"]]:
    """Order in which a chain visits elements, from the C end of each to the nearest N end of the others."""
    starts = np.array([element[0, 1] for element in elements])
    ends = np.array([element[-1, 1] for element in elements])
    free = np.ones(len(elements), dtype=bool)
    current = int(np.linalg.norm(starts - starts.mean(0), axis=1).argmax())
    order = []
    while True:
        order.append(current)
        free[current] = False
        left = np.flatnonzero(free)
        if len(left) == 0:
            return [elements[index] for index in order]
        distance = ((starts[left] - ends[current]) ** 2).sum(axis=1)
        current = int(left[distance.argmin()])


def _bridge(elements: list[Float[np.ndarray, "e 5 3"]]) -> list[Float[np.ndarray, "loop 3"]]:
    """CA positions of the loop after each element but the last: a cubic that leaves and arrives along them."""
    if len(elements) < 2:
        return []
    begin = np.array([element[-1, 1] for element in elements[:-1]])
    end = np.array([element[0, 1] for element in elements[1:]])
    leave = np.array([element[-1, 1] - element[-4, 1] for element in elements[:-1]])
    arrive = np.array([element[3, 1] - element[0, 1] for element in elements[1:]])
    leave, arrive = (_LOOP_SPEED * way / np.linalg.norm(way, axis=1, keepdims=True) for way in (leave, arrive))
    time = np.linspace(0.0, 1.0, 33)[None, :, None]
    late = time * time * (3 - 2 * time)
    bulge = time * (1 - time)
    course = (1 - late) * begin[:, None] + late * end[:, None]
    course = course + bulge * ((1 - time) * leave[:, None] - time * arrive[:, None])
    arc = np.zeros(course.shape[:2])
    arc[:, 1:] = np.linalg.norm(np.diff(course, axis=1), axis=2).cumsum(axis=1)
    counts = np.maximum(np.round(arc[:, -1] / _BOND).astype(int) - 1, 0)
    loops = []
    for index, count in enumerate(counts.tolist()):
        if not 1 <= count <= _LOOP_LONGEST:
            loops.append(np.zeros((0, 3)))
            continue
        even = np.interp(np.arange(1, count + 1) / (count + 1) * arc[index, -1], arc[index], time[0, :, 0])
        place = np.minimum((even * 32).astype(int), 31)
        part = (even * 32 - place)[:, None]
        loops.append((1 - part) * course[index, place] + part * course[index, place + 1])
    return loops


def _drop_crossing(
    elements: list[Float[np.ndarray, "e 5 3"]],
    loops: list[Float[np.ndarray, "loop 3"]],
    level: float,
    blob: Blob,
    others: list[Blob],
) -> list[Float[np.ndarray, "loop 3"]]:
    """Loops without those that come too near another part of the chain, or a wall."""
    if sum(map(len, loops)) == 0:
        return loops
    points = np.concatenate(loops)
    owner = np.repeat(np.arange(len(loops)), [len(loop) for loop in loops])
    depth = blob.measure_depth(points)
    bad = measure_margin(points, depth, others, WALL) < _LOOP_WALL
    bad |= depth > level + 9.0
    fixed = np.concatenate([element[:, 1] for element in elements])
    element = np.repeat(np.arange(len(elements)), [len(part) for part in elements])
    close = KDTree(points).query_ball_tree(KDTree(fixed), _NEAREST_ALPHA)
    for place, found in enumerate(close):
        # Its own two elements it starts from and goes to.
        bad[place] |= any(element[index] - owner[place] not in (0, 1) for index in found)
    dropped = np.zeros(len(loops), dtype=bool)
    dropped[owner[bad]] = True
    pairs = KDTree(points).query_pairs(_NEAREST_ALPHA, output_type="ndarray")
    for first, second in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist():
        one, other = owner[first], owner[second]
        if one != other and not dropped[one] and not dropped[other]:
            dropped[max(one, other)] = True
    return [np.zeros((0, 3)) if dropped[index] else loop for index, loop in enumerate(loops)]


def _join(elements: list[Float[np.ndarray, "e 5 3"]], loops: list[Float[np.ndarray, "loop 3"]]) -> Chain:
    """Elements and loops as one chain. A missing loop leaves a gap in the numbers, of as many as would fill it."""
    parts, numbers, labels = [], [], []
    following, label = 1, 0
    for index, element in enumerate(elements):
        parts.append(element)
        numbers.append(np.arange(following, following + len(element)))
        labels.append(np.zeros(len(element), dtype=np.int64))
        following += len(element)
        if index == len(loops):
            break
        loop = loops[index]
        if len(loop) == 0:
            gap = np.linalg.norm(elements[index + 1][0, 1] - element[-1, 1])
            following += max(int(np.ceil(gap / 3.0)), 2)
            continue
        label += 1
        bare = np.full((len(loop), 5, 3), np.nan)
        bare[:, 1] = loop
        parts.append(bare)
        numbers.append(np.arange(following, following + len(loop)))
        labels.append(np.full(len(loop), label))
        following += len(loop)
    atoms, label_of = np.concatenate(parts), np.concatenate(labels)
    loose = label_of > 0
    if loose.any():
        built = build_backbone(atoms[:, 1])
        for index, name in enumerate(BACKBONE):
            atoms[loose, index] = built[name][loose]
        # The carbonyl before a loop points along the chain it now has.
        before = np.flatnonzero(~loose[:-1] & loose[1:])
        atoms[before, 2], atoms[before, 3] = built["C"][before], built["O"][before]
        after = np.flatnonzero(loose[:-1] & ~loose[1:]) + 1
        atoms[after, 0] = built["N"][after]
    return Chain(atoms, np.concatenate(numbers), label_of)


def chain_frames(chain: Chain) -> Float[np.ndarray, "r 3 3"]:
    """Frame of each residue, see `residues.residue_frames`."""
    return residue_frames(chain.atoms[:, 0], chain.atoms[:, 1], chain.atoms[:, 2])
