"""Structures made without any file: an antibody, and protein complexes of any mass and symmetry."""

from cryobench.atoms.procedural.antibody import procedural_antibody
from cryobench.atoms.procedural.complexes import procedural_complex, procedural_contaminant

__all__ = ["procedural_antibody", "procedural_complex", "procedural_contaminant"]
