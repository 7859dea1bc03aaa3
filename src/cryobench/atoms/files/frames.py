"""Files of many frames: XTC, TRR and DCD (through MDAnalysis's libraries), multi-model PDB and mmCIF.

Each is opened and closed for every read, so that objects are small and can be sent to other processes. The
length is checked once: a truncated file is refused, of which readers would silently return fewer frames.
"""

import mmap
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from cryobench._errors import FormatError
from cryobench.atoms.files.cif import read_cif_models
from cryobench.atoms.files.pdb import read_cell, read_pdb_positions
from cryobench.atoms.files.text import decode_text, is_plain_text, read_structure_text
from cryobench.atoms.periodic import cell_vectors

_TO_ANGSTROM = 10.0
_CUT = "it is truncated. Copy or write it again."


def open_frames(path: Path) -> "FrameFile":
    """The frames of one file, by the suffix of its name.

    FileNotFoundError; FormatError for an unknown suffix, or a file that is damaged, truncated or without frames.
    """
    kind = _ending(path)
    if kind not in _KINDS:
        raise FormatError(
            f"{path} is not a supported trajectory: names must end in {', '.join(_KINDS)} "
            "(PDB and mmCIF also in .gz)."
        )
    if not path.is_file():
        raise FileNotFoundError(f"trajectory file {path} does not exist.")
    return _KINDS[kind](path)


def is_structure(path: Path) -> bool:
    """Whether the suffix is that of a PDB or mmCIF file, gzipped or not."""
    return _ending(path) in (*_PDB, *_CIF)


def is_trajectory(path: Path) -> bool:
    """Whether the suffix is that of a trajectory file without atom names."""
    return _ending(path) in (".xtc", ".trr", ".dcd")


def _ending(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


class Frame(NamedTuple):
    """Positions of one frame and its simulation box."""

    positions: Float64[np.ndarray, "a 3"]
    """Å."""
    vectors: Float64[np.ndarray, "3 3"] | None
    """Rows in Å; None without a box."""


class FrameFile(ABC):
    """Frames of one file. Picklable."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()

    @property
    @abstractmethod
    def atoms(self) -> int:
        """Number of atoms per frame."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Frame]:
        """The requested frames one after another. FormatError if one cannot be read."""


class _XdrFile(FrameFile):
    """XTC and TRR: frames of any length, whose offsets are found once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with self._open() as file:
                self._offsets = np.array(file.offsets)
                self._atoms = int(file.n_atoms)
                file.seek(len(self._offsets) - 1)
                file.read()
                end = file._bytes_tell()
        except (OSError, StopIteration, ValueError) as error:
            raise FormatError(f"{path} cannot be read as {_ending(path)}: {error}. Is the file complete?") from error
        size = path.stat().st_size
        if end != size:
            raise FormatError(f"{path} has {size - end} bytes after {len(self)} complete frames: {_CUT}")

    def _open(self) -> Any:
        from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile

        return (XTCFile if _ending(self.path) == ".xtc" else TRRFile)(str(self.path))

    @property
    def atoms(self) -> int:
        return self._atoms

    def __len__(self) -> int:
        return len(self._offsets)

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Frame]:
        with self._open() as file:
            file.set_offsets(self._offsets)
            for frame in frames:
                try:
                    file.seek(int(frame))
                    content = file.read()
                except (OSError, StopIteration) as error:
                    raise FormatError(f"{self.path}: frame {frame} cannot be read ({error}).") from error
                if not getattr(content, "hasx", True):
                    raise FormatError(f"{self.path}: frame {frame} holds no positions.")
                vectors = np.asarray(content.box, dtype=np.float64) * _TO_ANGSTROM
                yield Frame(content.x.astype(np.float64) * _TO_ANGSTROM, vectors if vectors.any() else None)


class _DcdFile(FrameFile):
    """DCD: frames of equal length."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with self._open() as file:
                self._count, self._atoms = len(file), int(file.header["natoms"])
        except (OSError, StopIteration, ValueError) as error:
            raise FormatError(f"{path} cannot be read as .dcd: {error}. Is the file complete?") from error
        _check_dcd_length(path, self._count)
        if self._count == 0:
            raise FormatError(f"{path} holds no frame.")

    def _open(self) -> Any:
        from MDAnalysis.lib.formats.libdcd import DCDFile

        return DCDFile(str(self.path))

    @property
    def atoms(self) -> int:
        return self._atoms

    def __len__(self) -> int:
        return self._count

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Frame]:
        with self._open() as file:
            for frame in frames:
                try:
                    file.seek(int(frame))
                    content = file.read()
                except (OSError, StopIteration) as error:
                    raise FormatError(f"{self.path}: frame {frame} cannot be read ({error}).") from error
                yield Frame(content.xyz.astype(np.float64), _read_dcd_cell(np.asarray(content.unitcell)))


def _read_dcd_cell(numbers: np.ndarray) -> Float64[np.ndarray, "3 3"] | None:
    """Box vectors from the six numbers of a DCD frame: A, gamma, B, beta, alpha, C, angles in degrees or as cosines.

    Some versions of CHARMM write the symmetric matrix of the box instead, as xx, xy, yy, xz, yz, zz.
    """
    a, gamma, b, beta, alpha, c = numbers.astype(np.float64).tolist()
    angles = np.array([alpha, beta, gamma])
    if not (np.isfinite(numbers).all() and min(a, b, c) > 0):
        return None
    if (np.abs(angles) <= 1).all():
        angles = 90 - np.rad2deg(np.arcsin(angles))
    elif (angles < 0).any() or (angles > 180).any():
        return np.array([[a, gamma, beta], [gamma, b, alpha], [beta, alpha, c]])
    return cell_vectors((a, b, c, *angles.tolist()))


def _check_dcd_length(path: Path, count: int) -> None:
    """Raise FormatError unless the file consists of its header and ``count`` complete frames.

    A DCD file is a sequence of Fortran records: 84 bytes of header ("CORD" and 20 integers), the titles, the number
    of atoms, the free atoms if some are fixed, then each frame's unit cell (if any) and x, y, z (and w in four
    dimensions) of all atoms, without the fixed ones except in the first frame.
    """
    with path.open("rb") as file:
        header = file.read(92)
        order = "<" if header[:4] == struct.pack("<i", 84) else ">"
        if len(header) < 92 or header[:4] != struct.pack(order + "i", 84):
            return  # records with 64-bit markers: only the library's own check applies
        numbers = struct.unpack(order + "20i", header[8:88])
        file.seek(struct.unpack(order + "i", file.read(4))[0] + 4, 1)
        (atoms,) = struct.unpack(order + "4xi4x", file.read(12))
        start = file.tell()
    announced, fixed, has_cell, has_fourth = numbers[0], numbers[8], numbers[10] != 0, numbers[11] != 0
    axes = 4 if has_fourth else 3
    start += 8 + 4 * (atoms - fixed) if fixed else 0
    first = 56 * has_cell + axes * (8 + 4 * atoms)
    other = 56 * has_cell + axes * (8 + 4 * (atoms - fixed))
    extra = (path.stat().st_size - start - first) % other
    if extra or announced > count:
        raise FormatError(f"{path} ends within frame {count} of {max(announced, count + 1)}: {_CUT}")


class _PdbFile(FrameFile):
    """Multi-model PDB: models are parsed on demand. A file that must be decoded is held in memory as text."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self._text() as text:
            starts = [match.start() for match in re.finditer(rb"^MODEL\b", text, re.MULTILINE)]
            self._bounds = [*starts, len(text)] if starts else _find_ends(text)
            closed = sum(1 for _ in re.finditer(rb"^ENDMDL\b", text, re.MULTILINE))
            box = re.search(rb"^CRYST1.*$", text, re.MULTILINE)
            cell = read_cell(bytes(box[0]).decode("latin-1")) if box else None
        if starts and closed != len(starts):
            raise FormatError(f"{path} begins {len(starts)} models but ends {closed}: {_CUT}")
        self._vectors = cell_vectors(cell) if cell else None
        self._atoms = len(next(self.read([0])).positions)
        next(self.read([len(self) - 1]))

    def _text(self) -> Any:
        with self.path.open("rb") as file:
            if is_plain_text(file.read(4096)):
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(read_structure_text(self.path).encode())

    @property
    def atoms(self) -> int:
        return self._atoms

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Frame]:
        with self._text() as text:
            for frame in frames:
                part = bytes(text[self._bounds[int(frame)] : self._bounds[int(frame) + 1]])
                positions = read_pdb_positions(decode_text(part, self.path), self.path)
                if hasattr(self, "_atoms") and len(positions) != self._atoms:
                    raise FormatError(
                        f"{self.path}: model {frame} of {len(self)} has {len(positions)} atoms, the first "
                        f"{self._atoms}. Conformations must have the same atoms; is the file truncated?"
                    )
                yield Frame(np.array(positions, dtype=np.float64).reshape(-1, 3), self._vectors)


def _find_ends(text: Any) -> list[int]:
    """Start offsets of models separated by END, and the end of the last: usually one, the whole file."""
    bounds = [0, *(match.end() for match in re.finditer(rb"^END[ \t\r]*$", text, re.MULTILINE))]
    atoms = re.compile(rb"^(?:ATOM|HETATM)", re.MULTILINE)
    while len(bounds) > 1 and atoms.search(text, bounds[-1]) is None:
        bounds.pop()
    return [*bounds, len(text)]


class _CifFile(FrameFile):
    """Multi-model mmCIF: parsed as a whole on first use, and held in memory as positions."""

    @cached_property
    def _models(self) -> tuple[Float64[np.ndarray, "m a 3"], Float64[np.ndarray, "3 3"] | None]:
        models = read_cif_models(read_structure_text(self.path), self.path)
        counts = [len(model) for model in models]
        if not counts or len(set(counts)) > 1:
            raise FormatError(
                f"{self.path}: all models must have the same number of atoms, got {sorted(set(counts))}."
            )
        cell = models[0].cell
        return np.stack([model.positions for model in models]), cell_vectors(cell) if cell else None

    @property
    def atoms(self) -> int:
        return self._models[0].shape[1]

    def __len__(self) -> int:
        return len(self._models[0])

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Frame]:
        positions, vectors = self._models
        for frame in frames:
            yield Frame(positions[int(frame)], vectors)


_PDB = (".pdb", ".ent")
_CIF = (".cif", ".mmcif")
_KINDS: dict[str, type[FrameFile]] = {
    ".xtc": _XdrFile,
    ".trr": _XdrFile,
    ".dcd": _DcdFile,
    **dict.fromkeys(_PDB, _PdbFile),
    **dict.fromkeys(_CIF, _CifFile),
}
