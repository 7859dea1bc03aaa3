"""Rotation of a part of a structure about an axis, and of one Fab of an antibody.

IgG-1D (Jeon et al., arXiv 2408.05526) rotates one Fab of the human IgG1 b12 (1HZH) through 360 degrees in 100
steps, "one dihedral between one Fab and the rest". The axis and the atoms are not published; ours are:

- The axis runs through the CA atoms of two cysteines of the upper hinge (`FabHinge`): residue 230, bound to the
  light chain, and residue 239, bound to the other heavy chain (EU 220 and 226). The Fab on its side of that
  piece of chain turns as one body: the heavy chain up to residue 230, the light chain, and ligands that touch them.
  Residues 231 to 238 stay with the Fc. The peptide bond after residue 230 keeps its length within 0.4 Å, and on
  1HZH no atom of the Fab comes closer than 3.4 Å to the rest at any angle (except the two bonded residues).
- The order parameters of the sister set IgG-RL define the Fab as the heavy chain up to 213 and the hinge as residues
  213 and 244. As an axis with that selection it splits the last strand of CH1 off its domain and drives
  atoms through each other at 98 of the 100 angles, so it is not used for motion here;
  `fab_dihedral` measures it if given that hinge.
"""

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from cryobench.atoms.model import AtomicModel, find_atom, residue_starts, select_residues
from cryobench.atoms.tie_breaking import attach_groups


@dataclass(frozen=True)
class FabHinge:
    """Turning Fab and its axis: two chains, and two residues of the heavy one (author numbering).

    Parameters
    ----------
    heavy, light
        Names of the Fab's heavy and light chain.
    fab_end
        Last heavy-chain residue that turns with the Fab; its CA is the first point of the axis.
    rest_start
        Residue whose CA is the second point of the axis, on the side of the Fc.
    """

    heavy: str = "H"
    light: str = "L"
    fab_end: int = 230
    rest_start: int = 239


def rotate_about_axis(
    model: AtomicModel,
    mask: Bool[np.ndarray, " a"],
    point: Float[np.ndarray, "3"],
    direction: Float[np.ndarray, "3"],
    angle: float,
) -> AtomicModel:
    """Rotate the atoms of ``mask`` by ``angle`` (radian, right-handed) about the axis through ``point``."""
    length = np.linalg.norm(direction)
    if not length > 0:
        raise ValueError(f"a rotation axis needs a direction, got {direction}.")
    rotation = Rotation.from_rotvec(angle * np.asarray(direction) / length).as_matrix()
    return model.transformed(rotation, point - rotation @ point, mask)


def turn_fab(model: AtomicModel, angle: float, hinge: FabHinge | None = None) -> AtomicModel:
    """Turn one Fab about the hinge so that `fab_dihedral` increases by ``angle`` (radian); 0 returns the input.

    The published states are at 2π i / 100, i from 0 to 99. The rest is fixed: give a model that was centred once.
    Raises ValueError, naming the contents, if a chain or a hinge residue is missing.
    """
    hinge = hinge or FabHinge()
    mask = fab_selection(model, hinge)
    proximal, distal = _axis(model, hinge)
    return rotate_about_axis(model, mask, proximal, proximal - distal, angle)


def fab_dihedral(model: AtomicModel, hinge: FabHinge | None = None) -> float:
    """Dihedral in [0, 2π) of (centre of mass of the Fab, CA of fab_end, CA of rest_start, centre of the rest)."""
    hinge = hinge or FabHinge()
    mask = fab_selection(model, hinge)
    proximal, distal = _axis(model, hinge)
    points = (model.select(mask).centre_of_mass, proximal, distal, model.select(~mask).centre_of_mass)
    return measure_dihedral(np.array(points)) % (2 * np.pi)


def measure_dihedral(points: Float[np.ndarray, "4 3"]) -> float:
    """Dihedral of four points, radian in (−π, π]."""
    first, middle, last = np.diff(points, axis=0)
    left, right = np.cross(first, middle), np.cross(middle, last)
    return float(np.arctan2(np.linalg.norm(middle) * first @ right, left @ right))


def fab_selection(model: AtomicModel, hinge: FabHinge | None = None) -> Bool[np.ndarray, " a"]:
    """Mask of the turning atoms: the heavy chain up to ``fab_end``, the light chain, and their ligands.

    Each connected group of ligand atoms (glycans, ions), whatever its chain name, moves with the part that has the
    nearest polymer atom. Raises ValueError if a chain is missing or the Fab would be everything.
    """
    return _select_fab(model, hinge or FabHinge())


@lru_cache(maxsize=4)
def _select_fab(model: AtomicModel, hinge: FabHinge) -> Bool[np.ndarray, " a"]:
    """Read-only mask, computed once for a model that is turned many times (models are compared by identity)."""
    fab = _find_fab(model, hinge)
    fab.setflags(write=False)
    return fab


def _find_fab(model: AtomicModel, hinge: FabHinge) -> Bool[np.ndarray, " a"]:
    try:
        fab = select_residues(model, hinge.heavy, last=hinge.fab_end) | select_residues(model, hinge.light)
    except ValueError as error:
        raise ValueError(
            f"cannot find the Fab to turn: {error} Name the chains of one Fab as heavy and light "
            "(settings heavy_chain and light_chain of igg-1d and igg-rl)."
        ) from error
    polymer = _in_polymer(model)
    if not (fab & polymer).any() or not (~fab & polymer).any():
        raise ValueError(
            f"chains {hinge.heavy!r} (to residue {hinge.fab_end}) and {hinge.light!r} hold {int(fab.sum())} of "
            f"{len(model)} atoms: a Fab and a rest are needed, both with amino acids."
        )
    ligand = np.flatnonzero(~polymer)
    if len(ligand) == 0:
        return fab
    anchors = np.flatnonzero(polymer)
    fab[ligand] = fab[anchors[attach_groups(model.positions[anchors], model.positions[ligand])]]
    return fab


def _in_polymer(model: AtomicModel) -> Bool[np.ndarray, " a"]:
    starts = residue_starts(model)
    kinds = [gemmi.find_tabulated_residue(str(name)) for name in model.residue_names[starts]]
    flags = np.array([kind.is_amino_acid() or kind.is_nucleic_acid() for kind in kinds])
    return np.repeat(flags, np.diff([*starts, len(model)]))


def _axis(model: AtomicModel, hinge: FabHinge) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    try:
        atoms = [find_atom(model, hinge.heavy, number, "CA") for number in (hinge.fab_end, hinge.rest_start)]
    except ValueError as error:
        raise ValueError(f"cannot find the hinge: {error} Name residues that the structure has.") from error
    return model.positions[atoms[0]], model.positions[atoms[1]]
