"""Resumable downloads from Zenodo: checked against their hash and unpacked.

The contents of a record, with sizes and MD5 sums, come from Zenodo itself (``/api/records/ID``), so no table is kept
here. A file grows as NAME.part in the folder TARGET.download next to the target; once complete and with the right
hash it becomes NAME and is unpacked there, and the unpacked folder becomes TARGET. Repeating an interrupted call
resumes from that state.

The environment variable CRYOBENCH_ZENODO_URL replaces https://zenodo.org.
"""

import io
import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import pooch
import requests

from cryobench._errors import FormatError
from cryobench._progress import Megabytes, Progress, Silent, show_megabytes
from cryobench.io.atomic import (
    NO_SPACE,
    DiskFull,
    check_free_space,
    read_json,
    remove_partial_files,
    write_json,
)
from cryobench.io.lock import is_empty, lock_folder
from cryobench.io.published.remote_bytes import NoRanges, RemoteBytes
from cryobench.io.published.unpack import unpack_zip
from cryobench.io.published.zenodo import DOWNLOAD_NOTE

Part = Literal["images", "volumes", "all"]

_ZENODO = "https://zenodo.org"
_TIMEOUT = 60
_READ_AHEAD = 1 << 20
_CHUNK = 1 << 16
"""Bytes received at a time; an interrupted connection loses at most one such chunk."""
_ATTEMPTS = 5
"""Consecutive failures, without any byte received, after which a download is given up."""
_PAUSE = 2.0
"""Seconds before another attempt, doubled for each consecutive failure; none after one that brought data."""
_UNPACKED = 1.3
"""Estimated ratio of the contents of an archive to its size: noise hardly compresses."""
_REQUEST = "request.json"
"""File in the folder of an unfinished download: the request."""
_TRUTH_FOLDERS = ("vols", "pdbs")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a Zenodo record."""

    name: str
    size: int
    """Bytes."""
    checksum: str
    """ALGORITHM:HEX, as Zenodo states it."""
    url: str


def list_record(record: int) -> list[RemoteFile]:
    """The files of a Zenodo record.

    Raises
    ------
    ValueError
        If there is no such record.
    ConnectionError
        If Zenodo cannot be reached.
    FormatError
        If its answer cannot be understood.
    """
    url = f"{os.environ.get('CRYOBENCH_ZENODO_URL') or _ZENODO}/api/records/{record}"
    try:
        answer = requests.get(url, timeout=_TIMEOUT, headers={"Accept": "application/json"})
        answer.raise_for_status()
        files = answer.json()["files"]
        entries = list(files["entries"].values()) if isinstance(files, dict) else files
        return [_remote_file(entry) for entry in entries]
    except requests.exceptions.HTTPError as error:
        status = _status(error)
        if status in (404, 410):
            raise ValueError(f"there is no record {record} at {url} ({status}).") from error
        raise ConnectionError(f"{url} answered with status {status}. Try again later.") from error
    except requests.exceptions.JSONDecodeError as error:
        raise FormatError(f"{url} did not send a record: {error}. Try again later.") from error
    except requests.exceptions.RequestException as error:
        raise ConnectionError(f"cannot reach {url}: {error}. {_by_hand(record)}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{url} describes its files in an unknown way ({error!r}). {_by_hand(record)}") from error


def choose_files(files: Sequence[RemoteFile], title: str | None, names: Sequence[str] = ()) -> list[RemoteFile]:
    """Files of one set among those of a record.

    Parameters
    ----------
    files
        Files of the record.
    title
        Title of the set: the file of that name, whatever its suffix and spelling, else the only one with the title in
        its name. None: the record holds nothing else, so all are chosen.
    names
        Files requested by name, instead.

    Raises
    ------
    ValueError
        If none or several match; the message lists the files.
    """
    there = "\n".join(f"  {file.name} ({file.size / 1e9:.2f} GB)" for file in files) or "  nothing"
    if names:
        known = {file.name: file for file in files}
        absent = [name for name in names if name not in known]
        if absent:
            raise ValueError(f"the record has no file {absent[0]!r}. It holds\n{there}")
        return [known[name] for name in names]
    if title is None:
        if not files:
            raise ValueError("the record holds no files.")
        return list(files)
    exact = [file for file in files if _plain(file.name.split(".")[0]) == _plain(title)]
    similar = [file for file in files if _plain(title) in _plain(file.name)]
    chosen = exact if len(exact) == 1 else similar
    if len(chosen) != 1:
        found = "no file" if not chosen else f"{len(chosen)} files"
        raise ValueError(f"the record has {found} named like {title}. Choose with --file NAME among\n{there}")
    return chosen


def download_set(
    record: int,
    folder: Path,
    *,
    title: str | None,
    names: Sequence[str] = (),
    part: Part = "all",
    keep_archive: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Download one published set and unpack it into a new folder.

    Parameters
    ----------
    record
        Number of the Zenodo record.
    folder
        Folder of the set; it appears once complete.
    title, names
        Files of the record: see `choose_files`.
    part
        "images": without truth volumes and structures; "volumes": without images, fetched from the archive without
        the rest of it, if the server supports that; or "all".
    keep_archive
        Keep the archive in FOLDER.download.
    progress
        Reports megabytes.

    Raises
    ------
    FormatError
        If the folder holds something else; if a hash is wrong, in which case the file is removed; if an archive is
        damaged or unsafe, see `unpack_zip`; if two archives hold files of the same name.
    FolderBusy
        If another process is downloading into the folder.
    DiskFull
        Before anything is downloaded, if there is too little space for the archive and its contents.
    ConnectionError, ValueError
        As `list_record` and `choose_files`; ConnectionError also if the connection fails repeatedly. Received
        data are kept.
    """
    # A link is followed: the download grows next to its folder, on the same disk, and the link stays.
    folder, progress = Path(folder).resolve(), progress or Silent()
    request = {"record": record, "title": title, "files": list(names), "part": part}
    work = folder.with_name(f"{folder.name}.download")
    if _is_finished(folder, request) and not work.exists():
        return folder
    with lock_folder(folder, doing="download"):
        if not _is_finished(folder, request):
            _fetch_set(record, folder, work, request, keep_archive=keep_archive, progress=progress)
        _remove_notes(work)
    return folder


def _fetch_set(
    record: int, folder: Path, work: Path, request: dict[str, Any], *, keep_archive: bool, progress: Progress
) -> None:
    """Download and unpack into ``work``, then rename what is complete."""
    contents = work / "contents"
    if not _has_note(contents, request):
        _fill(record, work, request, progress)
    if not keep_archive:
        # First, so that a process killed between the two leaves no archive behind.
        for path in work.iterdir():
            if path.is_file() and path.name != _REQUEST:
                path.unlink()
    if folder.exists():
        folder.rmdir()
    contents.replace(folder)


def _fill(record: int, work: Path, request: dict[str, Any], progress: Progress) -> None:
    """Fill ``work`` with the contents of the set; its note is written last."""
    title, names, part = request["title"], request["files"], request["part"]
    files = choose_files(list_record(record), title, names)
    archives, loose = _sort_out(files, part)
    if part != "volumes":
        _check_room(work, archives, loose)
    contents = _prepare(work, {**request, "archives": [asdict(file) for file in files]})
    found: dict[str, Any] = {}
    if part == "volumes":
        archives = [file for file in archives if not _unpack_remotely(file, contents, found, progress)]
        _check_room(work, archives, loose)
    for file in loose:
        if not _is_whole(file, contents / file.name, progress):
            fetch_file(file, work / file.name, progress=progress).replace(contents / file.name)
        found[file.name] = {"bytes": file.size, "checksum": file.checksum}
    for file in archives:
        archive = fetch_file(file, work / file.name, progress=progress)
        choose = partial(_belongs, part=part)
        found |= unpack_zip(archive, contents, choose=choose, taken=found, progress=progress)
    note = {**request, "url": f"{_ZENODO}/records/{record}", "archives": [asdict(file) for file in files]}
    write_json(contents / DOWNLOAD_NOTE, {**note, "contents": dict(sorted(found.items()))})


def _remove_notes(work: Path) -> None:
    """Remove the folder of a finished download, unless an archive was kept there."""
    if work.is_dir() and {path.name for path in work.iterdir()} <= {_REQUEST}:
        shutil.rmtree(work)


def fetch_file(file: RemoteFile, path: Path, *, progress: Progress | None = None) -> Path:
    """Download a file unless it exists; a partial one is completed.

    Raises
    ------
    FormatError
        If its hash is wrong. It is removed.
    ConnectionError
        If the server does not answer, or the connection fails repeatedly. The part is kept.
    """
    if _is_whole(file, path, progress):
        return path
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with show_megabytes(progress, f"downloading {file.name}", file.size) as shown:
        _complete(file, part, shown)
    found = _hash(file, part, progress)
    if found != file.checksum.lower():
        part.unlink()
        raise FormatError(
            f"{file.url} sent a file with {found}, but the record states {file.checksum}. It was removed: repeat the "
            "same command to download it again."
        )
    part.replace(path)
    return path


def _is_whole(file: RemoteFile, path: Path, progress: Progress | None) -> bool:
    """Whether a file exists with the size and the hash that the record states."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    return _hash(file, path, progress) == file.checksum.lower()


def _hash(file: RemoteFile, path: Path, progress: Progress | None) -> str:
    """ALGORITHM:HEX of a file, by the algorithm that the record uses."""
    algorithm = file.checksum.rpartition(":")[0]
    with (progress or Silent()).task(f"checking {file.name}"):
        found = pooch.file_hash(str(path), alg=algorithm or "md5").lower()
    return f"{algorithm.lower()}:{found}" if algorithm else found


def _complete(file: RemoteFile, part: Path, shown: Megabytes) -> None:
    """Append what is missing, over as many connections as needed while each brings some data."""
    failures = 0
    while True:
        with part.open("ab") as stream:
            start = stream.seek(0, os.SEEK_END)
            if start == file.size:
                shown.reach(file.size)
                return
            if start > file.size:
                start = stream.truncate(0)
            try:
                _receive(file, stream, start, shown)
                error = None
            except requests.exceptions.RequestException as caught:
                error = caught
            except OSError as caught:
                if caught.errno in NO_SPACE:
                    raise DiskFull(
                        f"the disk is full after {part.stat().st_size:,} of {file.size:,} bytes of {file.name}. They"
                        " are kept: free some space, then run the same command again to resume."
                    ) from caught
                raise
        status = _status(error)
        if status is not None and status < 500 and status not in (408, 429):
            raise ConnectionError(f"{file.url} answered with status {status}. Is the file still there?") from error
        size = part.stat().st_size
        if size == file.size:
            continue
        failures = 0 if size > start else failures + 1
        if failures >= _ATTEMPTS:
            raise ConnectionError(
                f"{file.url} was interrupted after {size:,} of {file.size:,} bytes, {failures} times in a row"
                f" ({error or 'the server ended it'}). They are kept: run the same command again to resume."
            ) from error
        time.sleep(_PAUSE * 2**failures if failures else 0)


def _receive(file: RemoteFile, stream: IO[bytes], size: int, shown: Megabytes) -> None:
    """One connection: from the end of the file, of ``size`` bytes, or from the start if the server says so."""
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={size}-"} if size else {})}
    with requests.get(file.url, headers=headers, timeout=_TIMEOUT, stream=True) as response:
        response.raise_for_status()
        if response.status_code == 206:
            begins = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if begins is None or int(begins.group(1)) != size:
                raise requests.exceptions.InvalidHeader(
                    f"requested bytes from {size}, got {response.headers.get('Content-Range')}"
                )
        else:
            size = stream.truncate(0)
        for chunk in response.iter_content(_CHUNK):
            size += len(chunk)
            if size > file.size:
                raise requests.exceptions.InvalidHeader(
                    f"the server sends more than the {file.size:,} bytes that the record states"
                )
            stream.write(chunk)
            stream.flush()  # so that a killed download keeps what was written
            shown.reach(size)


def _status(error: BaseException | None) -> int | None:
    """HTTP status of an error, if any."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _unpack_remotely(file: RemoteFile, contents: Path, found: dict[str, Any], progress: Progress) -> bool:
    """Fetch the truth of an archive without the rest of it; False if the server sends whole files only."""
    try:
        with io.BufferedReader(RemoteBytes(file.url, file.size, pause=_PAUSE), _READ_AHEAD) as source:
            # zipfile reports any error at the end of the file, where the member list is, as a damaged archive.
            source.seek(max(0, file.size - _READ_AHEAD))
            source.peek(1)
            choose = partial(_belongs, part="volumes")
            found |= unpack_zip(
                Path(file.name), contents, choose=choose, taken=found, source=source, progress=progress
            )
    except NoRanges:
        return False
    return True


def _remote_file(entry: dict[str, Any]) -> RemoteFile:
    links = entry["links"]
    url = str(links.get("content") or links["self"])
    name = str(entry["key"])
    if not url.startswith(("https://", "http://")) or Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"file {name!r} at {url!r}")
    return RemoteFile(name=name, size=int(entry["size"]), checksum=str(entry["checksum"]), url=url)


def _sort_out(files: Sequence[RemoteFile], part: Part) -> tuple[list[RemoteFile], list[RemoteFile]]:
    """Zip archives, and files used directly. FormatError for archives of other kinds."""
    for file in files:
        if re.search(r"\.(tar|tgz|tar\.\w+|7z|rar|z\d\d|zip\.\d+)$", file.name.lower()):
            raise FormatError(
                f"the record packs {file.name} in a way that this command cannot unpack. Download and unpack it by"
                f" other means ({file.url}): the resulting folder can be used directly."
            )
    archives = [file for file in files if file.name.lower().endswith(".zip")]
    loose = [file for file in files if file not in archives and _belongs(file.name, part)]
    return archives, loose


def _belongs(name: str, part: Part) -> bool:
    """Whether a file of the set is needed. Tables and masks always are."""
    if part == "images":
        return name.split("/")[0] not in _TRUTH_FOLDERS and not name.endswith(".xtc")
    return part == "all" or not name.endswith((".mrcs", ".star"))


def _check_room(work: Path, archives: Sequence[RemoteFile], loose: Sequence[RemoteFile]) -> None:
    """Check the space for everything still to come, archives packed and unpacked. DiskFull otherwise."""
    needed = 0
    for file in (*archives, *loose):
        there = [work / file.name, work / f"{file.name}.part", work / "contents" / file.name]
        needed += file.size - sum(path.stat().st_size for path in there if path.is_file())
    unpacked = sum(path.stat().st_size for path in (work / "contents").rglob("*") if path.is_file())
    needed += max(0, round(_UNPACKED * sum(file.size for file in archives)) - unpacked)
    check_free_space(work, max(0, needed))


def _prepare(work: Path, request: dict[str, Any]) -> Path:
    """Folder to unpack into: as left by an interrupted call with the same request, else empty."""
    contents, note = work / "contents", work / _REQUEST
    if not note.exists() or read_json(note) != request:
        shutil.rmtree(contents, ignore_errors=True)
    contents.mkdir(parents=True, exist_ok=True)
    remove_partial_files(contents)
    write_json(note, request)
    return contents


def _is_finished(folder: Path, request: dict[str, Any]) -> bool:
    """Whether this download is already complete. FormatError if the folder holds anything else."""
    if is_empty(folder):
        return False
    if _has_note(folder, request):
        return True
    raise FormatError(
        f"{folder} exists and is not what would be downloaded: choose another folder with -o, or remove it first."
    )


def _has_note(folder: Path, request: dict[str, Any]) -> bool:
    """Whether a folder holds a complete set, according to the note that is written last."""
    note = read_json(folder / DOWNLOAD_NOTE) if (folder / DOWNLOAD_NOTE).is_file() else {}
    return all(note.get(key) == value for key, value in request.items())


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _by_hand(record: int) -> str:
    return (
        f"You can also download it in a browser from {_ZENODO}/records/{record} and unpack it: the resulting folder "
        "can be used directly."
    )
