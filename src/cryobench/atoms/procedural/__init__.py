"""Procedural structures, made without files: a ribosomal subunit, and complexes of any mass and symmetry."""

from cryobench.atoms.procedural.complexes import procedural_complex, procedural_contaminant
from cryobench.atoms.procedural.ribosome import Ribosome, procedural_ribosome

__all__ = [
    "Ribosome",
    "procedural_complex",
    "procedural_contaminant",
    "procedural_ribosome",
]
