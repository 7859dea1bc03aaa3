"""Random conformations of a peptide linker, and of the rigid Fab at its end.

``coil``        distribution of the backbone dihedrals
``geometry``    backbone atoms from dihedrals, with ideal bond lengths and angles
``chain``       the linker in a model
``pieces``      stretches of it with all their atoms, grown and joined
``search``      draws until nothing clashes
``conformers``  the whole antibody, with the pose of the Fab
"""

from cryobench.atoms.linker.chain import FabLinker as FabLinker
from cryobench.atoms.linker.coil import draw_dihedrals as draw_dihedrals
from cryobench.atoms.linker.conformers import CLASH_DISTANCE as CLASH_DISTANCE
from cryobench.atoms.linker.conformers import MAX_TRIES as MAX_TRIES
from cryobench.atoms.linker.conformers import Conformer as Conformer
from cryobench.atoms.linker.conformers import LinkerSampler as LinkerSampler
