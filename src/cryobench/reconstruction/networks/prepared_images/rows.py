"""Prepared images as half-precision rows: in memory, or in a file beyond a budget or where several processes read."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from cryobench.reconstruction.networks.prepared_images.row_file import RowFile


class PreparedRows:
    """An array (rows, ...) of float16, written once by indices and read by indices.

    Parameters
    ----------
    shape
        Shape of the array.
    keep_bytes
        Memory for it; if it needs more, or several workers read it, it is in a file, which is removed with this
        object.
    n_workers
        Number of processes that read it.
    folder
        Folder of that file; None for the system's temporary folder.

    Raises
    ------
    OSError
        If there is no space for the file.
    """

    def __init__(self, shape: tuple[int, ...], *, keep_bytes: float, n_workers: int, folder: Path | None) -> None:
        shared = n_workers > 1
        self.is_in_memory = not shared and 2 * float(np.prod(shape, dtype=float)) <= keep_bytes
        """Whether they are kept in memory."""
        self._rows: np.ndarray | RowFile = (
            np.empty(shape, dtype=np.float16) if self.is_in_memory else RowFile(shape, folder, named=shared)
        )

    def __getstate__(self) -> dict[str, object]:
        """State; rows stay in their file, which is opened again by its name."""
        if isinstance(self._rows, np.ndarray) or self._rows.path is None:
            raise TypeError("prepared images are sent to workers as a file, and these were made for one process.")
        return dict(self.__dict__)

    def open_here(self) -> None:
        """In a worker process: open the file. FileNotFoundError if it is not visible there."""
        assert isinstance(self._rows, RowFile)
        try:
            self._rows.reopen()
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{socket.gethostname()} cannot see the file {self._rows.path} of prepared images: put the run in a "
                "folder that all machines see."
            ) from error

    def __getitem__(self, indices: Int[np.ndarray, " b"]) -> Float[np.ndarray, "b ..."]:
        """Rows, float32."""
        return self._rows[indices].astype(np.float32)

    def __setitem__(self, indices: Int[np.ndarray, " b"], rows: Float[np.ndarray, "b ..."]) -> None:
        self._rows[indices] = torch.from_numpy(rows).half().numpy()  # without a warning where one is out of range
