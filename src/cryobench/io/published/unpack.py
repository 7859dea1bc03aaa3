"""Zip archives unpacked defensively and resumably: nothing outside the folder, no incomplete files.

Python's own zipfile reads the archive and checks the CRC-32 of what it unpacks. Here every name is checked before
the first byte is written; each file appears once complete; the free space, and the size of the archive, are
compared with the size of the contents. Names must be distinct on every file system: some identify A with a, or é
written as one character with é written as two.
"""

import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from cryobench._errors import FormatError
from cryobench._progress import MEGABYTE, Progress, Silent, show_megabytes
from cryobench.io.atomic import atomic_write, check_free_space

_CHUNK = 1 << 20
_LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""Files that desktop systems add to archives."""
_ENCRYPTED = 1
_MOST_TIMES, _MOST_BESIDES = 100, 250 * MEGABYTE
"""Maximum ratio of the contents to the archive, and bytes allowed beyond that. Images hardly compress, volumes that
are mostly zero about tenfold; a thousandfold ratio means a file made to fill the disk."""


def unpack_zip(
    path: Path,
    folder: Path,
    *,
    choose: Callable[[str], bool] = lambda _: True,
    taken: Collection[str] = (),
    source: IO[bytes] | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, int]]:
    """Unpack a zip archive into a folder, without the single folder that may enclose all its files.

    Files that already exist with the right content are kept, so an interrupted call resumes.

    Parameters
    ----------
    path
        The archive.
    folder
        Target folder, created if missing.
    choose
        Predicate on paths within ``folder``: the files to unpack.
    taken
        Paths within ``folder`` that belong to other archives.
    source
        File object to read the archive from, if it is not at ``path``.
    progress
        Reports megabytes.

    Returns
    -------
    Bytes and CRC-32 of each file unpacked, by its path within ``folder``.

    Raises
    ------
    FormatError
        If it is not a zip archive, or damaged; if a name is empty, leads out of the folder, or names a link; if two
        files have the same name, or names that some file systems identify; if it would unpack to far more than its
        size; if it is encrypted or packed by a method that Python does not support.
    DiskFull
        If there is too little space for what is still missing.
    """
    with _opened(path, source) as archive:
        members = _list_members(archive, path)
        wanted = {name: member for name, member in members.items() if choose(name)}
        _check_distinct([*taken, *wanted], path)
        _check_size(archive, wanted.values(), path)
        missing = _find_missing(wanted, folder, progress or Silent())
        total = sum(member.file_size for member in missing.values())
        check_free_space(folder, total)
        folder.mkdir(parents=True, exist_ok=True)
        with show_megabytes(progress, f"unpacking {path.name}", total) as shown:
            for name, member in missing.items():
                with archive.open(member) as packed, atomic_write(folder / name) as target:
                    shutil.copyfileobj(packed, target, _CHUNK)
                shown.add(member.file_size)
    return {name: {"bytes": member.file_size, "crc32": member.CRC} for name, member in wanted.items()}


def crc32_of(path: Path) -> int:
    """CRC-32 of a file, as in zip archives."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value


@contextmanager
def _opened(path: Path, source: IO[bytes] | None) -> Iterator[zipfile.ZipFile]:
    """The archive, with zipfile's errors on a damaged one turned into FormatError."""
    try:
        with zipfile.ZipFile(path if source is None else source) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FormatError(
            f"{path} is damaged or not a zip archive ({error}). Delete it, and repeat the command to download it "
            "again."
        ) from error
    except NotImplementedError as error:
        raise FormatError(
            f"{path} is packed in a way that Python cannot unpack ({error}). Unpack it with another program:"
            " the resulting folder can be used directly."
        ) from error


def _list_members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Files by their path below the enclosing folder. FormatError if any name or kind is unsafe."""
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
    _check_distinct([name.as_posix() for name in found], path)
    tops = {name.parts[0] for name in found}
    enclosed = len(tops) == 1 and all(len(name.parts) > 1 for name in found)
    return {PurePosixPath(*name.parts[enclosed:]).as_posix(): member for name, member in found.items()}


def _check_distinct(names: Iterable[str], path: Path) -> None:
    """Raise FormatError if two names coincide on some file system, or a file is named like another one's folder."""
    files: dict[str, str] = {}
    for name in names:
        plain = _fold(name)
        if plain in files:
            raise FormatError(
                f"{path} holds {name!r}, which some file systems confuse with {files[plain]!r}: it is refused, for "
                "one would hide the other."
            )
        files[plain] = name
    for plain, name in files.items():
        for folder in PurePosixPath(plain).parents:
            if folder.as_posix() in files:
                raise FormatError(
                    f"{path} holds {files[folder.as_posix()]!r} and, as if that were a folder, {name!r}: it is"
                    " refused."
                )


def _fold(name: str) -> str:
    """A name as seen by the most permissive file system: without case, composed, without trailing dots and spaces."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return "/".join(part.rstrip(". ") for part in folded.split("/"))


def _check_size(archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo], path: Path) -> None:
    """Raise FormatError if files would be far larger than their archive."""
    file = archive.fp
    assert file is not None
    packed = file.seek(0, 2)
    unpacked = sum(member.file_size for member in members)
    if unpacked > _MOST_TIMES * packed + _MOST_BESIDES:
        raise FormatError(
            f"{path} has {packed:,} bytes but would unpack to {unpacked:,}: it is refused, and nothing was unpacked."
            " If that is expected, unpack it with another program: the resulting folder can be used directly."
        )


def _find_missing(
    wanted: Mapping[str, zipfile.ZipInfo], folder: Path, progress: Progress
) -> dict[str, zipfile.ZipInfo]:
    """Files that are not in the folder with their right content."""
    there = {name for name, member in wanted.items() if _has_size(folder / name, member.file_size)}
    if not there:
        return dict(wanted)
    with progress.task("checking what is unpacked", total=len(there)) as task:
        missing = {}
        for name, member in wanted.items():
            if name not in there:
                missing[name] = member
                continue
            if crc32_of(folder / name) != member.CRC:
                missing[name] = member
            task.advance()
    return missing


def _check_name(member: zipfile.ZipInfo, path: Path) -> PurePosixPath:
    # zipfile has already cut names at a null byte and, on Windows, converted backslashes to slashes.
    text = member.orig_filename
    name = PurePosixPath(text)
    climbs = ".." in name.parts or name.is_absolute()
    if climbs or "\\" in text or ":" in text.split("/")[0] or "\0" in text:
        raise FormatError(
            f"{path} holds a file named {text!r}, which leads out of the folder it is unpacked into: the archive is"
            " refused, and nothing was unpacked."
        )
    nameless = "//" in text or not (name.parts or text.endswith("/"))
    if nameless or any(not part.strip(". ") for part in name.parts):
        raise FormatError(
            f"{path} holds a file without a name ({text!r}): the archive is refused, and nothing was unpacked."
        )
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise FormatError(
            f"{path} holds {text!r}, which is a link or a device, not a file: the archive is refused, and nothing"
            " was unpacked."
        )
    if member.flag_bits & _ENCRYPTED:
        raise FormatError(
            f"{path} is encrypted ({text!r}). Unpack it with its password: the resulting folder can be used directly."
        )
    return name


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
