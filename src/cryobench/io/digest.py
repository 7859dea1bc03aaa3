"""SHA-256 of files, read in blocks, with progress in megabytes for large ones; signs that a file was rewritten."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryobench._progress import Megabytes, Progress, show_megabytes

_BLOCK = 1 << 22


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp_file(path: Path) -> tuple[int, int, int]:
    """Number, size and time of a file, which show whether it was written again."""
    found = Path(path).stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def hash_files(paths: Iterable[Path], label: str, progress: Progress | None = None) -> dict[Path, str]:
    """SHA-256 of each file, with the megabytes read shown under ``label``."""
    paths = list(dict.fromkeys(paths))
    total = sum(path.stat().st_size for path in paths)
    with show_megabytes(progress, label, total) as shown:
        return {path: _hash_shown(path, shown) for path in paths}


def _hash_shown(path: Path, shown: Megabytes) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            shown.add(len(block))
    return digest.hexdigest()
