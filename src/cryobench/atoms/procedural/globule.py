"""One small globular protein: a single chain of a given length that fills an ellipsoid.

The fold, its loops and its side chains are those of `folds`, `contacts` and `packing`; here the ellipsoid grows
until the chain is long enough, and the excess is cut off at its end.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cryobench.atoms.procedural.blobs import Blob
from cryobench.atoms.procedural.folds import Chains, FoldKind, find_level, lay_rods, thread_elements
from cryobench.atoms.procedural.packing import pack_side_chains
from cryobench.atoms.procedural.residues import COMPOSITION, KINDS, WEIGHTS, atom_names, residue_frames

_DENSITY = 0.813
_FOLDS: tuple[FoldKind, ...] = ("helices", "sheets", "mixed")
_SHARES = (0.35, 0.15, 0.5)
_ESTIMATES = (0.95, 1.05, 1.15, 1.3)
_SPREAD, _MOST_EXCESS, _TRIES = 0.2, 1.25, 24
_ALONE = np.eye(3)[None]


@dataclass(frozen=True, eq=False)
class Globule:
    """Heavy atoms of a chain, residue by residue, about the origin: Å, and the residue (from 0) of each atom.

    ``kinds`` and ``numbers`` (r,) are the residues' names and their numbers, which skip loops left out.
    """

    positions: Float[np.ndarray, "a 3"]
    atom_names: tuple[str, ...]
    residues: Int[np.ndarray, " a"]
    kinds: tuple[str, ...]
    numbers: Int[np.ndarray, " r"]


def globule_radius(residues: int) -> float:
    """Radius in Å of a ball with the volume of so many residues, at 1.35 g/cm³."""
    return float(np.cbrt(3 * residues * float(COMPOSITION @ WEIGHTS) / _DENSITY / (4 * np.pi)))


def build_globule(residues: int, generator: np.random.Generator) -> Globule:
    """A chain of exactly so many residues. ValueError if no fold of that length is found."""
    for _ in range(_TRIES):
        chain = _thread(residues, generator)
        if chain is not None:
            return _finish(chain, residues, generator)
    raise ValueError(f"no fold of {residues} residues in {_TRIES} tries.")


def _thread(residues: int, generator: np.random.Generator) -> Chains | None:
    """Main chain of a fold of at least so many residues, in about the smallest ellipsoid of a random shape."""
    shape = np.exp(_SPREAD * generator.standard_normal(3))
    radii = globule_radius(residues) * shape / np.cbrt(shape.prod())
    blob = Blob(np.zeros(3), np.eye(3), radii, 2.5)
    kind = _FOLDS[int(generator.choice(3, p=_SHARES))]
    rods = lay_rods(blob, [], kind, generator)
    for estimate in _ESTIMATES:
        elements = rods.build_elements(find_level([rods], estimate * residues, 12))
        if not elements:
            continue
        chain = thread_elements([elements], _ALONE)
        if residues <= len(chain.numbers) < _MOST_EXCESS * residues + 8:
            return chain
    return None


def _finish(chain: Chains, residues: int, generator: np.random.Generator) -> Globule:
    """The chain's first residues with side chains."""
    main_chain = chain.atoms[:residues] - chain.atoms[:residues, 1].mean(axis=0)
    frames = residue_frames(main_chain[:, 0], main_chain[:, 1], main_chain[:, 2])
    drawn = generator.choice(len(KINDS), size=residues, p=COMPOSITION)
    numbers, side_chains = pack_side_chains(main_chain, frames, drawn, _ALONE)
    slots = np.concatenate([main_chain, side_chains], axis=1)
    kinds = [KINDS[number] for number in numbers]
    names = [atom_names(kind) for kind in kinds]
    sizes = [len(part) for part in names]
    return Globule(
        positions=np.concatenate([slots[index, :size] for index, size in enumerate(sizes)]),
        atom_names=tuple(name for part in names for name in part),
        residues=np.repeat(np.arange(residues), sizes),
        kinds=tuple(kinds),
        numbers=chain.numbers[:residues],
    )
