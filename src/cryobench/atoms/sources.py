"""Structures by name: a file on disk, or an entry of the Protein Data Bank, downloaded once and cached.

Downloads go to ``$CRYOBENCH_CACHE``, by default the user's cache folder. RCSB regenerates the file of an entry
now and then, so its hash cannot be pinned permanently: instead, a download and the cached file are accepted only if
they are complete gzip files.
"""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pooch
import requests

from cryobench._errors import FormatError
from cryobench.atoms.files.text import decompress_gzip

_RCSB_URL = "https://files.rcsb.org/download"
_ENTRY = re.compile(r"[0-9][A-Za-z0-9]{3}|pdb_[0-9a-zA-Z]{8}")
STRUCTURE_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")
"""Suffixes of structure files, before .gz."""
_WAY_OUT = "Try again, or give a local file with --structure FILE."


def resolve_structure(structure: str | Path) -> Path:
    """Local path of a structure given as a path or as ``rcsb:ID``, which is downloaded if it is not cached.

    The path of a folder of structures is returned unchanged, see `list_structures`. FileNotFoundError if a path
    does not exist; otherwise the errors of `fetch_structure`.
    """
    text = str(structure)
    if text.lower().startswith("rcsb:"):
        return fetch_structure(text)
    path = Path(structure)
    if not path.exists():
        raise FileNotFoundError(
            f"structure file {path} does not exist. Give a PDB or mmCIF file, or rcsb:ID (rcsb:1HZH) to download one."
        )
    return path


def resolve_structures(structures: Sequence[str | Path]) -> list[Path]:
    """Local paths of structures given as paths, ``rcsb:ID`` or folders, which are replaced by their structures.

    Errors as for `resolve_structure` and `list_structures`.
    """
    found = [resolve_structure(structure) for structure in structures]
    return [path for each in found for path in (list_structures(each) if each.is_dir() else [each])]


def list_structures(folder: str | Path) -> list[Path]:
    """Structure files (.pdb, .ent, .cif, .mmcif, also with .gz) directly in a folder, sorted by name.

    Hidden files are ignored. FileNotFoundError if there is no such folder or no such file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: expected one with structure files.")
    found = sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.is_file() and structure_name(path) != path.name
    )
    if not found:
        raise FileNotFoundError(
            f"folder {folder} holds no structure file: expected names that end in {', '.join(STRUCTURE_SUFFIXES)}, "
            f"also with .gz, found {sum(1 for _ in folder.iterdir())} other entries."
        )
    return found


def structure_name(path: Path) -> str:
    """File name without the suffixes of a structure file: "1bxn" for 1bxn.cif.gz. Other names are unchanged."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and dot + suffix.lower() in STRUCTURE_SUFFIXES else path.name


def fetch_structure(name: str) -> Path:
    """Path of the gzipped mmCIF of ``rcsb:ID`` (in any case), downloaded unless the cache has it complete.

    The environment variables CRYOBENCH_CACHE and CRYOBENCH_RCSB_URL replace the cache folder and the server.

    Raises ValueError for a malformed name, or an entry that the server does not have; ConnectionError if
    the server cannot be reached or breaks off; FormatError for content that is not a complete gzip file. A failed
    download leaves nothing behind.
    """
    entry = name[5:].strip() if name.lower().startswith("rcsb:") else name.strip()
    if not _ENTRY.fullmatch(entry):
        raise ValueError(f"{name!r} is not a PDB entry: expected rcsb: and an identifier such as 1HZH.")
    entry = entry.lower() if "_" in entry else entry.upper()
    folder = Path(os.environ.get("CRYOBENCH_CACHE") or pooch.os_cache("cryobench")) / "rcsb"
    path = folder / f"{entry}.cif.gz"
    if not (path.exists() and _is_complete(path)):
        folder.mkdir(parents=True, exist_ok=True)
        _download(f"{os.environ.get('CRYOBENCH_RCSB_URL') or _RCSB_URL}/{entry}.cif.gz", entry, path)
    return path


def _is_complete(path: Path) -> bool:
    try:
        decompress_gzip(path.read_bytes(), path)
    except FormatError:
        return False
    return True


def _download(url: str, entry: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{entry}.") as scratch:
        part = Path(scratch, path.name)
        try:
            pooch.HTTPDownloader(timeout=30)(url, str(part), None)
        except requests.exceptions.HTTPError as error:
            status = error.response.status_code if error.response is not None else "unknown"
            if status == 404:
                raise ValueError(f"no entry {entry!r} at {url} (404). Check the identifier.") from error
            raise ConnectionError(f"{url} answered with status {status}. {_WAY_OUT}") from error
        except requests.exceptions.RequestException as error:
            raise ConnectionError(f"cannot download {url}: {error}. {_WAY_OUT}") from error
        if not _is_complete(part):
            raise FormatError(
                f"{url} sent {part.stat().st_size} bytes that are not a complete gzip file: the connection was "
                f"interrupted, or something else answered. {_WAY_OUT}"
            )
        part.replace(path)
