"""SHA-256 of files, read in blocks, with megabytes shown where they are many."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryobench._progress import Progress, Silent, Task

_BLOCK = 1 << 22
_MEGABYTE = 1_000_000


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(paths: Iterable[Path], label: str, progress: Progress | None = None) -> dict[Path, str]:
    """SHA-256 of each file, with the megabytes read shown under ``label``."""
    paths = list(dict.fromkeys(paths))
    total = sum(path.stat().st_size for path in paths)
    with (progress or Silent()).task(f"{label} (MB)", total=total // _MEGABYTE) as task:
        shown = _Megabytes(task)
        return {path: _hash_shown(path, shown) for path in paths}


class _Megabytes:
    """Bytes read so far, shown as whole megabytes."""

    def __init__(self, task: Task) -> None:
        self._task, self._done = task, 0

    def add(self, count: int) -> None:
        before, self._done = self._done // _MEGABYTE, self._done + count
        self._task.advance(self._done // _MEGABYTE - before)


def _hash_shown(path: Path, shown: _Megabytes) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            shown.add(len(block))
    return digest.hexdigest()
