"""Files of many frames: XTC, TRR and DCD (through MDAnalysis's libraries), multi-model PDB and mmCIF.

Each is opened and closed for every read, so that objects are small and can be sent to other processes. The
length is checked once: a truncated file is refused, of which readers would silently return fewer frames.
"""

import mmap
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
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

    atoms: int
    """Number of atoms per frame."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Frame]:
        """The requested frames one after another. FormatError if one cannot be read."""


class _BinaryFile(FrameFile):
    """Frames read by a library of MDAnalysis."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with self._open() as file:
                self._survey(file)
        except (OSError, StopIteration, ValueError) as error:
            kind = _ending(path).removeprefix(".").upper()
            raise FormatError(
                f"{path} cannot be read as {kind} ({error}): it is damaged or truncated. Copy or write it again."
            ) from error

    @abstractmethod
    def _open(self) -> Any:
        """The library's file."""

    @abstractmethod
    def _survey(self, file: Any) -> None:
        """Count frames and atoms. FormatError if the file is not complete."""

    @abstractmethod
    def _interpret(self, content: Any, frame: int) -> Frame:
        """A frame of the library as ours."""

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Frame]:
        with self._open() as file:
            for frame in map(int, frames):
                try:
                    file.seek(frame)
                    content = file.read()
                except (OSError, StopIteration) as error:
                    raise FormatError(f"{self.path}: frame {frame} cannot be read ({error}).") from error
                yield self._interpret(content, frame)


class XdrFile(_BinaryFile):
    """XTC, unless the name ends in .trr: frames of any length, whose offsets are found once."""

    _offsets: np.ndarray | None = None

    def _open(self) -> Any:
        from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile

        file = (TRRFile if _ending(self.path) == ".trr" else XTCFile)(str(self.path))
        if self._offsets is not None:
            file.set_offsets(self._offsets)
        return file

    def _survey(self, file: Any) -> None:
        offsets = np.array(file.offsets)
        self.atoms, self._count = int(file.n_atoms), len(offsets)
        file.seek(self._count - 1)
        file.read()
        extra = self.path.stat().st_size - file._bytes_tell()
        if extra:
            raise FormatError(f"{self.path} has {extra} bytes after {self._count} complete frames: {_CUT}")
        self._offsets = offsets

    def __len__(self) -> int:
        return self._count

    def _interpret(self, content: Any, frame: int) -> Frame:
        if not getattr(content, "hasx", True):
            raise FormatError(f"{self.path}: frame {frame} holds no positions.")
        vectors = np.asarray(content.box, dtype=np.float64) * _TO_ANGSTROM
        return Frame(content.x.astype(np.float64) * _TO_ANGSTROM, vectors if vectors.any() else None)


class _DcdFile(_BinaryFile):
    """DCD: frames of equal length."""

    def _open(self) -> Any:
        from MDAnalysis.lib.formats.libdcd import DCDFile

        return DCDFile(str(self.path))

    def _survey(self, file: Any) -> None:
        self._count, self.atoms = len(file), int(file.header["natoms"])
        _check_dcd_length(self.path, self._count)
        if self._count == 0:
            raise FormatError(f"{self.path} holds no frame.")

    def __len__(self) -> int:
        return self._count

    def _interpret(self, content: Any, frame: int) -> Frame:
        return Frame(content.xyz.astype(np.float64), _read_dcd_cell(np.asarray(content.unitcell)))


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
        self.atoms = len(next(self.read([0])).positions)
        next(self.read([len(self) - 1]))

    def _text(self) -> Any:
        with self.path.open("rb") as file:
            if is_plain_text(file.read(4096)):
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(read_structure_text(self.path).encode())

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Frame]:
        with self._text() as text:
            for frame in frames:
                part = bytes(text[self._bounds[int(frame)] : self._bounds[int(frame) + 1]])
                positions = read_pdb_positions(decode_text(part, self.path), self.path)
                if hasattr(self, "atoms") and len(positions) != self.atoms:
                    raise FormatError(
                        f"{self.path}: model {frame} of {len(self)} has {len(positions)} atoms, the first "
                        f"{self.atoms}. Conformations must have the same atoms; is the file truncated?"
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
    """Multi-model mmCIF: parsed as a whole, and held in memory as positions."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        models = read_cif_models(read_structure_text(path), path)
        counts = sorted({len(model) for model in models})
        if len(counts) != 1:
            raise FormatError(f"{path}: all models must have the same number of atoms, got {counts}.")
        cell = models[0].cell
        self._vectors = cell_vectors(cell) if cell else None
        self._positions = np.stack([model.positions for model in models])
        self.atoms = counts[0]

    def __len__(self) -> int:
        return len(self._positions)

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Frame]:
        for frame in frames:
            yield Frame(self._positions[int(frame)], self._vectors)


_PDB = (".pdb", ".ent")
_CIF = (".cif", ".mmcif")
_KINDS: dict[str, type[FrameFile]] = {
    ".xtc": XdrFile,
    ".trr": XdrFile,
    ".dcd": _DcdFile,
    **dict.fromkeys(_PDB, _PdbFile),
    **dict.fromkeys(_CIF, _CifFile),
}
