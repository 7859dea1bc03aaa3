"""Files and folders that appear complete or not at all, and the JSON files of the package.

Content is written to a hidden sibling (``.NAME.PID-PROCESS-TOKEN.part``), flushed to disk, and then renamed to
its final name: the name always refers to finished content. If writing fails for any reason, an interrupt
included, the sibling is removed. Only a killed process leaves one: ``remove_partial_files``. A folder that is
replaced has another hidden name (``.NAME.….former``) for a moment: if killed then, the next call puts it back.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from cryobench._errors import CryobenchError, FormatError
from cryobench.io.formats.npy import map_npy, read_npy

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""System errors that mean a full disk or quota."""
PARTIAL = ".part"
"""Suffix of the hidden names of unfinished files; see ``remove_partial_files``."""
_FORMER = ".former"
"""Suffix of the hidden name of a folder while another takes its place."""
_PROCESS = secrets.token_hex(4)
"""Distinguishes this process from an earlier one of the same number, as in containers, where all have few."""


class DiskFull(CryobenchError, OSError):
    """Not enough space for a file; nothing of it was kept."""


def check_free_space(folder: Path, bytes_needed: int) -> None:
    """Raise ``DiskFull`` if the file system of ``folder`` (or its nearest existing parent) has too little room."""
    free = _free_bytes(folder)
    if free < bytes_needed:
        raise DiskFull(
            f"{folder} needs {_readable(bytes_needed)} but its disk has {_readable(free)} free."
            " Free some space or choose a folder on another disk."
        )


@contextmanager
def atomic_write(path: Path, *, bytes_needed: int = 0) -> Iterator[IO[bytes]]:
    """Open a binary file that appears as ``path`` only if the block ends without an exception.

    Missing parent folders are created. An existing file is replaced at that moment and not before.

    Parameters
    ----------
    path
        Final name.
    bytes_needed
        Size of the file if known: checked against the free space first, and named in the error.

    Raises
    ------
    DiskFull
        If the disk is too small or fills up; ``path`` is then unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if bytes_needed:
        _check_file_fits(path, bytes_needed)
    partial = _partial_name(path)
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in NO_SPACE and not isinstance(error, DiskFull):
            raise DiskFull(_disk_full_message(path, bytes_needed)) from error
        raise
    _sync_folder(path.parent)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder that appears as ``path`` only if the block ends without an exception.

    With ``replace``, an existing folder is replaced then; one that a killed call had moved away is first put back.

    Raises
    ------
    FileExistsError
        If ``path`` exists and ``replace`` is False.
    DiskFull
        If the disk fills up.
    """
    path = Path(path)
    if replace:
        _put_back(path)
    elif path.exists():
        raise FileExistsError(f"{path} already exists; remove it or choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_name(path)
    partial.mkdir()
    try:
        yield partial
        for folder in (partial, *(child for child in partial.rglob("*") if child.is_dir())):
            _sync_folder(folder)
        if path.exists():
            former = partial.with_suffix(_FORMER)
            path.replace(former)
            try:
                partial.replace(path)
            except BaseException:
                former.replace(path)
                raise
            shutil.rmtree(former, ignore_errors=True)
        else:
            partial.replace(path)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in NO_SPACE and not isinstance(error, DiskFull):
            raise DiskFull(_disk_full_message(path, 0)) from error
        raise
    _sync_folder(path.parent)


def _put_back(path: Path) -> None:
    """Undo a replacement of a folder that was killed halfway; remove what one killed at its end left."""
    for former in path.parent.glob(f".{glob.escape(path.name)}.*{_FORMER}"):
        if path.exists():
            shutil.rmtree(former, ignore_errors=True)
        else:
            former.replace(path)


def remove_partial_files(folder: Path) -> None:
    """Remove unfinished files of killed writers anywhere below ``folder``, where no other process may be writing.

    Files being written by this process are kept: a separate thread writes the cost of a run.
    """
    own = f".{os.getpid()}-{_PROCESS}-"
    for partial in list(Path(folder).rglob(f".*{PARTIAL}")):
        if own in partial.name:
            continue
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a small file atomically."""
    with atomic_write(path, bytes_needed=len(content)) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, UTF-8 with newlines as given."""
    write_bytes(path, text.encode("utf-8"))


def write_array(path: Path, values: np.ndarray) -> None:
    """Write a .npy file atomically."""
    with atomic_write(path, bytes_needed=values.nbytes + 128) as file:
        np.save(file, values, allow_pickle=False)


def read_array(path: Path, *, numbers: bool = False, mapped: bool = False) -> np.ndarray:
    """Read or memory-map a .npy file; a mapped array cannot be written to.

    FormatError if it is missing, truncated, or holds Python objects; with ``numbers`` also if it holds text or
    records.
    """
    values = map_npy(path) if mapped else read_npy(path)
    if numbers and values.dtype.kind not in "fiub":
        raise FormatError(f"{path} holds an array of {values.dtype}, expected numbers.")
    return values


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file atomically: indented, keys in the given order, NumPy values and paths as plain ones.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON cannot hold.
    TypeError
        If a value cannot be converted.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. FormatError if the file is missing, is not JSON, or holds something else."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError(f"{path} does not exist.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FormatError(f"{path} is not valid JSON ({error}). Restore it or make it again.") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path} must hold a JSON object, found {type(value).__name__}.")
    return value


def to_plain(value: Any) -> Any:
    """Value as read back from JSON: NumPy values as plain ones, NaN and infinity as None."""
    return json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None)


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON text of a value, whatever the order of its keys, for hashing."""
    # Converted to text and back once, so that a value and its stored form (tuples, numeric keys) are the same.
    plain = json.loads(json.dumps(value, allow_nan=False, default=_plain))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON.")


def _partial_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{_PROCESS}-{secrets.token_hex(4)}{PARTIAL}")


def _check_file_fits(path: Path, bytes_needed: int) -> None:
    if _free_bytes(path.parent) < bytes_needed:
        raise DiskFull(_disk_full_message(path, bytes_needed))


def _free_bytes(folder: Path) -> int:
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _disk_full_message(path: Path, bytes_needed: int) -> str:
    need = f"needs {_readable(bytes_needed)}" if bytes_needed else "does not fit"
    return (
        f"the disk is full: {path} {need}, {_readable(_free_bytes(path.parent))} are free. Nothing of it was kept;"
        " free some space or choose a folder on another disk, then run the same command again."
    )


def _readable(size: int) -> str:
    return f"{size:,} bytes" if size < 10**6 else f"{size / 1e9:.3f} GB"


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
