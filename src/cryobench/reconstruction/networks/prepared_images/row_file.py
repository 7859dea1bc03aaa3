"""Rows of half-precision numbers in a file, read and written one by one: prepared images that exceed memory.

Rows are read by system calls and not mapped, so that the process holds only the requested ones; the system caches
as much of the file as it has free memory for.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from cryobench.compute.memory import format_bytes
from cryobench.io.atomic import PARTIAL


class RowFile:
    """An array (rows, ...) of float16 on disk, read by row indices.

    Parameters
    ----------
    shape
        Shape of the array.
    folder
        Folder of the file; None for the system's temporary folder.
    named
        Whether other processes open it: it then has a name, and is removed with this object. Without a name it is
        removed when the process ends, however that happens.

    Raises
    ------
    OSError
        If there is no space for it.
    """

    def __init__(self, shape: tuple[int, ...], folder: Path | None, *, named: bool) -> None:
        self.shape = shape
        self._row_bytes = 2 * int(np.prod(shape[1:]))
        parent = Path(tempfile.gettempdir()) if folder is None else folder
        parent.mkdir(parents=True, exist_ok=True)
        needed, free = shape[0] * self._row_bytes, shutil.disk_usage(parent).free
        if needed > free:
            raise OSError(
                f"prepared images take {format_bytes(needed)} in a file (because of the memory budget or several "
                f"workers), and {parent} has {format_bytes(free)} free: free space there, or use one worker with "
                "more --memory, or set a smaller box."
            )
        self.path: Path | None = None
        """Path by which other processes open it."""
        if named:
            self._descriptor, name = tempfile.mkstemp(prefix=".images.", suffix=PARTIAL, dir=parent)
            self.path = Path(name)
            weakref.finalize(self, self.path.unlink, missing_ok=True)
        else:
            with tempfile.TemporaryFile(dir=parent) as file:
                self._descriptor = os.dup(file.fileno())
        os.truncate(self._descriptor, needed)
        weakref.finalize(self, os.close, self._descriptor)

    def __getstate__(self) -> dict[str, object]:
        """State without the open file."""
        return {**self.__dict__, "_descriptor": None}

    def reopen(self) -> None:
        """In a worker process: open the file, for reading. FileNotFoundError if it is not visible there."""
        assert self.path is not None
        self._descriptor = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def __getitem__(self, indices: Int[np.ndarray, " b"]) -> Float[np.ndarray, "b ..."]:
        """Rows (b, ...)."""
        rows = np.empty((len(indices), *self.shape[1:]), dtype=np.float16)
        for row, index in zip(rows, indices.tolist(), strict=True):
            count = os.preadv(self._descriptor, [row.reshape(-1).view(np.uint8).data], index * self._row_bytes)
            if count != self._row_bytes:
                raise OSError(f"row {index} of the prepared images ended after {count} of {self._row_bytes} bytes.")
        return rows

    def __setitem__(self, indices: Int[np.ndarray, " b"], rows: Float[np.ndarray, "b ..."]) -> None:
        values = np.ascontiguousarray(rows, dtype=np.float16)
        for row, index in zip(values, indices.tolist(), strict=True):
            count = os.pwrite(self._descriptor, row.tobytes(), index * self._row_bytes)
            if count != self._row_bytes:
                raise OSError(
                    f"row {index} of the prepared images was written to {count} of {self._row_bytes} bytes: is the "
                    "disk full?"
                )
