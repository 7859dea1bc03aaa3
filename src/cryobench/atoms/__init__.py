"""Atomic models: from files, this package, the Protein Data Bank, or procedural; their motion; atomic Gaussians."""

from cryobench.atoms.entries import find_entry
from cryobench.atoms.files.structures import read_structure, write_structure
from cryobench.atoms.gaussians import sigma_from_resolution
from cryobench.atoms.model import AtomicModel, find_atom, list_chains, select_residues
from cryobench.atoms.motion.fab_hinge import FabHinge, fab_dihedral, fab_selection, rotate_about_axis, turn_fab
from cryobench.atoms.sources import fetch_structure, resolve_structure

__all__ = [
    "AtomicModel",
    "FabHinge",
    "fab_dihedral",
    "fab_selection",
    "fetch_structure",
    "find_atom",
    "find_entry",
    "list_chains",
    "read_structure",
    "resolve_structure",
    "rotate_about_axis",
    "select_residues",
    "sigma_from_resolution",
    "turn_fab",
    "write_structure",
]
