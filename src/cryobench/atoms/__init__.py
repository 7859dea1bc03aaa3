"""Atomic models: from files, this package, the Protein Data Bank, or procedural; their motion; atomic Gaussians."""

from cryobench.atoms.entries import find_entry as find_entry
from cryobench.atoms.files.structures import read_structure as read_structure
from cryobench.atoms.files.structures import write_structure as write_structure
from cryobench.atoms.gaussians import sigma_from_resolution as sigma_from_resolution
from cryobench.atoms.model import AtomicModel as AtomicModel
from cryobench.atoms.model import find_atom as find_atom
from cryobench.atoms.model import list_chains as list_chains
from cryobench.atoms.model import select_residues as select_residues
from cryobench.atoms.motion.fab_hinge import FabHinge as FabHinge
from cryobench.atoms.motion.fab_hinge import fab_dihedral as fab_dihedral
from cryobench.atoms.motion.fab_hinge import fab_selection as fab_selection
from cryobench.atoms.motion.fab_hinge import rotate_about_axis as rotate_about_axis
from cryobench.atoms.motion.fab_hinge import turn_fab as turn_fab
from cryobench.atoms.sources import fetch_structure as fetch_structure
from cryobench.atoms.sources import resolve_structure as resolve_structure
