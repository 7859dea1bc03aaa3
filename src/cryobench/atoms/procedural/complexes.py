"""Procedural protein complexes of any mass and point group, each with its own shape.

A complex is a handful of touching blobs (globules, rods, discs): for a symmetric one those of one subunit and
their images under the group, for one without symmetry a random heap of different ones. All surfaces grow by
the same distance until the blobs, filled with helices, sheets and loops (`folds`), have the given mass: they
meet in flat walls, as subunits do. Side chains are packed last, in all copies at once.
"""

import itertools
import string
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import gemmi
import numpy as np
from jaxtyping import Float, Int
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from cryobench import rng
from cryobench._types import RotationArray
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.procedural.blobs import Blob
from cryobench.atoms.procedural.contacts import approach, approach_copies, is_one_piece
from cryobench.atoms.procedural.folds import GROWTH, Element, FoldKind, find_level, lay_rods, thread_elements
from cryobench.atoms.procedural.packing import pack_side_chains
from cryobench.atoms.procedural.residues import COMPOSITION, KINDS, WEIGHTS, atom_names, residue_frames
from cryobench.rotations import point_group

DENSITY = 0.813
"""Da per Å³ of protein: 1.35 g/cm³."""
SMALLEST = 8.0
"""Minimum mass of an asymmetric unit, kDa."""

_REACH = 235.0
_OVERLAP = 0.86
_MEAN_WEIGHT = 96.0
_EXCESS, _MOST_EXCESS = 1.05, 1.12
_TRIES = 50
_FOLDS: tuple[FoldKind, ...] = ("helices", "sheets", "mixed")


def procedural_complex(mass_kda: float, symmetry: str = "C1", *, seed: int = 0) -> AtomicModel:
    """Procedural protein complex of a given mass and symmetry, all heavy atoms, centred on its centre of mass.

    Parameters
    ----------
    mass_kda
        Mass with hydrogens, met to half a residue per subunit and within 1 %.
    symmetry
        Point group: "C1" (none), "C2", "D3", "T", ... The main axis is z. Copies of the asymmetric unit are exact;
        each is a chain. Without symmetry every blob is a chain.
    seed
        Seed of the random draws; each gives another complex.

    Raises
    ------
    ValueError
        If the point group is unknown, or the mass leaves less than 8 kDa to each copy or would make the complex wider
        than 470 Å.
    """
    rotations = point_group(symmetry)
    if not np.isfinite(mass_kda) or mass_kda < SMALLEST * len(rotations):
        raise ValueError(
            f"a procedural complex of symmetry {symmetry} needs at least {SMALLEST * len(rotations):g} kDa, "
            f"{SMALLEST:g} for each of its {len(rotations)} copies; got {mass_kda}."
        )
    return _assemble(_build_unit(float(mass_kda), symmetry, seed), rotations)


@lru_cache(maxsize=2)
def procedural_contaminant(mass_kda: float = 400.0) -> AtomicModel:
    """The complex that represents a contaminant: always the same ring of six subunits (D3), of the given mass."""
    return procedural_complex(mass_kda, "D3", seed=20_000)


@lru_cache(maxsize=128)
def _build_unit(mass_kda: float, symmetry: str, seed: int) -> "_Unit":
    """Residues of the asymmetric unit. Those built last are cached, at 2 MB or less each."""
    rotations = point_group(symmetry)
    generator = rng.stream(seed, f"procedural complex {symmetry} {mass_kda:.3f}")
    target = 1000.0 * mass_kda / len(rotations)
    for _ in range(_TRIES):
        outline = _design(target, rotations, generator)
        if max(np.linalg.norm(blob.centre) + blob.reach for blob in outline.blobs) > _REACH:
            continue
        unit = _fill(outline, target, rotations, generator)
        if unit is not None:
            return unit
    raise ValueError(
        f"no complex of {mass_kda:g} kDa and symmetry {symmetry} within {2 * _REACH:g} Å in {_TRIES} tries."
    )


# ---------------------------------------------------------------------------------------------- shape


@dataclass(frozen=True, eq=False)
class _Outline:
    """Blobs of the asymmetric unit, and for each except the first the one it is attached to."""

    blobs: list[Blob]
    parents: list[int]


def _design(target: float, rotations: RotationArray, generator: np.random.Generator) -> _Outline:
    """Blobs of the asymmetric unit with a total mass of ``target`` Da, touching one another and their images."""
    volume = target / DENSITY
    alone = len(rotations) == 1
    if alone:
        count = int(np.clip(np.round(target / 1000 / generator.uniform(18, 80)), 3, 14))
    else:
        count = int(np.clip(np.round(target / 1000 / generator.uniform(12, 45)), 1, 4))
    fractions = generator.dirichlet(np.full(count, 4.0)) * 0.75 + 0.25 / count
    fractions = np.sort(fractions)[::-1]
    blobs = [_draw_blob(volume * part, generator) for part in fractions]
    if not alone:
        blobs[0] = _place_orbit(blobs[0], rotations, generator)
    spread = generator.random()
    parents = [0] * count
    for index in range(1, count):
        present = [blob.transformed(rotation, np.zeros(3)) for blob in blobs[:index] for rotation in rotations]
        # From a heap (the next blob is attached to any earlier one) to a chain (to the last one).
        parents[index] = index - 1 if generator.random() < spread else int(generator.integers(index))
        options = [_attach(blobs[index], blobs[parents[index]], generator) for _ in range(6)]
        room = [min(_clearance(option, other) for other in present) for option in options]
        blobs[index] = options[int(np.argmax(room))]
    if alone:
        centre = np.average([blob.centre for blob in blobs], axis=0, weights=fractions)
        blobs = [replace(blob, centre=blob.centre - centre) for blob in blobs]
    return _Outline(blobs, parents)


def _draw_blob(volume: float, generator: np.random.Generator) -> Blob:
    """A globule, rod or disc of that volume (Å³) at the origin, in a random orientation."""
    stretch = (
        (1.0, 1.0, 1.0),
        (1.0, 1.1, generator.uniform(2.0, 3.5)),
        (1.0, generator.uniform(1.6, 2.2), generator.uniform(1.7, 2.6)),
    )[generator.choice(3, p=[0.35, 0.4, 0.25])]
    radii = np.array(stretch) * np.exp(0.1 * generator.standard_normal(3))
    exponent = float(generator.choice([2.0, 2.5, 4.0]))
    # Volume of a superellipsoid of exponent 2, 2.5 and 4 in units of the product of its radii.
    unit = {2.0: 4.189, 2.5: 5.18, 4.0: 6.48}[exponent]
    radii *= (volume / (unit * radii.prod())) ** (1 / 3)
    return Blob(np.zeros(3), Rotation.random(rng=generator).as_matrix(), radii, exponent)


def _radius_along(blob: Blob, direction: Float[np.ndarray, "3"]) -> float:
    """Distance in Å from a blob's centre to its surface in a unit direction."""
    scaled = np.abs(direction @ blob.axes) / blob.radii
    return float((scaled**blob.exponent).sum() ** (-1 / blob.exponent))


def _place_orbit(blob: Blob, rotations: RotationArray, generator: np.random.Generator) -> Blob:
    """The blob in a random direction, where it and its images touch just enough to form one piece."""
    best, least = blob, np.inf
    cyclic = bool(np.allclose(rotations[:, 2, 2], 1.0))
    for _ in range(1 if cyclic else 12):
        direction = np.array([1.0, 0.0, 0.0]) if cyclic else _draw_direction(generator)
        offsets = rotations[1:] @ direction - direction
        lengths = np.linalg.norm(offsets, axis=1)
        touching = np.empty(len(offsets))
        for index, rotation in enumerate(rotations[1:]):
            way = offsets[index] / max(lengths[index], 1e-6)
            both = _radius_along(blob, way) + _radius_along(blob, -way @ rotation)
            touching[index] = _OVERLAP * both / max(lengths[index], 1e-6)
        # The greatest distance from the centre at which contacts join all copies.
        distance = next(
            value for value in np.sort(touching)[::-1] if _hangs_together(rotations[1:][touching >= value], rotations)
        )
        crowding = touching.max() / distance
        if crowding < least:
            best, least = replace(blob, centre=distance * direction), crowding
    return best


def _hangs_together(contacts: Float[np.ndarray, "c 3 3"], rotations: Float[np.ndarray, "g 3 3"]) -> bool:
    """Whether the contacts, as rotations between copies, join all copies into one piece."""
    reached = np.einsum("gij,cjk->gcik", rotations, contacts)
    distance = ((reached[:, :, None] - rotations[None, None]) ** 2).sum(axis=(3, 4))
    joined = (distance < 1e-6).any(axis=1)
    return connected_components(joined, directed=False, return_labels=False) == 1


def _attach(blob: Blob, parent: Blob, generator: np.random.Generator) -> Blob:
    """The blob, in a random orientation, in contact with ``parent`` on a random side."""
    turned = replace(blob, axes=Rotation.random(rng=generator).as_matrix() @ blob.axes)
    direction = _draw_direction(generator)
    distance = _OVERLAP * (_radius_along(parent, direction) + _radius_along(turned, -direction))
    return replace(turned, centre=parent.centre + distance * direction)


def _clearance(blob: Blob, other: Blob) -> float:
    """Å between two blobs along the line of their centres, negative if they overlap."""
    way = other.centre - blob.centre
    distance = float(np.linalg.norm(way))
    if distance < 1e-6:
        return -np.inf
    way = way / distance
    return distance - _radius_along(blob, way) - _radius_along(other, -way)


def _draw_direction(generator: np.random.Generator) -> Float[np.ndarray, "3"]:
    vector = generator.standard_normal(3)
    return vector / np.linalg.norm(vector)


# --------------------------------------------------------------------------------------------- filling


@dataclass(frozen=True, eq=False)
class _Unit:
    """Residues of the asymmetric unit: main chain, side chains beyond CB, kind, author number, blob, loop."""

    main_chain: np.ndarray
    side_chains: np.ndarray
    kinds: np.ndarray
    numbers: np.ndarray
    blobs: np.ndarray
    loops: np.ndarray

    def select(self, kept: np.ndarray) -> "_Unit":
        return _Unit(*(getattr(self, field.name)[kept] for field in fields(self)))


def _fill(outline: _Outline, target: float, rotations: RotationArray, generator: np.random.Generator) -> _Unit | None:
    """Residues of the given mass (Da) in the blobs; None if they cannot grow enough, or do not touch."""
    blobs = outline.blobs
    images = [[blob.transformed(rotation, np.zeros(3)) for blob in blobs] for rotation in rotations]
    rods = []
    for own, blob in enumerate(blobs):
        others = [other for copy in images for other in copy if other is not images[0][own]]
        kind = _FOLDS[int(generator.choice(3, p=[0.45, 0.2, 0.35]))]
        rods.append(lay_rods(blob, others, kind, generator))
    drawn = generator.choice(len(KINDS), size=int(2 * target / WEIGHTS.mean()) + 100, p=COMPOSITION)
    residues = _EXCESS * target / _MEAN_WEIGHT
    for _ in range(4):
        if sum(rod.estimate_residues(GROWTH) for rod in rods) < residues:
            return None
        level = find_level(rods, residues, 14)
        elements = [rod.build_elements(level) for rod in rods]
        if not all(elements):
            return None
        unit = _pack(_close_gaps(elements, outline, rotations), rotations, drawn)
        mass = float(WEIGHTS[unit.kinds].sum())
        if target < mass < _MOST_EXCESS * target:
            unit = _trim(unit, target, generator)
            return unit if is_one_piece(unit.main_chain[:, 1], unit.blobs, rotations) else None
        residues *= _EXCESS * target / mass
    return None


def _close_gaps(parts: list[list[Element]], outline: _Outline, rotations: RotationArray) -> list[list[Element]]:
    """Elements of all blobs, each blob moved up to its parent, then all of them up to their copies."""
    placed: list[list[Element]] = []
    points = [np.concatenate([element.atoms[1:-1] for element in part]).reshape(-1, 3) for part in parts]
    centres = [cloud.mean(axis=0) for cloud in points]
    for index, part in enumerate(parts):
        shift = np.zeros(3)
        if index:
            way = centres[outline.parents[index]] - centres[index]
            way = way / np.linalg.norm(way)
            earlier = np.concatenate(points[:index])
            resting = np.concatenate([earlier @ rotation.T for rotation in rotations])
            shift = way * min(approach(points[index], resting, way), approach_copies(points[index], rotations, way))
        points[index] = points[index] + shift
        centres[index] = centres[index] + shift
        placed.append([element.shifted(shift) for element in part])
    if len(rotations) == 1:
        return placed
    cloud = np.concatenate(points)
    offset = np.zeros(3)
    inward = -outline.blobs[0].centre / np.linalg.norm(outline.blobs[0].centre)
    for direction in (inward, inward * [0.0, 0.0, 1.0], inward * [1.0, 1.0, 0.0]):
        length = np.linalg.norm(direction)
        if length > 1e-3:
            offset = offset + direction / length * approach_copies(cloud + offset, rotations, direction / length)
    return [[element.shifted(offset) for element in part] for part in placed]


def _pack(parts: list[list[Element]], rotations: RotationArray, drawn: Int[np.ndarray, " most"]) -> _Unit:
    """Chains through the elements of all blobs, with the loops that fit, and their side chains."""
    chains = thread_elements(parts, rotations)
    kinds, side_chains = pack_side_chains(
        chains.atoms,
        residue_frames(*(chains.atoms[:, slot] for slot in range(3))),
        drawn[: len(chains.atoms)],
        rotations,
    )
    return _Unit(chains.atoms, side_chains, kinds, chains.numbers, chains.blob, chains.loop)


def _trim(unit: _Unit, target: float, generator: np.random.Generator) -> _Unit:
    """Leave out loops, then residues from the chains' ends, until the mass is nearest to the given one (Da)."""
    weights = WEIGHTS[unit.kinds]
    kept = np.ones(len(weights), dtype=bool)
    excess = float(weights.sum()) - target
    masses = np.bincount(unit.loops, weights)
    for loop in generator.permutation(np.arange(1, len(masses))):
        if masses[loop] < excess:
            kept[unit.loops == loop] = False
            excess -= float(masses[loop])
    last = np.arange(len(weights))[::-1]
    for residue in last:
        if kept[residue]:
            if excess < weights[residue] / 2:
                break
            kept[residue] = False
            excess -= weights[residue]
    return unit.select(kept)


# ------------------------------------------------------------------------------------------- assembly

_SLOTS = 14
_NAMES = np.array([[*atom_names(kind), *[""] * _SLOTS][:_SLOTS] for kind in KINDS])
_NUMBERS = np.array(
    [[gemmi.Element(name[0]).atomic_number if name else 0 for name in names] for names in _NAMES.tolist()]
)


def _assemble(unit: _Unit, rotations: RotationArray) -> AtomicModel:
    """All copies as one model."""
    glycine = unit.kinds == KINDS.index("GLY")
    slots = np.concatenate([unit.main_chain, unit.side_chains], axis=1)
    slots[glycine, 4:] = 0.0
    numbers = _NUMBERS[unit.kinds]
    present = numbers > 0
    positions, atomic_numbers = np.round(slots[present], 3), numbers[present]
    residue = np.nonzero(present)[0]
    weights = np.array([gemmi.Element(number).weight for number in range(20)])[atomic_numbers]
    centre = weights @ positions / weights.sum()
    # The centre of mass of all copies: the part of one copy's centre that the group leaves invariant.
    centre = rotations.mean(axis=0) @ centre
    copies = len(rotations)
    moved = np.concatenate([positions @ rotation.T - centre for rotation in rotations])
    if copies == 1:
        chains, residue_numbers = _name_chains(int(unit.blobs.max()) + 1)[unit.blobs], unit.numbers
        chains = chains[residue]
    else:
        ends = np.array([unit.numbers[unit.blobs == blob].max() for blob in range(int(unit.blobs.max()) + 1)])
        residue_numbers = unit.numbers + np.concatenate([[0], np.cumsum(ends + 20)[:-1]])[unit.blobs]
        chains = np.repeat(_name_chains(copies), len(residue))
    return AtomicModel.from_positions(
        moved,
        np.tile(atomic_numbers, copies),
        chains=chains,
        residue_numbers=np.tile(residue_numbers[residue], copies),
        residue_names=np.tile(np.array(KINDS)[unit.kinds][residue], copies),
        atom_names=np.tile(_NAMES[unit.kinds][present], copies),
    )


def _name_chains(count: int) -> np.ndarray:
    """A to Z, then a to z, 0 to 9, and AA, AB and so on."""
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits
    names = itertools.chain(letters, map("".join, itertools.product(letters, repeat=2)))
    return np.array(list(itertools.islice(names, count)))
