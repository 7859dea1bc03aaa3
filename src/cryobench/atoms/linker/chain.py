"""The linker in a model: located, and checked to be one unbroken peptide."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from cryobench.atoms.model import AtomicModel, residue_starts, select_residues
from cryobench.atoms.motion.fab_hinge import measure_dihedral

_MAIN = ("N", "CA", "C", "O")
_PEPTIDE = 2.0
"""Å; C and N farther apart than this are not bonded."""


@dataclass(frozen=True)
class FabLinker:
    """Identity of a Fab and its linker: two chains, and the linker's ends in the heavy one (author numbering)."""

    heavy: str = "H"
    light: str = "L"
    first: int = 214
    last: int = 243


@dataclass(frozen=True, eq=False)
class LinkerChain:
    """A linker of r residues in a model, with the residues on either side."""

    atoms: Int64[np.ndarray, " m"]
    """Indices of the linker's atoms."""
    owner: Int64[np.ndarray, " m"]
    """Residue of the linker, from 0, of each atom."""
    names: list[str]
    """(r + 1,) components of the linker's residues and of the one after."""
    labels: list[str]
    """(r,) number and insertion code, such as "214"."""
    label_before: str
    backbone: Float64[np.ndarray, "r 3 3"]
    """(r, N CA C, xyz) in Å."""
    before: Float64[np.ndarray, "3 3"]
    """N, CA and C of the preceding residue."""
    after: Float64[np.ndarray, "3 3"]
    psi_before: float
    """ψ of the preceding residue, which positions the linker's first N, in radian."""
    phi_after: float
    number_before: int
    number_after: int
    atoms_before: Int64[np.ndarray, " b"]
    atoms_after: Int64[np.ndarray, " c"]


def find_linker(model: AtomicModel, linker: FabLinker) -> LinkerChain:
    """Find the linker and its neighbours.

    Gaps in the numbering (1HZH: 222, 225; 232, 235) are not breaks if C and N are bonded across them.

    Raises ValueError if a chain or residue is missing, the linker reaches an end of its chain, residues within it
    are missing, or one of N, CA, C and O is.
    """
    if linker.first > linker.last:
        raise ValueError(f"the linker ends at {linker.last}, before it begins at {linker.first}: exchange them.")
    try:
        # Both are called for their errors, which name the contents of the structure.
        select_residues(model, linker.light)
        inside = select_residues(model, linker.heavy, linker.first, linker.last)
    except ValueError as error:
        raise ValueError(
            f"cannot find the linker: {error} Name the chains of one Fab as heavy_chain and light_chain, and "
            "residues of the heavy chain as linker_first and linker_last."
        ) from error
    starts = residue_starts(model)
    stops = np.append(starts[1:], len(model))
    chosen = np.flatnonzero(inside[starts])
    around = np.arange(chosen[0] - 1, chosen[-1] + 2)
    if around[0] < 0 or around[-1] >= len(starts) or set(model.chains[starts[around]]) != {linker.heavy}:
        raise ValueError(
            f"the linker {linker.heavy} {linker.first} to {linker.last} reaches an end of its chain: residues on "
            "both sides are needed, to hold the Fab and the rest. Choose linker_first and linker_last farther inside."
        )
    residues = [
        np.arange(start, stop) for start, stop in zip(starts[around].tolist(), stops[around].tolist(), strict=True)
    ]
    labels = [f"{model.residue_numbers[atoms[0]]}{model.insertion_codes[atoms[0]]}" for atoms in residues]
    points = model.positions[
        [[_find(model, atoms, name, label) for name in _MAIN] for atoms, label in zip(residues, labels, strict=True)]
    ]
    _check_unbroken(points, labels, linker)
    within = residues[1:-1]
    return LinkerChain(
        atoms=np.concatenate(within),
        owner=np.repeat(np.arange(len(within)), [len(atoms) for atoms in within]),
        names=model.residue_names[starts[around[1:]]].tolist(),
        labels=labels[1:-1],
        label_before=labels[0],
        backbone=points[1:-1, :3],
        before=points[0, :3],
        after=points[-1, :3],
        psi_before=measure_dihedral(np.concatenate([points[0, :3], points[1, :1]])),
        phi_after=measure_dihedral(np.concatenate([points[-2, 2:3], points[-1, :3]])),
        number_before=int(model.residue_numbers[residues[0][0]]),
        number_after=int(model.residue_numbers[residues[-1][0]]),
        atoms_before=residues[0],
        atoms_after=residues[-1],
    )


def _find(model: AtomicModel, atoms: Int64[np.ndarray, " m"], name: str, label: str) -> int:
    found = atoms[model.atom_names[atoms] == name]
    if len(found) == 0:
        raise ValueError(
            f"residue {label} of chain {str(model.chains[atoms[0]])!r} has no atom {name!r}: the linker and its "
            "neighbours need N, CA, C and O. Choose another linker_first or linker_last, or a structure with a "
            "complete residue."
        )
    return int(found[0])


def _check_unbroken(points: Float64[np.ndarray, "r 4 3"], labels: list[str], linker: FabLinker) -> None:
    gaps = np.linalg.norm(points[1:, 0] - points[:-1, 2], axis=1)
    broken = np.flatnonzero(gaps > _PEPTIDE)
    if len(broken):
        at = broken[0]
        raise ValueError(
            f"the linker is interrupted between residues {labels[at]} and {labels[at + 1]} of chain "
            f"{linker.heavy!r}: C and N are {gaps[at]:.1f} Å apart, so residues are missing in the structure. Use "
            "the other Fab (heavy_chain, light_chain), another linker_first or linker_last, or a structure with "
            "these residues modelled."
        )
