"""Only one process at a time writes into a folder; a second one is refused with a message on the first.

The lock of FOLDER is the file ``.FOLDER.lock`` next to it (``.lock`` in it, if its parent is not writable). It
holds the process number, the host, the start time of the process, and what it is doing. A lock whose process has
ended is taken over: a process number that was reused since is recognised by the start time, which on Linux is
counted from the start of the system, since its clock may be set at any time. A process on another host cannot be
checked: its lock holds until the file is removed.
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
_BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Name of the present start of the system, on Linux."""
_GRACE = 5.0
"""Seconds within which a new lock gets its content."""


class FolderBusy(CryobenchError, OSError):
    """Another process is writing into the folder."""


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock."""

    pid: int
    host: str
    started: float
    """Start time of the process in seconds since 1970."""
    doing: str
    since_boot: float = 0.0
    """The same in seconds since the system started."""
    boot: str | None = None
    """Name of that start of the system, if it has names."""

    @classmethod
    def here(cls, doing: str) -> Owner:
        """This process."""
        started, since_boot = _find_start(os.getpid())
        return cls(os.getpid(), socket.gethostname(), started, doing, since_boot, _read_text(_BOOT))

    @property
    def is_gone(self) -> bool:
        """Whether the process has certainly ended; False if it runs on another host."""
        if self.host != socket.gethostname():
            return False
        try:
            started, since_boot = _find_start(self.pid)
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False
        if self.boot is not None and self.boot == _read_text(_BOOT):
            return abs(since_boot - self.since_boot) > _SLACK
        return abs(started - self.started) > _SLACK


@contextmanager
def lock_folder(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a folder, which need not exist, during the block.

    Parameters
    ----------
    folder
        Folder to be written to. Missing parents are created.
    doing
        Activity of this process, for the message to a second one: "run 3d-class".

    Raises
    ------
    FolderBusy
        If another process, or this one, holds it; the message names it, its start time and its activity.
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
    """Lock file of a folder, whether it exists or not."""
    folder = Path(folder).resolve()
    if folder.is_dir() and not os.access(folder.parent, os.W_OK):
        return folder / ".lock"
    return folder.with_name(f".{folder.name}.lock")


def is_empty(folder: Path) -> bool:
    """Whether a folder is empty, except for its lock; True if it is missing."""
    return not folder.exists() or (folder.is_dir() and all(path.name == ".lock" for path in folder.iterdir()))


def _create(path: Path, content: str) -> bool:
    """Create the lock with its content; False if there is one."""
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


def _find_start(pid: int) -> tuple[float, float]:
    """Start time of a process since 1970, and since the system started."""
    booted = psutil.boot_time()  # first, as older versions of psutil use the value read last
    started = psutil.Process(pid).create_time()
    return started, started - booted


def _parse(text: str | None) -> Owner | None:
    """Owner named by a lock, or None if it is empty or damaged."""
    try:
        found = json.loads(text or "")
        since = float(found.get("since_boot", 0)), found.get("boot")  # older versions did not write these
        return Owner(int(found["pid"]), str(found["host"]), float(found["started"]), str(found["doing"]), *since)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_old(path: Path) -> bool:
    """Whether a lock is older than the time needed to write one."""
    try:
        return time.time() - path.stat().st_mtime > _GRACE
    except FileNotFoundError:
        return False


def _remove_stale(path: Path, content: str | None) -> None:
    """Remove a lock only if it held ``content``: another process may have taken it over meanwhile."""
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
        else f"Wait until it has ended, or choose another folder; if it is no longer running, remove {path}."
    )
    return (
        f"{folder} is in use: process {owner.pid} on {owner.host}, started {since}, is working there"
        f" (cryobench {owner.doing}). Nothing was changed. {way_out}"
    )
