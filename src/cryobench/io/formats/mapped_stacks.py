"""MRC stacks mapped into memory: as many at a time as the process may open, with few resident pages."""

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
"""Mapped pages are released after so many bytes, so that reading stacks does not appear as memory use.
The system maps neighbouring pages too, so the apparent use is several times as much."""
_PART = 4
"""A source maps at most one in so many of the files that a process may have open."""
_UNKNOWN_LIMIT = 64
"""Number of stacks mapped at a time on Windows, which states no such limit."""


class MappedStacks:
    """Stacks mapped on first read. Picklable: only the headers are pickled.

    Shuffled images of many stacks are read in the order of the stacks, batch after batch. If not all can stay
    mapped, the most recently used one is therefore needed last, and is unmapped first.
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
    """Number of stacks that one source may map at a time: each takes one of the process's open files."""
    if sys.platform == "win32":
        return _UNKNOWN_LIMIT
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (sys.maxsize if allowed == resource.RLIM_INFINITY else allowed) // _PART)
