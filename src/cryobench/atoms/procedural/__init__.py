"""Structures made without any file: antibody, ribosomal subunit, spike, complexes of any mass and symmetry."""

from cryobench.atoms.procedural.antibody import procedural_antibody
from cryobench.atoms.procedural.complexes import procedural_complex, procedural_contaminant
from cryobench.atoms.procedural.ribosome import Ribosome, procedural_ribosome
from cryobench.atoms.procedural.trimer import procedural_trimer

__all__ = [
    "Ribosome",
    "procedural_antibody",
    "procedural_complex",
    "procedural_contaminant",
    "procedural_ribosome",
    "procedural_trimer",
]
