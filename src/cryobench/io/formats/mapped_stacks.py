"""MRC stacks mapped into memory: as many at a time as the process may open, with few of their pages resident."""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.io.formats.mrc_header import MrcHeader

_RESIDENT_BYTES = 1 << 26
"""Mapped pages are handed back to the system after so many bytes, so that reading stacks does not look like holding
them in memory. The system maps neighbours along, so what looks resident is some times as much."""
_PART = 4
"""A source maps this part, one in four, of the files that a process may have open."""
_UNKNOWN_LIMIT = 64
"""Stacks mapped at a time on Windows, which states no such limit."""


class MappedStacks:
    """Stacks that are mapped when they are read, and stay so. Picklable: only the headers travel.

    Shuffled images of many stacks are asked for in the order of the stacks, batch after batch. Where not all can stay
    mapped, the one used last is therefore needed again last, and makes room.
    """

    def __init__(self, headers: Sequence[MrcHeader]) -> None:
        self._headers = tuple(headers)
        self._limit = _most_mapped()
        self._open: dict[int, _Map] = {}
        self._last = -1
        self._touched = 0
        self._lock = threading.Lock()

    def copy(self, file: int, first: int, target: np.ndarray) -> None:
        """Copy images of a stack, from ``first`` on, into ``target`` (m, y, x)."""
        with self._lock:
            if file not in self._open:
                if len(self._open) >= self._limit:
                    del self._open[self._last]
                self._open[file] = _Map(self._headers[file])
            self._last = file
            stack = self._open[file]
        stack.copy(first, target)
        with self._lock:
            self._touched += len(target) * self._headers[file].image_bytes
            if self._touched > _RESIDENT_BYTES:
                self._touched = 0
                for each in self._open.values():
                    each.hand_back()

    def __reduce__(self) -> tuple[Any, ...]:
        return MappedStacks, (self._headers,)


class _Map:
    """One mapped stack."""

    def __init__(self, header: MrcHeader) -> None:
        sections, rows, columns = header.shape
        needed = header.offset + sections * header.image_bytes
        with header.path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < needed:
                raise FormatError(f"{header.path} has become shorter since it was first read.")
            self._map = mmap.mmap(file.fileno(), needed, access=mmap.ACCESS_READ)
        count = sections * rows * columns
        self._images = np.frombuffer(self._map, header.dtype, count, header.offset).reshape(header.shape)

    def copy(self, first: int, target: np.ndarray) -> None:
        np.copyto(target, self._images[first : first + len(target)], casting="unsafe")

    def hand_back(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _most_mapped() -> int:
    """Stacks that one source may have mapped at a time: each takes one of the files that a process may have open."""
    if sys.platform == "win32":
        return _UNKNOWN_LIMIT
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (sys.maxsize if allowed == resource.RLIM_INFINITY else allowed) // _PART)
