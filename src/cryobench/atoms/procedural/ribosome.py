"""A procedural large ribosomal subunit: every heavy atom of its rRNA and of 31 proteins.

The rRNA is A-form double helices (`rna_helix`) packed domain by domain (`rna_fold`); the proteins are globules
(`globule`) docked to the surface of the piece of rRNA that they bind (`ribosome_parts`). Helices and proteins are
then pushed apart as rigid bodies. Single strands between helices are left out, so the chain has a gap at every
junction, as are the extensions by which ribosomal proteins reach into the RNA.
"""

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from jaxtyping import Float, Int

from cryobench import rng
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.procedural.globule import Globule, build_globule, globule_radius
from cryobench.atoms.procedural.ribosome_parts import PROTEINS, RNA_PIECES
from cryobench.atoms.procedural.rigid_bodies import push_apart
from cryobench.atoms.procedural.rna_fold import DIAMETER, Helices, fold_helices
from cryobench.atoms.procedural.rna_helix import COMPLEMENTS, TEMPLATES, build_nucleotides

_ASKED, _PUSHES = 3.1, 12
_DOCKING_ROUNDS = 150
_SEED = 0
# Fractions of the bases of 23S rRNA of E. coli, to about a percent, if every base is paired.
_BASES = {"G": 0.29, "C": 0.29, "A": 0.21, "U": 0.21}


@dataclass(frozen=True, eq=False)
class Ribosome:
    """The whole subunit and the component number of each atom.

    ``names`` are those of the components: the pieces of rRNA, then the proteins.
    """

    model: AtomicModel
    components: Int[np.ndarray, " a"]
    names: tuple[str, ...]


@lru_cache(maxsize=1)
def procedural_ribosome() -> Ribosome:
    """Procedural large subunit, 3,020 nucleotides and 31 proteins, centred on its centre of mass.

    Chain A is 23S rRNA, B 5S rRNA, then one chain per protein. Nucleotides are numbered along a nested secondary
    structure: a helix's first strand, everything attached to it, its second strand. Positions are rounded to 0.001 Å;
    they are reproducible, up to the last digits on machines with different elementary functions.
    """
    generator = rng.stream(_SEED, "procedural ribosome")
    helices = fold_helices(RNA_PIECES, generator)
    strands = _number_nucleotides(helices, generator)
    rna, sizes = build_nucleotides(
        "".join(strands.letters),
        strands.positions,
        strands.strands,
        helices.rotations[strands.helices],
        helices.centres[strands.helices],
    )
    proteins = [
        build_globule(part.residues, rng.stream(_SEED, f"procedural protein {part.name}")) for part in PROTEINS
    ]
    middles = _dock_proteins(helices)
    turns = [_draw_rotation(generator) for _ in proteins]
    placed = [
        globule.positions @ turn.T + middle for globule, turn, middle in zip(proteins, turns, middles, strict=True)
    ]
    bodies = np.repeat(np.arange(len(placed)), [len(part) for part in placed]) + len(helices.pairs)
    positions = push_apart(
        np.concatenate([rna, *placed]),
        np.concatenate([np.repeat(strands.helices, sizes), bodies]),
        _ASKED,
        _PUSHES,
    )
    return _build_model(positions, helices, strands, sizes, proteins)


@dataclass(frozen=True, eq=False)
class _Strands:
    """Nucleotides in chain order: base, helix, position of the pair along it, strand, number."""

    letters: np.ndarray
    helices: np.ndarray
    positions: np.ndarray
    strands: np.ndarray
    numbers: np.ndarray


def _number_nucleotides(helices: Helices, generator: np.random.Generator) -> _Strands:
    """Traverse the trees of all pieces; bases are drawn pair by pair."""
    first = [generator.choice(list(_BASES), size=pairs, p=list(_BASES.values())) for pairs in helices.pairs]
    carried: dict[int, list[int]] = {helix: [] for helix in range(-1, len(helices.pairs))}
    for helix, parent in enumerate(helices.parents.tolist()):
        carried[parent].append(helix)
    letters: list[str] = []
    owners: list[int] = []
    positions: list[int] = []
    sides: list[int] = []

    def walk(helix: int) -> None:
        count = int(helices.pairs[helix])
        for strand in (0, 1):
            owners.extend([helix] * count)
            sides.extend([strand] * count)
            if strand == 0:
                letters.extend(first[helix])
                positions.extend(range(count))
                for child in carried[helix]:
                    walk(child)
            else:
                letters.extend(COMPLEMENTS[letter] for letter in reversed(first[helix]))
                positions.extend(reversed(range(count)))

    for root in carried[-1]:
        walk(root)
    owner = np.array(owners)
    middle = (helices.pairs[owner] - 1) / 2
    small = np.array([piece.name == "5S rRNA" for piece in RNA_PIECES])[helices.pieces[owner]]
    numbers = np.where(small, np.cumsum(small), np.cumsum(~small))
    return _Strands(np.array(letters), owner, np.array(positions) - middle, np.array(sides), numbers)


def _dock_proteins(helices: Helices) -> Float[np.ndarray, "p 3"]:
    """Centre of each protein, as a ball: from its site towards the rRNA that it binds, avoiding everything else."""
    beads, rods = helices.beads
    pieces = helices.pieces[rods]
    names = [piece.name for piece in RNA_PIECES]
    radii = np.array([globule_radius(part.residues) for part in PROTEINS])
    middles = np.array([part.site for part in PROTEINS], dtype=np.float64)
    bound = np.array([names.index(part.binds) for part in PROTEINS])
    reach = radii + 0.46 * DIAMETER
    apart = radii[:, None] + radii[None]
    for _ in range(_DOCKING_ROUNDS):
        offset = middles[:, None] - beads[None]
        distance = np.sqrt((offset**2).sum(axis=2))
        own = np.where(pieces[None] == bound[:, None], distance, np.inf)
        nearest = own.argmin(axis=1)
        gap = own.min(axis=1)
        pull = np.maximum(gap - reach, 0.0) / gap
        moves = -0.2 * pull[:, None] * np.take_along_axis(offset, nearest[:, None, None], axis=1)[:, 0]
        push = np.maximum(reach[:, None] - distance, 0.0) / distance
        moves += 0.3 * (push[:, :, None] * offset).sum(axis=1)
        between = middles[:, None] - middles[None]
        distance = np.sqrt((between**2).sum(axis=2)) + np.eye(len(middles)) * 1e3
        push = np.maximum(apart - distance, 0.0) / distance
        moves += 0.3 * (push[:, :, None] * between).sum(axis=1)
        middles = middles + moves
    return middles


def _draw_rotation(generator: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """Uniform rotation."""
    matrix, upper = np.linalg.qr(generator.standard_normal((3, 3)))
    matrix = matrix * np.sign(np.diag(upper))
    return matrix * np.linalg.det(matrix)


def _build_model(
    positions: Float[np.ndarray, "a 3"],
    helices: Helices,
    strands: _Strands,
    sizes: Int[np.ndarray, " r"],
    proteins: list[Globule],
) -> Ribosome:
    """Names of all atoms."""
    pieces = helices.pieces[strands.helices]
    small = np.array([piece.name == "5S rRNA" for piece in RNA_PIECES])[pieces]
    protein_chains = [chr(ord("C") + index) if index < 24 else chr(ord("a") + index - 24) for index in range(60)]
    names = [name for letter in strands.letters for name in TEMPLATES[letter][0]]
    chains = [np.repeat(np.where(small, "B", "A"), sizes)]
    numbers, kinds, components = [np.repeat(strands.numbers, sizes)], [np.repeat(strands.letters, sizes)], []
    components.append(np.repeat(pieces, sizes))
    for index, globule in enumerate(proteins):
        count = len(globule.positions)
        names.extend(globule.atom_names)
        chains.append(np.full(count, protein_chains[index]))
        numbers.append(globule.numbers[globule.residues])
        kinds.append(np.array(globule.kinds)[globule.residues])
        components.append(np.full(count, len(RNA_PIECES) + index))
    model = AtomicModel.from_positions(
        positions,
        np.array([gemmi.Element(name[0]).atomic_number for name in names]),
        chains=np.concatenate(chains),
        residue_numbers=np.concatenate(numbers),
        residue_names=np.concatenate(kinds),
        atom_names=np.array(names),
    ).centred()
    model = model.with_positions(np.round(model.positions, 3))
    titles = tuple(piece.name for piece in RNA_PIECES) + tuple(part.name for part in PROTEINS)
    return Ribosome(model, np.concatenate(components), titles)
