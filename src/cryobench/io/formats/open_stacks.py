"""Files of MRC stacks, opened when they are read: as many at a time as the process may open.

Images are read, not mapped: a page fault of a mapped file also reads its surroundings, which may be many times the
image, and methods visit images by direction, in no order on disk. Read-ahead is switched off for the same reason.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.io.formats.mrc_header import MrcHeader

_PART = 4
"""A source opens at most one in so many of the files that a process may have open."""


class OpenStacks:
    """Stacks opened on first read. Picklable: only the headers are pickled.

    Shuffled images of many stacks are read in the order of the stacks, batch after batch. If not all can stay open,
    the most recently used one is therefore needed last, and is closed first.
    """

    def __init__(self, headers: Sequence[MrcHeader]) -> None:
        self._headers = tuple(headers)
        self._limit = _most_open()
        self._open: dict[int, _Stack] = {}
        self._last = -1
        self._lock = threading.Lock()

    def copy(self, file: int, first: int, target: np.ndarray) -> None:
        """Copy images of a stack, from ``first`` on, into ``target`` (m, y, x), float32 and contiguous."""
        with self._lock:
            if file not in self._open:
                if len(self._open) >= self._limit:
                    del self._open[self._last]
                self._open[file] = _Stack(self._headers[file])
            self._last = file
            stack = self._open[file]
        stack.copy(first, target)

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenStacks, (self._headers,)


class _Stack:
    """One open stack; closed when nothing refers to it any more."""

    def __init__(self, header: MrcHeader) -> None:
        self._header = header
        self._file = header.path.open("rb", buffering=0)
        if os.fstat(self._file.fileno()).st_size < header.offset + header.shape[0] * header.image_bytes:
            raise self._shortened()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def copy(self, first: int, target: np.ndarray) -> None:
        header = self._header
        stored = target if target.dtype == header.dtype else np.empty(target.shape, header.dtype)
        self._read(header.offset + first * header.image_bytes, stored.reshape(-1).view(np.uint8).data)
        if stored is not target:
            np.copyto(target, stored, casting="unsafe")

    def _read(self, offset: int, target: memoryview) -> None:
        while len(target):
            count = os.preadv(self._file.fileno(), [target], offset)
            if count == 0:
                raise self._shortened()
            offset, target = offset + count, target[count:]

    def _shortened(self) -> FormatError:
        return FormatError(f"{self._header.path} has become shorter since it was first read.")


def _most_open() -> int:
    """Number of stacks that one source may have open at a time: each takes one of the process's open files."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (sys.maxsize if allowed == resource.RLIM_INFINITY else allowed) // _PART)
