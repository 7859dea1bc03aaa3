"""A spike-like trimer that needs no file: three chains A, B, C about the axis z, 170 Å tall, on a stalk.

Each protomer is five blobs, filled with helices, sheets and loops as any procedural complex is (`folds`), with the
residue numbers that the parts of the SARS-CoV-2 spike have, so that the same selections and motions work on both: an
N-terminal domain (14-305), a receptor-binding domain (319-541) whose ends meet at its foot, the part it stands on
(544-684), a helical core (688-1068) and a stalk (1072-1200). Shape and size are drawn by eye after the closed spike
(6VXX); no coordinate of any entry is used. Glycans are left out.
"""

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from cryobench import rng
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.procedural.blobs import Blob
from cryobench.atoms.procedural.contacts import find_crossing_loops
from cryobench.atoms.procedural.folds import (
    Chain,
    Element,
    FoldKind,
    bridge_elements,
    join_elements,
    lay_rods,
    order_elements,
)
from cryobench.atoms.procedural.packing import pack_side_chains
from cryobench.atoms.procedural.residues import COMPOSITION, KINDS, atom_names, residue_frames
from cryobench.atoms.settled import find_least
from cryobench.rotations import point_group

_GROWTH, _LAYOUTS, _LEAP, _END = 12.0, 24, 2, 13
_SHARES = np.arange(1.05, 0.55, -0.05)


@dataclass(frozen=True)
class _Part:
    """One blob of the first protomer: author numbers, fold, radii and centre (cylinder coordinates about z), Å."""

    first: int
    last: int
    fold: FoldKind
    radii: tuple[float, float, float]
    distance: float
    azimuth_deg: float
    height: float
    tilt_deg: float = 0.0


_PARTS = (
    _Part(14, 305, "sheets", (21.0, 19.0, 24.0), 53.0, 40.0, 24.0),
    _Part(319, 541, "mixed", (23.0, 17.0, 16.0), 24.0, -8.0, 48.0),
    _Part(544, 684, "sheets", (17.0, 15.0, 18.0), 41.0, -5.0, 10.0),
    _Part(688, 1068, "helices", (18.0, 17.0, 36.0), 20.0, 20.0, -10.0),
    _Part(1072, 1200, "helices", (10.0, 10.0, 26.0), 11.0, 0.0, -62.0),
)
_RECEPTOR_BINDING = 1
_FOOT = (50.0, -8.0, 40.0)


@lru_cache(maxsize=2)
def procedural_trimer(*, seed: int = 0) -> AtomicModel:
    """Made-up spike-like trimer of 21,500 heavy atoms, centred on its centre of mass.

    The three chains are exact copies but for the rounding of positions to 0.001 Å. ``seed`` changes the folds.
    """
    rotations = point_group("C3")
    generator = rng.stream(seed, "procedural trimer")
    blobs = [_place(part) for part in _PARTS]
    copies = [[blob.transformed(rotation, np.zeros(3)) for blob in blobs] for rotation in rotations]
    chains = []
    for own, part in enumerate(_PARTS):
        others = [blob for copy in copies for blob in copy if blob is not copies[0][own]]
        foot = _cylinder(*_FOOT) if own == _RECEPTOR_BINDING else None
        chains.append(_thread(part, blobs[own], others, foot, generator))
    return _assemble(chains, rotations, generator)


def _cylinder(distance: float, azimuth_deg: float, height: float) -> Float[np.ndarray, "3"]:
    azimuth = np.deg2rad(azimuth_deg)
    return np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), height])


def _place(part: _Part) -> Blob:
    """The blob, its third axis upright but for the tilt, away from z."""
    outward = Rotation.from_rotvec([0.0, 0.0, np.deg2rad(part.azimuth_deg)])
    tilt = Rotation.from_rotvec([0.0, np.deg2rad(part.tilt_deg), 0.0])
    centre = _cylinder(part.distance, part.azimuth_deg, part.height)
    return Blob(centre, (outward * tilt).as_matrix(), np.array(part.radii), 2.5)


def _thread(
    part: _Part,
    blob: Blob,
    others: list[Blob],
    foot: Float[np.ndarray, "3"] | None,
    generator: np.random.Generator,
) -> Chain:
    """Main chain of one part, with author numbers: the best of several layouts.

    That is the one with the longest elements; or whose two ends, free of loops, have their middle nearest
    to ``foot``.
    """
    best, highest = None, -np.inf
    for _ in range(_LAYOUTS):
        chain, score = _lay(part, blob, others, foot, generator)
        if chain is None:
            continue
        if foot is not None:
            score = -_miss(chain, foot)
        if score > highest:
            best, highest = chain, score
    if best is None:
        raise ValueError(f"no fold for residues {part.first} to {part.last} in {_LAYOUTS} tries.")
    return Chain(best.atoms, best.numbers + part.first - 1, best.loop)


def _miss(chain: Chain, foot: Float[np.ndarray, "3"]) -> float:
    """Distance in Å of the middle of the chain's ends from the foot; infinite if one of them is a loop."""
    ends = np.r_[: min(_END, len(chain.loop)), max(0, len(chain.loop) - _END) : len(chain.loop)]
    if chain.loop[ends].any():
        return np.inf
    return float(np.linalg.norm(chain.atoms[ends, 1].mean(axis=0) - foot))


def _lay(
    part: _Part,
    blob: Blob,
    others: list[Blob],
    foot: Float[np.ndarray, "3"] | None,
    generator: np.random.Generator,
) -> tuple[Chain | None, float]:
    """The largest chain of one layout whose numbers fit, and the mean length of its elements."""
    rods = lay_rods(blob, others, part.fold, _GROWTH, generator)
    room = part.last - part.first + 1
    for share in _SHARES:
        low, high = -_GROWTH, _GROWTH
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (low, middle) if rods.estimate_residues(middle) >= share * room else (middle, high)
        elements = rods.build_elements(high)
        if len(elements) < 2:
            continue
        ordered = _begin_at(order_elements(elements), foot)
        chain = join_elements(ordered, bridge_elements(ordered))
        # Gaps leap by a few numbers only, so that the part's range is filled.
        numbers = 1 + np.cumsum(np.minimum(np.diff(chain.numbers, prepend=1), _LEAP))
        if numbers[-1] <= room:
            # What is left over is one more gap, the largest, so that the part ends with its last number.
            numbers[np.diff(chain.numbers, prepend=1).argmax() :] += room - numbers[-1]
            return Chain(chain.atoms, numbers, chain.loop), float(
                np.mean([len(element.atoms) - 2 for element in ordered])
            )
    return None, 0.0


def _begin_at(elements: list[Element], foot: Float[np.ndarray, "3"] | None) -> list[Element]:
    """The same course through the elements, begun and ended where it passes nearest to ``foot``."""
    if foot is None:
        return elements
    ends = np.array([element.atoms[-2, 1] for element in elements])
    starts = np.array([element.atoms[1, 1] for element in elements])
    passing = np.linalg.norm((np.roll(ends, 1, axis=0) + starts) / 2 - foot, axis=1)
    begin = find_least(passing)
    return elements[begin:] + elements[:begin]


def _assemble(chains: list[Chain], rotations: np.ndarray, generator: np.random.Generator) -> AtomicModel:
    """Loops that cross left out, side chains packed, and the three protomers as one model."""
    before = np.cumsum([0, *(int(chain.loop.max()) for chain in chains)])[:-1]
    loops = np.concatenate(
        [np.where(chain.loop > 0, chain.loop + start, 0) for chain, start in zip(chains, before, strict=True)]
    )
    main_chain = np.concatenate([chain.atoms for chain in chains])
    numbers = np.concatenate([chain.numbers for chain in chains])
    owners = np.repeat(np.arange(len(chains)), [len(chain.numbers) for chain in chains])
    kept = ~(find_crossing_loops(main_chain, loops, owners, rotations)[loops] & (loops > 0))
    main_chain, numbers = main_chain[kept], numbers[kept]
    drawn = generator.choice(len(KINDS), size=len(numbers), p=COMPOSITION)
    frames = residue_frames(*(main_chain[:, slot] for slot in range(3)))
    kinds, side_chains = pack_side_chains(main_chain, frames, drawn, rotations)
    names = [atom_names(KINDS[kind]) for kind in kinds]
    sizes = np.array([len(part) for part in names])
    slots = np.concatenate([main_chain, side_chains], axis=1)
    positions = np.concatenate([slots[residue, :size] for residue, size in enumerate(sizes)])
    atoms = np.array([name for part in names for name in part])
    count = len(rotations) * len(atoms)
    model = AtomicModel(
        positions=np.concatenate([positions @ rotation.T for rotation in rotations]),
        atomic_numbers=np.tile([gemmi.Element(name[0]).atomic_number for name in atoms.tolist()], len(rotations)),
        b_factors=np.zeros(count),
        occupancies=np.ones(count),
        chains=np.repeat(["A", "B", "C"], len(atoms)),
        residue_numbers=np.tile(np.repeat(numbers, sizes), len(rotations)),
        insertion_codes=np.full(count, ""),
        residue_names=np.tile(np.repeat(np.array(KINDS)[kinds], sizes), len(rotations)),
        atom_names=np.tile(atoms, len(rotations)),
    ).centred()
    return model.with_positions(np.round(model.positions, 3))
