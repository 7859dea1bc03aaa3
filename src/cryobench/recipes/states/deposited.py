"""States of an assembly from structure files: matched chain by chain, in one frame, positioned as imaged.

A *component* is a molecule: chains of different files match if the files give them the same name, or if
their residues agree number by number; a chain with neither is identified by its chain name. An rRNA can be partly
present: its occupancy is its number of modelled nucleotides relative to the state with the most. Any other molecule
is present (1) or absent (0).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation

from cryobench.atoms.files.molecules import Contents, Polymer, PolymerKind, read_contents
from cryobench.atoms.files.structures import read_structure
from cryobench.atoms.model import AtomicModel, is_alpha_carbon, missing_hydrogens, residue_starts
from cryobench.atoms.sources import structure_name
from cryobench.data import CollectiveVariable, StateComponents
from cryobench.recipes.recipe import Ensemble
from cryobench.recipes.states.composition import check_distinct, embed_composition, find_growth, fingerprint

_ENTRY = re.compile(r"[0-9][A-Za-z0-9]{3}")
_SAME_SEQUENCE, _SHARED_RESIDUES = 0.9, 10
_SHARED_ATOMS, _WORST_FIT = 10, 15.0
_LOST = 0.03
_HYDROGEN = gemmi.Element("H").weight

Residue = tuple[int, str]
"""Author number and insertion code."""


@dataclass(frozen=True, eq=False)
class _Chain:
    """One molecule of one file: residue kinds, their masses in kDa, and the atoms for superposition."""

    polymer: Polymer
    kinds: Mapping[Residue, str]
    masses: Mapping[Residue, float]
    anchors: Mapping[tuple[Residue, str], np.ndarray]


@dataclass(frozen=True, eq=False)
class _State:
    """One file."""

    path: Path
    model: AtomicModel
    chains: list[_Chain]


@dataclass(frozen=True, eq=False, kw_only=True)
class DepositedStates(Ensemble):
    """States read from files, all in the frame of the most complete one, whose centre of mass is the origin."""

    models: tuple[AtomicModel, ...]

    def model(self, state: int) -> AtomicModel:
        return self.models[state]


def read_states(paths: Sequence[Path], images: Int[np.ndarray, "k"]) -> DepositedStates:
    """Ensemble of the files, one state each, in order.

    Parameters
    ----------
    paths
        PDB or mmCIF files of two or more states.
    images
        Images per state.

    Raises
    ------
    ValueError
        If there are fewer than two files; or, naming the file, if one holds no RNA, names molecules but no ribosomal
        one, states another entry than its file name, has the same atoms as another, or cannot be superposed on the
        most complete state. Also as `read_structure`.
    """
    if len(paths) < 2:
        raise ValueError(
            f"an assembly needs at least two states, got {len(paths)} structure file. Give one per state."
        )
    notes: list[str] = []
    states = [_read_state(path, notes) for path in paths]
    check_distinct("hold the same atoms", [(state.path, fingerprint(state.model)) for state in states])
    # To 0.001 Da: states of the same atoms have equal masses, whatever the order of summation.
    masses = [round(state.model.mass_with_hydrogens, 3) for state in states]
    fullest = int(np.argmax(masses))
    order = np.argsort(-np.array(masses), kind="stable").tolist()
    members = _match_chains(states, order)
    models = [_superpose(index, fullest, states, members) for index in range(len(states))]
    centre = models[fullest].centre_of_mass
    occupancies, presence, residue_masses = _compose(states, members)
    placed = tuple(model.with_positions(model.positions - centre) for model in models)
    kilodaltons = np.array([model.mass_with_hydrogens for model in placed]) / 1000
    return DepositedStates(
        models=placed,
        counts=images,
        variables={
            "mass": CollectiveVariable(kilodaltons, "kDa"),
            "components": CollectiveVariable((occupancies > 0).sum(axis=1).astype(np.float64), ""),
        },
        embedding=embed_composition(presence, residue_masses),
        state_names=_name_states(paths),
        components=StateComponents(
            _name_components(members), occupancies, find_growth(occupancies, kilodaltons, _LOST)
        ),
        notes=notes,
    )


def _read_state(path: Path, notes: list[str]) -> _State:
    contents = read_contents(path)
    _check_contents(contents, path)
    model = read_structure(path, notes=notes)
    return _State(path, model, _split_chains(model, contents))


def _check_contents(contents: Contents, path: Path) -> None:
    """Raise ValueError unless the file can be a state of a ribosomal subunit."""
    stem = structure_name(path)
    if _ENTRY.fullmatch(stem) and _ENTRY.fullmatch(contents.entry) and stem.upper() != contents.entry.upper():
        raise ValueError(f"{path} states that it is entry {contents.entry}: rename it, or give the right file.")
    if not any(polymer.kind == "RNA" for polymer in contents.polymers):
        kinds = ", ".join(f"{polymer.chain} ({polymer.kind})" for polymer in contents.polymers) or "none"
        raise ValueError(
            f"{path} holds no RNA, so it is not a state of a ribosomal subunit; its polymers: {kinds}. "
            "For structures of another kind use the recipe custom."
        )
    said = [contents.title, *(polymer.name for polymer in contents.polymers)]
    if any(said) and not any(re.search("ribosom|rrna", text, re.IGNORECASE) for text in said):
        raise ValueError(
            f"{path} is not a ribosomal subunit according to its title {contents.title!r} and molecules "
            f"{', '.join(sorted({polymer.name for polymer in contents.polymers}))}. "
            "For structures of another kind use the recipe custom."
        )


def _split_chains(model: AtomicModel, contents: Contents) -> list[_Chain]:
    """Residues of every polymer; ions and ligands under its chain name are excluded."""
    starts = residue_starts(model)
    owner = np.repeat(np.arange(len(starts)), np.diff([*starts, len(model)]))
    masses = np.bincount(owner, model.weights) + _HYDROGEN * missing_hydrogens(model)
    trace = is_alpha_carbon(model) | np.isin(model.atom_names, ("C1'", "P"))
    is_part = np.bincount(owner, trace) > 0
    chains = model.chains[starts]
    keys = list(zip(model.residue_numbers[starts].tolist(), model.insertion_codes[starts].tolist(), strict=True))
    found = []
    for polymer in contents.polymers:
        residues = np.flatnonzero((chains == polymer.chain) & is_part).tolist()
        atoms = np.flatnonzero((model.chains == polymer.chain) & is_part[owner])
        atoms = atoms[np.isin(model.atom_names[atoms], ("P", "C4'"))] if polymer.kind == "RNA" else atoms[:0]
        found.append(
            _Chain(
                polymer,
                {keys[residue]: str(model.residue_names[starts[residue]]) for residue in residues},
                {keys[residue]: float(masses[residue]) / 1000 for residue in residues},
                {(keys[owner[atom]], str(model.atom_names[atom])): model.positions[atom] for atom in atoms.tolist()},
            )
        )
    return [chain for chain in found if chain.kinds]


def _match_chains(states: Sequence[_State], order: Sequence[int]) -> list[dict[int, _Chain]]:
    """Chain of each state that has it, by component. Components are in order of their first state."""
    members: list[dict[int, _Chain]] = []
    for index in order:
        taken: set[int] = set()
        for chain in states[index].chains:
            free = [number for number in range(len(members)) if number not in taken]
            scores = {number: _likeness(chain, members[number]) for number in free}
            best = max(scores, key=lambda number: scores[number], default=-1)
            if best < 0 or scores[best] <= 0:
                best = len(members)
                members.append({})
            members[best][index] = chain
            taken.add(best)
    return members


def _likeness(chain: _Chain, members: Mapping[int, _Chain]) -> float:
    """Score of a chain's membership in a component: above 1 for the same name, up to 1 by residues, 0 for neither."""
    first = next(iter(members.values()))
    if chain.polymer.kind != first.polymer.kind:
        return 0.0
    agreement = max(_agreement(chain.kinds, other.kinds) for other in members.values())
    if chain.polymer.name or first.polymer.name:
        same = any(chain.polymer.name == other.polymer.name for other in members.values())
        return (2.0 + agreement) if same else agreement
    if agreement == 0.0 and chain.polymer.chain == first.polymer.chain:
        # Too few residues in common to decide; none of them may contradict the chain name.
        shared = chain.kinds.keys() & first.kinds.keys()
        few = len(shared) < _SHARED_RESIDUES
        return 0.5 if few and all(chain.kinds[key] == first.kinds[key] for key in shared) else 0.0
    return agreement


def _agreement(kinds: Mapping[Residue, str], others: Mapping[Residue, str]) -> float:
    """Fraction of residues of the same number that are of the same kind; 0 if it is low or they are few."""
    shared = kinds.keys() & others.keys()
    if len(shared) < _SHARED_RESIDUES:
        return 0.0
    same = sum(kinds[key] == others[key] for key in shared) / len(shared)
    return same if same >= _SAME_SEQUENCE else 0.0


def _superpose(
    index: int, fullest: int, states: Sequence[_State], members: Sequence[Mapping[int, _Chain]]
) -> AtomicModel:
    """Model in the frame of the most complete state: unchanged if no rotation fits better, else superposed."""
    model = states[index].model
    if index == fullest:
        return model
    pairs = [
        (component[index].anchors[key], component[fullest].anchors[key])
        for component in members
        if index in component and fullest in component
        for key in component[index].anchors
        if key in component[fullest].anchors
    ]
    if len(pairs) < _SHARED_ATOMS:
        raise ValueError(
            f"{states[index].path} has {len(pairs)} P and C4' atoms of RNA in common with the most complete state, "
            f"{states[fullest].path}; {_SHARED_ATOMS} are needed to superpose them. "
            "All files must have the same residue numbering."
        )
    moving, target = (np.array(points) for points in zip(*pairs, strict=True))
    middle, goal = moving.mean(axis=0), target.mean(axis=0)
    matrix = Rotation.align_vectors(target - goal, moving - middle)[0].as_matrix()
    fitted = _deviation((moving - middle) @ matrix.T + goal, target)
    if fitted > _WORST_FIT:
        raise ValueError(
            f"{states[index].path} and the most complete state, {states[fullest].path}, differ by {fitted:.1f} Å "
            f"(root mean square over {len(pairs)} atoms of RNA) when superposed: a different molecule, "
            "or another residue numbering."
        )
    if _deviation(moving, target) <= 1.1 * fitted + 0.5:
        return model
    return model.with_positions((model.positions - middle) @ matrix.T + goal)


def _deviation(points: Float[np.ndarray, "m 3"], others: Float[np.ndarray, "m 3"]) -> float:
    """Root mean square distance, Å."""
    return float(np.sqrt(((points - others) ** 2).sum(axis=1).mean()))


def _compose(
    states: Sequence[_State], members: Sequence[Mapping[int, _Chain]]
) -> tuple[Float[np.ndarray, "k c"], Bool[np.ndarray, "k r"], Float[np.ndarray, "r"]]:
    """Occupancies of components, presence of residues in each state, and their masses in kDa."""
    occupancies = np.zeros((len(states), len(members)))
    columns, masses = [], []
    for number, component in enumerate(members):
        kind: PolymerKind = next(iter(component.values())).polymer.kind
        most = max(len(chain.kinds) for chain in component.values())
        for index, chain in component.items():
            occupancies[index, number] = len(chain.kinds) / most if kind == "RNA" else 1.0
        for key in sorted(set().union(*(chain.kinds for chain in component.values()))):
            having = {index: chain.masses[key] for index, chain in component.items() if key in chain.masses}
            columns.append([index in having for index in range(len(states))])
            masses.append(max(having.values()))
    return occupancies, np.array(columns).T, np.array(masses)


def _name_states(paths: Sequence[Path]) -> tuple[str, ...]:
    """File names without extensions, with their folders where two are the same."""
    names = [structure_name(path) for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.resolve().parent.name}/{name}" for path, name in zip(paths, names, strict=True)]
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(unique)


def _name_components(members: Sequence[Mapping[int, _Chain]]) -> tuple[str, ...]:
    """The molecule's name, else that of its chain; duplicates are numbered."""
    names = []
    for component in members:
        named = [chain.polymer.name for chain in component.values() if chain.polymer.name]
        name = named[0] if named else f"chain {next(iter(component.values())).polymer.chain}"
        copies = sum(other == name or other.startswith(f"{name} #") for other in names)
        names.append(name if copies == 0 else f"{name} #{copies + 1}")
    return tuple(names)
