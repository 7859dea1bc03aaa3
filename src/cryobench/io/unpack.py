"""Zip archives unpacked with suspicion: nothing outside the folder, nothing half-written, going on where it stopped.

Python's own zipfile reads the archive and compares the CRC-32 of what it unpacks. Here every name is judged before
the first byte is written; each file gets its name when it is whole; the free space is compared with what will be
written.
"""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from cryobench._errors import FormatError
from cryobench._progress import Progress, Silent
from cryobench.io.atomic import atomic_write, check_free_space

MEGABYTE = 1_000_000
_CHUNK = 1 << 20
_LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""What desktops put into archives."""
_ENCRYPTED = 1


def unpack_zip(
    path: Path,
    folder: Path,
    *,
    choose: Callable[[str], bool] = lambda _: True,
    source: IO[bytes] | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, int]]:
    """Unpack a zip archive into a folder, without the one folder that may enclose all its files.

    Files that are there already with their right size are left: an unpacking that was stopped goes on.

    Parameters
    ----------
    path
        The archive.
    folder
        Where to. Made if it is missing.
    choose
        Which files to unpack, by their path within ``folder``.
    source
        Where the archive is read from, if it does not lie at ``path``.
    progress
        Shows megabytes.

    Returns
    -------
    Bytes and CRC-32 of each file unpacked, by its path within ``folder``.

    Raises
    ------
    FormatError
        If it is no zip archive, or damaged; if a name leads out of the folder, or names a link; if two files have one
        name; if it is encrypted or packed by a method that Python does not know.
    DiskFull
        If there is too little room for what is still missing.
    """
    with _opened(path, source) as archive:
        members = _list_members(archive, path)
        wanted = {name: member for name, member in members.items() if choose(name)}
        missing = {name: member for name, member in wanted.items() if not _is_there(folder / name, member.file_size)}
        check_free_space(folder, sum(member.file_size for member in missing.values()))
        folder.mkdir(parents=True, exist_ok=True)
        total = sum(member.file_size for member in missing.values())
        with (progress or Silent()).task(f"unpacking {path.name} (MB)", total=total // MEGABYTE) as task:
            done = 0
            for name, member in missing.items():
                with archive.open(member) as packed, atomic_write(folder / name) as target:
                    shutil.copyfileobj(packed, target, _CHUNK)
                done, before = done + member.file_size, done
                task.advance(done // MEGABYTE - before // MEGABYTE)
    return {name: {"bytes": member.file_size, "crc32": member.CRC} for name, member in wanted.items()}


def crc32_of(path: Path) -> int:
    """CRC-32 of a file, as zip archives have it."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value


@contextmanager
def _opened(path: Path, source: IO[bytes] | None) -> Iterator[zipfile.ZipFile]:
    """The archive, with what zipfile raises on a damaged one turned into FormatError."""
    try:
        with zipfile.ZipFile(path if source is None else source) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FormatError(
            f"{path} is damaged or no zip archive ({error}). Delete it, and the same command downloads it again."
        ) from error
    except NotImplementedError as error:
        raise FormatError(
            f"{path} is packed in a way that Python cannot unpack ({error}). Unpack it with another program:"
            " the folder it gives is opened as it is."
        ) from error


def _list_members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Files by their path below the enclosing folder. FormatError if any name or kind is not to be trusted."""
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = _check_name(member, path)
        if member.is_dir() or any(part in _LITTER for part in name.parts):
            continue
        if name in found:
            raise FormatError(f"{path} holds two files named {name}: it is refused, for one would hide the other.")
        found[name] = member
    if not found:
        raise FormatError(f"{path} holds no files.")
    tops = {name.parts[0] for name in found}
    enclosed = len(tops) == 1 and all(len(name.parts) > 1 for name in found)
    return {PurePosixPath(*name.parts[enclosed:]).as_posix(): member for name, member in found.items()}


def _check_name(member: zipfile.ZipInfo, path: Path) -> PurePosixPath:
    # zipfile has already cut names at a null byte and, on Windows, turned backslashes into slashes.
    text = member.orig_filename
    name = PurePosixPath(text)
    climbs = ".." in name.parts or name.is_absolute() or not (name.parts or member.is_dir())
    if climbs or "\\" in text or ":" in text.split("/")[0] or "\0" in text:
        raise FormatError(
            f"{path} holds a file named {text!r}, which leads out of the folder it is unpacked into: the archive is"
            " refused, and nothing was unpacked."
        )
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise FormatError(
            f"{path} holds {text!r}, which is a link or a device, not a file: the archive is refused, and nothing"
            " was unpacked."
        )
    if member.flag_bits & _ENCRYPTED:
        raise FormatError(
            f"{path} is encrypted ({text!r}). Unpack it with its password: its folder is opened as it is."
        )
    return name


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
