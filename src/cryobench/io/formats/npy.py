"""NumPy files (.npy, .npz) read defensively: the header is compared with the actual contents.

The header of a .npy file states a shape and a type, and NumPy's own reader allocates them before it checks
further: a file of a hundred bytes can request terabytes. Here nothing is allocated that the file does not hold,
Python objects are never opened, and any fault is a FormatError that names the file.
"""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from cryobench._errors import FormatError

_HEADERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
_LONGEST_HEADER = 1 << 20
"""Characters. Files of cryoSPARC with alignments to a dozen classes or more exceed NumPy's own limit of 10,000."""
_ZIP = b"PK\x03\x04"


def read_npy(path: Path) -> np.ndarray:
    """Array of a .npy file. FormatError if it is missing, not a .npy file, truncated, or holds Python objects."""
    with _open(path) as file:
        return _read_array(file, os.fstat(file.fileno()).st_size, str(path))


def map_npy(path: Path) -> np.ndarray:
    """Array of a .npy file, read-only and memory-mapped."""
    with _open(path) as file:
        shape, fortran_order, dtype = _read_header(file, os.fstat(file.fileno()).st_size, str(path))
        start = file.tell()
    if math.prod(shape) == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran_order else "C")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a .npz file written by ``numpy.savez``, by name. FormatError as ``read_npy``."""
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                found = archive.infolist()
                if sum(member.file_size for member in found) > size:
                    raise FormatError(
                        f"{path} states {sum(member.file_size for member in found):,} bytes of arrays, but has"
                        f" {size:,}: it is damaged, or compressed, which is not supported."
                    )
                return {member.filename.removesuffix(".npy"): _read_member(archive, member, path) for member in found}
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise FormatError(f"{path} cannot be read as a file of NumPy arrays ({error}).") from error


def to_numbers(value: object, path: Path, expected: str) -> np.ndarray:
    """A value from a file as float64 array. FormatError, which says what is ``expected``, if it is not of numbers."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path} must hold {expected} ({error}).") from error


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    with archive.open(member) as file:
        return _read_array(file, member.file_size, f"{path} ({member.filename})")


def _open(path: Path) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise FormatError(f"{path} does not exist.") from None
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error}).") from error


def _read_array(file: IO[bytes], size: int, source: str) -> np.ndarray:
    shape, fortran_order, dtype = _read_header(file, size, source)
    content = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
    done = file.readinto(content.data)  # type: ignore[attr-defined]
    if done < len(content):
        raise FormatError(f"{source} cannot be read: it ended after {done:,} of {len(content):,} bytes.")
    values = content.view(dtype)
    return values.reshape(shape[::-1]).T if fortran_order else values.reshape(shape)


def _read_header(file: IO[bytes], size: int, source: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type; the file is then positioned at the data."""
    start = file.read(npy_format.MAGIC_LEN)
    if start[:-2] != npy_format.MAGIC_PREFIX:
        found = "an archive of arrays (.npz)" if start.startswith(_ZIP) else f"one that begins with {start!r}"
        raise FormatError(
            f"{source} cannot be read as a NumPy file: expected an array as numpy.save writes it, found {found}."
        )
    version = start[-2], start[-1]
    try:
        if version not in _HEADERS:
            raise ValueError(f"version {version[0]}.{version[1]} of the format is unknown")
        shape, fortran_order, dtype = _HEADERS[version](file, max_header_size=_LONGEST_HEADER)
    # The header is the text of a Python value: if damaged, it can fail in any way.
    except Exception as error:
        raise FormatError(f"{source} cannot be read as a NumPy file ({error}). Copy or make it again.") from error
    if dtype.hasobject:
        raise FormatError(f"{source} cannot be read: Python objects in it are never opened. Export plain numbers.")
    if dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise FormatError(f"{source} cannot be read: it states an array {shape} of {dtype}. Copy or make it again.")
    needed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if needed > there:
        raise FormatError(
            f"{source} cannot be read: its header states an array {shape} of {needed:,} bytes, but there are"
            f" {there:,}. It is truncated or damaged: copy or make it again."
        )
    return shape, fortran_order, dtype
