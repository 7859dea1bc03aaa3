"""Files of many frames: XTC, TRR and DCD (through MDAnalysis's libraries), PDB and mmCIF of many models (gemmi).

Each is opened for every read and closed again, so that what is kept is small and can be sent to other processes. The
whole length is checked once: a file that is cut off is refused, where readers would silently give fewer frames.
"""

import mmap
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from jaxtyping import Float64

from cryobench._errors import FormatError
from cryobench.atoms.files import decompress_gzip

_TO_ANGSTROM = 10.0
_CUT = "it is cut off. Copy or write it again."


def open_frames(path: Path) -> "FrameFile":
    """The frames of one file, told by the ending of its name.

    FileNotFoundError; FormatError for another ending, or a file that is damaged, cut off or without frames.
    """
    kind = _ending(path)
    if kind not in _KINDS:
        raise FormatError(
            f"{path} is no trajectory that is read here: names end in {', '.join(_KINDS)} "
            "(PDB and mmCIF also in .gz)."
        )
    if not path.is_file():
        raise FileNotFoundError(f"trajectory file {path} does not exist.")
    return _KINDS[kind](path)


def is_structure(path: Path) -> bool:
    """Whether the name ends like that of a PDB or mmCIF file, gzipped or not."""
    return _ending(path) in (*_PDB, *_CIF)


def is_trajectory(path: Path) -> bool:
    """Whether the name ends like that of a file of frames without names of atoms."""
    return _ending(path) in (".xtc", ".trr", ".dcd")


def _ending(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


class FrameFile(ABC):
    """Frames of one file, each (atoms, 3) float64 in Å. Picklable."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()

    @property
    @abstractmethod
    def atoms(self) -> int:
        """Atoms of each frame."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Float64[np.ndarray, "a 3"]]:
        """These frames one after another. FormatError if one cannot be read."""


class _XdrFile(FrameFile):
    """XTC and TRR: frames of any length, whose places are found once."""

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
            raise FormatError(f"{path} cannot be read as {_ending(path)}: {error}. Is the file whole?") from error
        size = path.stat().st_size
        if end != size:
            raise FormatError(f"{path} goes on for {size - end} bytes after {len(self)} whole frames: {_CUT}")

    def _open(self) -> Any:
        from MDAnalysis.lib.formats.libmdaxdr import TRRFile, XTCFile

        return (XTCFile if _ending(self.path) == ".xtc" else TRRFile)(str(self.path))

    @property
    def atoms(self) -> int:
        return self._atoms

    def __len__(self) -> int:
        return len(self._offsets)

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Float64[np.ndarray, "a 3"]]:
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
                yield content.x.astype(np.float64) * _TO_ANGSTROM


class _DcdFile(FrameFile):
    """DCD: frames of equal length."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with self._open() as file:
                self._count, self._atoms = len(file), int(file.header["natoms"])
        except (OSError, StopIteration, ValueError) as error:
            raise FormatError(f"{path} cannot be read as .dcd: {error}. Is the file whole?") from error
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

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Float64[np.ndarray, "a 3"]]:
        with self._open() as file:
            for frame in frames:
                try:
                    file.seek(int(frame))
                    positions = file.read().xyz
                except (OSError, StopIteration) as error:
                    raise FormatError(f"{self.path}: frame {frame} cannot be read ({error}).") from error
                yield positions.astype(np.float64)


def _check_dcd_length(path: Path, count: int) -> None:
    """FormatError unless the file is its header and ``count`` whole frames.

    A DCD file is a row of Fortran records: 84 bytes of header ("CORD" and 20 integers), the titles, the number of
    atoms, the free atoms if some are fixed, then each frame's unit cell (if any) and x, y, z (and w in four
    dimensions) of all atoms, but for the first frame without the fixed ones.
    """
    with path.open("rb") as file:
        header = file.read(92)
        order = "<" if header[:4] == struct.pack("<i", 84) else ">"
        if len(header) < 92 or header[:4] != struct.pack(order + "i", 84):
            return  # records with 64-bit marks: the library's own check is all there is
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
    """PDB of many models: each is parsed when it is asked for. A gzipped file is held in memory as text."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self._text() as text:
            starts = [match.start() for match in re.finditer(rb"^MODEL\b", text, re.MULTILINE)]
            # Without MODEL records the whole file is one.
            self._bounds = [*starts, len(text)] if starts else [0, len(text)]
            closed = sum(1 for _ in re.finditer(rb"^ENDMDL\b", text, re.MULTILINE))
        if starts and closed != len(starts):
            raise FormatError(f"{path} begins {len(starts)} models but ends {closed}: {_CUT}")
        self._atoms = len(next(self.read([0])))
        self._check(len(self) - 1, next(self.read([len(self) - 1])))

    def _text(self) -> Any:
        if self.path.suffix.lower() == ".gz":
            return memoryview(decompress_gzip(self.path.read_bytes(), self.path))
        with self.path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @property
    def atoms(self) -> int:
        return self._atoms

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Float64[np.ndarray, "a 3"]]:
        with self._text() as text:
            for frame in frames:
                part = bytes(text[self._bounds[int(frame)] : self._bounds[int(frame) + 1]])
                try:
                    structure = gemmi.read_pdb_string(part.decode("utf-8"))
                except (RuntimeError, ValueError) as error:
                    raise FormatError(f"{self.path}: model {frame} cannot be read ({error}).") from error
                positions = _list_positions(structure[0]) if len(structure) else np.zeros((0, 3))
                if hasattr(self, "_atoms"):
                    self._check(int(frame), positions)
                yield positions

    def _check(self, frame: int, positions: np.ndarray) -> None:
        if len(positions) != self._atoms:
            raise FormatError(
                f"{self.path}: model {frame} of {len(self)} has {len(positions)} atoms, the first {self._atoms}. "
                "All must hold the same atoms; or the file is cut off."
            )


class _CifFile(FrameFile):
    """mmCIF of many models: parsed as a whole when first asked for, and held in memory as positions."""

    @cached_property
    def _positions(self) -> Float64[np.ndarray, "m a 3"]:
        content = self.path.read_bytes()
        if self.path.suffix.lower() == ".gz":
            content = decompress_gzip(content, self.path)
        try:
            structure = gemmi.make_structure_from_block(gemmi.cif.read_string(content.decode("utf-8"))[0])
        except (RuntimeError, ValueError, IndexError) as error:
            raise FormatError(f"{self.path} cannot be read as mmCIF: {error}. Is the file whole?") from error
        models = [_list_positions(model) for model in structure]
        counts = [len(positions) for positions in models]
        if not counts or len(set(counts)) > 1:
            raise FormatError(f"{self.path}: all models must hold the same atoms, they have {sorted(set(counts))}.")
        return np.stack(models)

    @property
    def atoms(self) -> int:
        return self._positions.shape[1]

    def __len__(self) -> int:
        return len(self._positions)

    def read(self, frames: Sequence[int] | np.ndarray) -> Iterator[Float64[np.ndarray, "a 3"]]:
        yield from self._positions[np.asarray(frames, dtype=np.int64)]


def _list_positions(model: gemmi.Model) -> Float64[np.ndarray, "a 3"]:
    positions = [atom.pos.tolist() for chain in model for residue in chain for atom in residue]
    return np.array(positions, dtype=np.float64).reshape(-1, 3)


_PDB = (".pdb", ".ent")
_CIF = (".cif", ".mmcif")
_KINDS: dict[str, type[FrameFile]] = {
    ".xtc": _XdrFile,
    ".trr": _XdrFile,
    ".dcd": _DcdFile,
    **dict.fromkeys(_PDB, _PdbFile),
    **dict.fromkeys(_CIF, _CifFile),
}
