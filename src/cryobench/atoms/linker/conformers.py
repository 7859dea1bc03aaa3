"""Conformers of an antibody with one Fab on a disordered linker.

IgG-RL (Jeon et al., arXiv 2408.05526) gives the linker between one Fab and the rest of 1HZH random conformations with
the statistics of disordered peptides. We could not find how they were drawn; the published order parameters name the
parts: the Fab is the heavy chain up to 213 with the light chain, the hinge ends at 244, so the linker is 214 to 243.
Ours: dihedrals from ``coil``, atoms from ``geometry``, the Fab as a rigid body at the linker's first end, the rest
fixed at its last; clashes are redrawn (``search``), so that the accepted conformers follow the distribution of
``coil`` conditional on no overlap.

Known properties of that published choice, kept here:

- The linker starts inside CH1: 214 to about 222 are that domain's last strand, which unfolds and leaves the Fab.
- Disulfide bonds of linker residues are broken: 230 to the light chain's 214, and 239 and 242 to the other heavy
  chain (1HZH's numbering, EU 220, 226 and 229; of the last two the entry lists only the first).
- In the published script residue 244 is a cysteine, in wwPDB's 1HZH it is an alanine: its model has an unknown
  numbering, so the ends of the linker may differ from ours by a few residues.

Ligands move with the Fab or the rest, whichever has the nearest polymer atom; those nearest the linker with the rest.
Side chains of the linker keep their shape and position relative to N, CA and CB. Clashes are tested between
heavy atoms only, and not within a residue or between neighbours in the chain, which the dihedrals determine.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from cryobench import rng
from cryobench.atoms.linker import geometry
from cryobench.atoms.linker.chain import FabLinker, find_linker
from cryobench.atoms.linker.coil import LinkerDihedrals
from cryobench.atoms.linker.pieces import PieceBuilder
from cryobench.atoms.linker.search import ClashFinder, LinkerSearch, NoSolution
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.motion.fab_hinge import FabHinge, fab_dihedral, fab_selection

CLASH_DISTANCE = 2.6
"""Å. Hydrogen bonds (2.7 Å and more) are not clashes."""
MAX_TRIES = 20_000
"""Linker pieces drawn or joined per state; on 1HZH it takes 200 on average."""


@dataclass(frozen=True, eq=False)
class Conformer:
    """One conformation: positions of the linker's atoms and motion of the Fab."""

    dihedrals: LinkerDihedrals
    linker: Float64[np.ndarray, "m 3"]
    """Positions of the linker's atoms, Å, in the order of the model."""
    rotation: Float64[np.ndarray, "3 3"]
    translation: Float64[np.ndarray, "3"]
    """Motion of the Fab: x' = rotation x + translation (Å)."""


class LinkerSampler:
    """Draws conformers of one model.

    Parameters
    ----------
    model
        The antibody; its rest is fixed.
    linker
        Its parts.
    clash_distance
        Å; heavy atoms closer than this clash.

    Raises
    ------
    ValueError
        As `find_linker`, and if there is no Fab or no rest.
    """

    def __init__(
        self, model: AtomicModel, linker: FabLinker | None = None, *, clash_distance: float = CLASH_DISTANCE
    ) -> None:
        self.model = model
        self.linker = linker or FabLinker()
        self.clash_distance = clash_distance
        chain = find_linker(model, self.linker)
        self.atoms = chain.atoms
        """Indices of the linker's atoms."""
        self.labels, self.label_before = chain.labels, chain.label_before
        """Number and insertion code, such as "214", of each residue of the linker, and of the one before it."""
        self.names = chain.names
        """Component of each residue of the linker, and of the one after it."""
        self.hinge = FabHinge(self.linker.heavy, self.linker.light, chain.number_before, chain.number_after)
        self.fab = fab_selection(model, self.hinge)
        """Mask of the atoms of the Fab, which moves rigidly."""
        self._builder = PieceBuilder(model, chain)
        self._clashes = ClashFinder(model, self._builder, self.fab, clash_distance)

    def draw(self, state: int, *, seed: int = 0, max_tries: int = MAX_TRIES) -> Conformer:
        """Conformer of one state: the first one without a clash in the state's own stream of draws.

        It depends on the seed and the state's number alone. ValueError if there is none in ``max_tries`` draws.
        """
        generator = rng.stream(seed, "linker conformation", state)
        search = LinkerSearch(self._builder, self._clashes, generator, max_tries)
        try:
            return self.build(search.find())
        except NoSolution as error:
            raise ValueError(
                f"state {state}: no conformation of the linker {self.linker.heavy} {self.labels[0]} to "
                f"{self.labels[-1]} without a clash in {max_tries} tries. {error} Lower clash_distance "
                f"({self.clash_distance:g} Å), raise max_tries, or use another structure."
            ) from error

    def build(self, dihedrals: LinkerDihedrals) -> Conformer:
        """Linker and Fab at given dihedrals, whether they clash or not."""
        piece = self._builder.grow(0, dihedrals)
        frame = self._builder.locate(piece)
        motion = frame @ geometry.invert(self._builder.start)
        return Conformer(dihedrals, geometry.move(frame, piece.atoms), motion[:3, :3].copy(), motion[:3, 3].copy())

    def place(self, conformer: Conformer) -> AtomicModel:
        """The whole antibody in that conformation."""
        positions = self.model.positions.copy()
        positions[self.fab] = positions[self.fab] @ conformer.rotation.T + conformer.translation
        positions[self.atoms] = conformer.linker
        return self.model.with_positions(positions)

    def measure_dihedral(self, model: AtomicModel) -> float:
        """Dihedral in [0, 2π) of (centre of the Fab, CA before the linker, CA after it, centre of the rest)."""
        return fab_dihedral(model, self.hinge)

    def measure_distance(self, model: AtomicModel) -> float:
        """Å between the centres of mass of the Fab and of everything else, the linker included."""
        return float(np.linalg.norm(model.select(self.fab).centre_of_mass - model.select(~self.fab).centre_of_mass))
