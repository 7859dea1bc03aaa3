"""Molecular dynamics trajectories and multi-model files, read frame by frame.

Formats: XTC, TRR and DCD through MDAnalysis's libraries, multi-model PDB, mmCIF through gemmi; topologies in PDB,
mmCIF, or any format of MDAnalysis (GRO, PSF, PRMTOP, TPR ...). Nothing is written next to the user's files: frame
offsets of an XTC or TRR file are found each time (0.005 ms per frame) and kept in memory only.

Molecules cut by a periodic box are made whole (`periodic`), frame by frame.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gemmi
import numpy as np
from jaxtyping import Float64, Int

from cryobench._errors import FormatError
from cryobench.atoms.elements import decide_elements
from cryobench.atoms.files.frames import Frame, FrameFile, is_structure, open_frames
from cryobench.atoms.files.records import AtomRecords
from cryobench.atoms.files.structures import build_model, find_virtual_sites, read_records
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.periodic import bring_near, join_molecules, link_atoms, make_whole
from cryobench.atoms.solvent_residues import SALT, WATERS

Universe: TypeAlias = Any
"""An MDAnalysis universe; the library is imported on demand, which takes a second."""

NOT_SOLVENT = f"not resname {WATERS} {SALT}"
"""Selection of everything except water and salt ions, which is imaged by default.

Modelled hydrogens stay; ``and not element H`` leaves them out and halves the work.
"""


class Trajectory:
    """Frames of one or more trajectory files of the same atoms, in Å, read on demand. Picklable.

    Parameters
    ----------
    topology
        File with the atom names. Without trajectories its own models are the frames.
    trajectories
        Files with consecutive frames.
    selection
        Atoms to keep, in MDAnalysis's selection language; None for all.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    FormatError
        If a file is damaged, truncated, or of an unsupported format.
    ValueError
        If the number of atoms differs between trajectory and topology, or the selection is malformed or empty.
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
                    f"trajectory {file.path} has {file.atoms} atoms per frame, but topology {path} has {len(whole)}. "
                    "Give its own topology with all atoms (solvent is left out later)."
                )
        self._files: tuple[FrameFile, ...] = tuple(files)
        self._starts = np.cumsum([0, *(len(file) for file in files)])
        names, residues = whole.padded_names.tolist(), whole.residue_names.tolist()
        numbers = decide_elements(names, residues, whole.symbols.tolist(), aligned=whole.aligned)
        chosen = np.arange(len(whole))
        if selection:
            chosen = _select(universe or _as_universe(whole, numbers), selection, path)
        virtual = find_virtual_sites(whole, numbers)[chosen]
        self._n_virtual = int(virtual.sum())
        self._chosen = chosen[~virtual]
        if len(self._chosen) == 0:
            raise ValueError(f"selection {selection!r} holds {self._n_virtual} massless sites, but no atom.")
        kept = whole.take(self._chosen)
        self._linkage = link_atoms(kept)
        self.has_coordinates = bool(np.any(whole.positions))
        """Whether the topology file has positions."""
        self._topology = build_model(kept, numbers[self._chosen], path)
        if self.has_coordinates:
            self._topology = self._topology.with_positions(make_whole(kept)[0])
        self._joined: set[int] = set()

    @property
    def topology(self) -> AtomicModel:
        """The selected atoms at the topology file's positions, or at those of frame 0 if it has none."""
        if not self.has_coordinates:
            self._topology = self._topology.with_positions(self.read([0])[0])
            self.has_coordinates = True
        return self._topology

    @property
    def notes(self) -> list[str]:
        """Notes on what was left out or changed in the frames read so far."""
        said = []
        if self._n_virtual:
            said.append(f"{self._n_virtual} massless sites are left out.")
        if self._joined:
            said.append(f"in {len(self._joined)} frames molecules were cut by the periodic box and are made whole.")
        return said

    @property
    def paths(self) -> tuple[Path, ...]:
        """The trajectory files."""
        return tuple(file.path for file in self._files)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, frames: Sequence[int] | Int[np.ndarray, " m"]) -> Float64[np.ndarray, "m a 3"]:
        """Positions in Å of the selected atoms in these frames, in the requested order.

        IndexError for a frame that does not exist; FormatError for one that cannot be read.
        """
        wanted = np.asarray(frames, dtype=np.int64)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"frames are 0 to {len(self) - 1}, requested {wanted.min()} to {wanted.max()}.")
        positions = np.empty((len(wanted), len(self._chosen), 3))
        part = np.searchsorted(self._starts, wanted, side="right") - 1
        for index, file in enumerate(self._files):
            rows = np.flatnonzero(part == index)
            # In file order, whatever the requested order.
            rows = rows[np.argsort(wanted[rows], kind="stable")]
            for row, frame in zip(rows, file.read(wanted[rows] - self._starts[index]), strict=True):
                positions[row] = self._join(int(wanted[row]), frame)
        finite = np.isfinite(positions).all(axis=(1, 2))
        if not finite.all():
            raise FormatError(f"frame {wanted[~finite][0]} of {self.paths[0]} holds positions that are not finite.")
        return positions

    def _join(self, number: int, frame: Frame) -> Float64[np.ndarray, "a 3"]:
        """Selected atoms of a frame, with whole molecules; a frame that was cut is brought near the topology."""
        positions = frame.positions[self._chosen]
        if frame.vectors is None or not np.isfinite(positions).all():
            return positions
        whole, cut = join_molecules(positions, frame.vectors, self._linkage, gather=True)
        if not cut:
            return positions
        self._joined.add(number)
        return (
            bring_near(whole, frame.vectors, self._topology.positions.mean(axis=0)) if self.has_coordinates else whole
        )


def _read_names(path: Path) -> tuple[AtomRecords, Universe | None]:
    """All atoms of a topology file, and the MDAnalysis universe if one was needed."""
    if not path.is_file():
        raise FileNotFoundError(f"topology file {path} does not exist. Give a PDB, mmCIF, GRO, PSF ... file.")
    if is_structure(path):
        return read_records(path), None
    import MDAnalysis

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on missing charges, masses, time steps: none is used here
            universe = MDAnalysis.Universe(str(path))
            records = _list_records(universe)
            names, residues = records.padded_names.tolist(), records.residue_names.tolist()
            numbers = decide_elements(names, residues, records.symbols.tolist(), aligned=False)
            universe.add_TopologyAttr("elements", _name_elements(numbers))
    except Exception as error:  # its parsers raise arbitrary exceptions
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FormatError(f"{path} cannot be read as a topology: {first}") from error
    return records, universe


def _list_records(universe: Universe) -> AtomRecords:
    atoms = universe.atoms
    count = len(atoms)
    empty = np.full(count, "")
    chains = np.asarray(getattr(atoms, "chainIDs", empty), dtype=str)
    segments = np.asarray(getattr(atoms, "segids", empty), dtype=str)
    cell = None
    try:
        positions = np.asarray(atoms.positions, dtype=np.float64)
        if universe.dimensions is not None and np.all(universe.dimensions > 0):
            cell = tuple(universe.dimensions.astype(np.float64).tolist())
    except Exception:  # no coordinates, signalled by an error whose class differs between versions
        positions = np.zeros((count, 3))
    return AtomRecords(
        positions=positions,
        symbols=np.asarray(getattr(atoms, "elements", empty), dtype=str),
        padded_names=np.asarray(atoms.names, dtype=str),
        altlocs=empty,
        residue_names=np.asarray(atoms.resnames, dtype=str),
        chains=np.where(chains == "", segments, chains),
        residue_numbers=np.asarray(atoms.resids, dtype=np.int64),
        insertion_codes=np.asarray(getattr(atoms, "icodes", empty), dtype=str),
        occupancies=np.ones(count),
        b_factors=np.zeros(count),
        parts=np.zeros(count, dtype=np.int64),
        aligned=False,
        cell=cell,
    )


def _name_elements(numbers: Int[np.ndarray, " a"]) -> list[str]:
    """Symbols, "" for no element."""
    return [gemmi.Element(int(number)).name if number else "" for number in numbers]


def _as_universe(records: AtomRecords, numbers: Int[np.ndarray, " a"]) -> Universe:
    """Universe of a file's atoms, for MDAnalysis selections."""
    import MDAnalysis

    chains, segment_of = np.unique(records.chains, return_inverse=True)
    universe = MDAnalysis.Universe.empty(
        len(records),
        n_residues=len(records),
        n_segments=len(chains),
        atom_resindex=np.arange(len(records)),
        residue_segindex=segment_of,
    )
    universe.add_TopologyAttr("names", records.names)
    universe.add_TopologyAttr("resnames", records.residue_names)
    universe.add_TopologyAttr("resids", records.residue_numbers)
    universe.add_TopologyAttr("segids", chains)
    universe.add_TopologyAttr("chainIDs", records.chains)
    universe.add_TopologyAttr("elements", _name_elements(numbers))
    return universe


def _select(universe: Universe, selection: str, path: Path) -> Int[np.ndarray, " chosen"]:
    from MDAnalysis.exceptions import NoDataError, SelectionError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chosen = universe.select_atoms(selection).indices
    except (SelectionError, NoDataError, AttributeError, ValueError) as error:
        raise ValueError(f"selection {selection!r} is invalid for {path}: {error}") from error
    if len(chosen) == 0:
        raise ValueError(f"selection {selection!r} holds none of the {len(universe.atoms)} atoms of {path}.")
    return np.asarray(chosen, dtype=np.int64)
