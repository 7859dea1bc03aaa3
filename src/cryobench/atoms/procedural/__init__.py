"""Procedural structures, made without files: a ribosomal subunit, and complexes of any mass and symmetry."""

from cryobench.atoms.procedural.complexes import procedural_complex as procedural_complex
from cryobench.atoms.procedural.complexes import procedural_contaminant as procedural_contaminant
from cryobench.atoms.procedural.ribosome import procedural_ribosome as procedural_ribosome
