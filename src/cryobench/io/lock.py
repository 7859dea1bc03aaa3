"""One process at a time writes into a folder; a second one is refused and learns which process is at work there.

The lock of FOLDER is the file ``.FOLDER.lock`` beside it (``.lock`` in it, where its parent cannot be written). It
holds the process number, the host, when the process started, and what it is doing. A lock whose process has ended is
taken over: a number that was given to another process since is recognised by the start time. Of a process on
another host nothing can be known: its lock holds until somebody removes the file.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from cryobench._errors import CryobenchError

_SLACK = 2.0
"""Seconds by which two readings of one start time may differ: the system derives them from its own clock."""
_GRACE = 5.0
"""Seconds in which a lock that was just made gets its content."""


class FolderBusy(CryobenchError, OSError):
    """Another process is writing into the folder."""


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock."""

    pid: int
    host: str
    started: float
    """Seconds since 1970 at which the process began."""
    doing: str

    @classmethod
    def here(cls, doing: str) -> Owner:
        """This process."""
        return cls(os.getpid(), socket.gethostname(), psutil.Process().create_time(), doing)

    @property
    def is_gone(self) -> bool:
        """Whether the process has certainly ended; False if it runs on another host."""
        if self.host != socket.gethostname():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) > _SLACK
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


@contextmanager
def lock_folder(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a folder, which need not exist, while the block runs.

    Parameters
    ----------
    folder
        What is written to. Missing parents are made.
    doing
        What this process does there, as a second one is to read it: "run 3d-class".

    Raises
    ------
    FolderBusy
        If another process holds it, this one included; the message says which, since when, and what it does.
    """
    path = lock_path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(asdict(Owner.here(doing)))
    while not _create(path, content):
        found = _read_text(path)
        owner = _parse(found)
        if owner is None and not _is_old(path):
            time.sleep(0.05)
        elif owner is None or owner.is_gone:
            _remove_stale(path, found)
        else:
            raise FolderBusy(_explain(Path(folder), owner, path))
    try:
        yield
    finally:
        if _read_text(path) == content:
            path.unlink(missing_ok=True)


def lock_path(folder: Path) -> Path:
    """The file that is the lock of a folder, whether it is there or not."""
    folder = Path(folder).resolve()
    if folder.is_dir() and not os.access(folder.parent, os.W_OK):
        return folder / ".lock"
    return folder.with_name(f".{folder.name}.lock")


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing, its own lock aside; True if it is missing."""
    return not folder.exists() or (folder.is_dir() and all(path.name == ".lock" for path in folder.iterdir()))


def _create(path: Path, content: str) -> bool:
    """Make the lock with its content; False if there is one."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _parse(text: str | None) -> Owner | None:
    """What a lock says, or None if it is empty or damaged."""
    try:
        found = json.loads(text or "")
        return Owner(int(found["pid"]), str(found["host"]), float(found["started"]), str(found["doing"]))
    except (ValueError, TypeError, KeyError):
        return None


def _is_old(path: Path) -> bool:
    """Whether a lock is older than it takes to write one."""
    try:
        return time.time() - path.stat().st_mtime > _GRACE
    except FileNotFoundError:
        return False


def _remove_stale(path: Path, content: str | None) -> None:
    """Remove a lock that held ``content``, and no other: somebody else may have taken it over meanwhile."""
    aside = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _read_text(aside) != content and not path.exists():
        aside.rename(path)
    aside.unlink(missing_ok=True)


def _explain(folder: Path, owner: Owner, path: Path) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.started))
    here = owner.host == socket.gethostname()
    way_out = (
        "Wait until it has ended, or choose another folder."
        if here
        else f"Wait until it has ended, or choose another folder; if it runs no more, remove {path}."
    )
    return (
        f"{folder} is in use: process {owner.pid} on {owner.host}, started {since}, is at work there"
        f" (cryobench {owner.doing}). Nothing was changed. {way_out}"
    )
