"""Trajectories of molecular dynamics and files of many models, read frame by frame.

Formats: XTC, TRR and DCD through MDAnalysis's libraries, PDB and mmCIF of many models through gemmi; topologies in
PDB, mmCIF, or whatever MDAnalysis parses (GRO, PSF, PRMTOP, TPR ...). Nothing is written beside the user's files:
where frames lie in an XTC or TRR file is found anew (0.005 ms a frame) and kept in memory only.

Molecules must be whole: periodic images are not joined here (``gmx trjconv -pbc mol`` does it).
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gemmi
import numpy as np
from jaxtyping import Float64, Int

from cryobench._errors import FormatError
from cryobench.atoms.files import read_topology
from cryobench.atoms.frame_files import FrameFile, is_structure, open_frames
from cryobench.atoms.model import AtomicModel

Universe: TypeAlias = Any
"""An MDAnalysis universe; the library is imported when one is needed, which takes a second."""

_WATERS = "HOH WAT H2O DOD SOL TIP* T3P T4P T3H T4H T4E SPC* OPC* W"
_IONS = "NA NA+ SOD K K+ POT CL CL- CLA CS CS+ CES LI LI+ LIT RB RB+ RUB"
NOT_SOLVENT = f"not resname {_WATERS} {_IONS}"
"""Selection of all that is neither water nor one of the ions that stand in for a salt: what is imaged by default.

Hydrogens stay where they are modelled; ``and not element H`` leaves them out and halves the work.
"""


class Trajectory:
    """Frames of one or more trajectory files of the same atoms, in Å, read when asked for. Picklable.

    Parameters
    ----------
    topology
        File that names the atoms. Without trajectories its own models are the frames.
    trajectories
        Files whose frames follow one another.
    selection
        Atoms to keep, in MDAnalysis's selection language; None for all.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    FormatError
        If a file is damaged, cut off, or of a format that is not read.
    ValueError
        If a trajectory has another number of atoms than the topology, or the selection is malformed or empty.
    """

    def __init__(
        self, topology: str | Path, trajectories: Sequence[str | Path] = (), *, selection: str | None = NOT_SOLVENT
    ) -> None:
        path = Path(topology)
        whole, universe = _read_names(path)
        files = [open_frames(Path(each)) for each in trajectories or [path]]
        for file in files:
            if file.atoms != len(whole):
                raise ValueError(
                    f"trajectory {file.path} has {file.atoms} atoms a frame, but topology {path} has {len(whole)}. "
                    "Give the topology that belongs to it, with all its atoms (solvent is left out later)."
                )
        self._files: tuple[FrameFile, ...] = tuple(files)
        self._starts = np.cumsum([0, *(len(file) for file in files)])
        chosen = _select(universe or _as_universe(whole), selection, path) if selection else np.arange(len(whole))
        self._chosen = chosen
        kept = np.zeros(len(whole), dtype=bool)
        kept[chosen] = True
        self._topology = whole.select(kept)
        self.has_coordinates = bool(np.any(whole.positions))
        """Whether the topology file came with positions."""

    @property
    def topology(self) -> AtomicModel:
        """The selected atoms at the topology file's positions, or at those of frame 0 if it has none."""
        if not self.has_coordinates:
            self._topology = self._topology.with_positions(self.read([0])[0])
            self.has_coordinates = True
        return self._topology

    @property
    def paths(self) -> tuple[Path, ...]:
        """The trajectory files."""
        return tuple(file.path for file in self._files)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, frames: Sequence[int] | Int[np.ndarray, " m"]) -> Float64[np.ndarray, "m a 3"]:
        """Positions in Å of the selected atoms in these frames, in the order asked for.

        IndexError for a frame that is not there; FormatError for one that cannot be read.
        """
        wanted = np.asarray(frames, dtype=np.int64)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"frames run from 0 to {len(self) - 1}, asked for {wanted.min()} to {wanted.max()}.")
        positions = np.empty((len(wanted), len(self._chosen), 3))
        part = np.searchsorted(self._starts, wanted, side="right") - 1
        for index, file in enumerate(self._files):
            rows = np.flatnonzero(part == index)
            # In the order of the file, whatever order they are asked for in.
            rows = rows[np.argsort(wanted[rows], kind="stable")]
            for row, frame in zip(rows, file.read(wanted[rows] - self._starts[index]), strict=True):
                positions[row] = frame[self._chosen]
        finite = np.isfinite(positions).all(axis=(1, 2))
        if not finite.all():
            raise FormatError(f"frame {wanted[~finite][0]} of {self.paths[0]} holds positions that are not finite.")
        return positions


def _read_names(path: Path) -> tuple[AtomicModel, Universe | None]:
    """All atoms of a topology file, and the MDAnalysis universe if it took one to read them."""
    if not path.is_file():
        raise FileNotFoundError(f"topology file {path} does not exist. Give a PDB, mmCIF, GRO, PSF ... file.")
    if is_structure(path):
        return read_topology(path), None
    import MDAnalysis

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of missing charges, masses, time steps: none is used here
            universe = MDAnalysis.Universe(str(path))
            if not all(getattr(universe.atoms, "elements", [""])):
                universe.guess_TopologyAttrs(force_guess=["elements"])
    except Exception as error:  # its parsers raise whatever comes up
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FormatError(f"{path} cannot be read as a topology: {first}") from error
    return _as_model(universe, path), universe


def _as_model(universe: Universe, path: Path) -> AtomicModel:
    atoms = universe.atoms
    count = len(atoms)
    numbers = np.array([gemmi.Element(str(element)).atomic_number for element in atoms.elements], dtype=np.int64)
    if not numbers.all():
        first = int(np.argmin(numbers > 0))
        raise FormatError(
            f"{path}: the element of {int((numbers == 0).sum())} atoms cannot be told, the first is "
            f"{atoms.names[first]!r} of residue {atoms.resnames[first]} {atoms.resids[first]}. "
            "Give a PDB or mmCIF topology with elements."
        )
    chains = np.asarray(getattr(atoms, "chainIDs", np.full(count, "")), dtype=str)
    segments = np.asarray(getattr(atoms, "segids", np.full(count, "")), dtype=str)
    try:
        positions = np.asarray(atoms.positions, dtype=np.float64)
    except Exception:  # a topology without coordinates, told by an error whose class differs between versions
        positions = np.zeros((count, 3))
    return AtomicModel(
        positions=positions,
        atomic_numbers=numbers,
        b_factors=np.zeros(count),
        occupancies=np.ones(count),
        chains=np.where(chains == "", segments, chains),
        residue_numbers=atoms.resids,
        insertion_codes=np.asarray(getattr(atoms, "icodes", np.full(count, "")), dtype=str),
        residue_names=np.asarray(atoms.resnames, dtype=str),
        atom_names=np.asarray(atoms.names, dtype=str),
    )


def _as_universe(model: AtomicModel) -> Universe:
    """The names of a model in the form that MDAnalysis selects from."""
    import MDAnalysis

    chains, segment_of = np.unique(model.chains, return_inverse=True)
    universe = MDAnalysis.Universe.empty(
        len(model),
        n_residues=len(model),
        n_segments=len(chains),
        atom_resindex=np.arange(len(model)),
        residue_segindex=segment_of,
    )
    universe.add_TopologyAttr("names", model.atom_names)
    universe.add_TopologyAttr("resnames", model.residue_names)
    universe.add_TopologyAttr("resids", model.residue_numbers)
    universe.add_TopologyAttr("segids", chains)
    universe.add_TopologyAttr("chainIDs", model.chains)
    universe.add_TopologyAttr("elements", [gemmi.Element(int(number)).name for number in model.atomic_numbers])
    return universe


def _select(universe: Universe, selection: str, path: Path) -> Int[np.ndarray, " chosen"]:
    from MDAnalysis.exceptions import NoDataError, SelectionError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chosen = universe.select_atoms(selection).indices
    except (SelectionError, NoDataError, AttributeError, ValueError) as error:
        raise ValueError(f"selection {selection!r} does not work on {path}: {error}") from error
    if len(chosen) == 0:
        raise ValueError(f"selection {selection!r} holds none of the {len(universe.atoms)} atoms of {path}.")
    return np.asarray(chosen, dtype=np.int64)
