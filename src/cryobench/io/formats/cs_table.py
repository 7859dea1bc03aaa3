"""cryoSPARC files (.cs) as tables: fields by name, files of one job joined by ``uid``; meaning in ``cryosparc``.

A .cs file is a NumPy structured array, one row per particle, with fields named GROUP/FIELD. A job writes changed
fields into one file and the others into "passthrough" files, in another order. Nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cryobench._errors import FormatError
from cryobench.io.formats.npy import read_npy


class CsTable:
    """Fields of a .cs file and its passthrough files, in the row order of the first; duplicate fields count once.

    Raises
    ------
    FormatError
        If a file is missing, is not a structured array or holds Python objects, or a ``uid`` is missing or
        duplicated.
    """

    def __init__(self, path: Path, passthrough: Sequence[Path] = ()) -> None:
        self.path = path
        self._tables: list[tuple[np.ndarray, np.ndarray | None]] = [(_load_table(path), None)]
        self._files = [path, *passthrough]
        for other in passthrough:
            self._tables.append((table := _load_table(other), self._rows_in(table, other)))

    def __len__(self) -> int:
        return len(self._tables[0][0])

    def __contains__(self, name: str) -> bool:
        return any(name in (table.dtype.names or ()) for table, _ in self._tables)

    def __getitem__(self, name: str) -> np.ndarray:
        """A field (n, …) as stored. KeyError if no file has it."""
        for table, rows in self._tables:
            if name in (table.dtype.names or ()):
                return table[name] if rows is None else table[name][rows]
        raise KeyError(name)

    def fields(self) -> list[list[str]]:
        """Fields of each file, in the order of the files."""
        return [list(table.dtype.names or ()) for table, _ in self._tables]

    def require(self, names: Sequence[str], way_out: str = "") -> None:
        """Raise FormatError with the missing ones of some fields."""
        missing = [name for name in names if name not in self]
        if missing:
            groups = sorted({field.partition("/")[0] for fields in self.fields() for field in fields})
            advice = way_out or "Give the job's passthrough file as well: it holds the unchanged fields."
            raise FormatError(
                f"{' and '.join(map(str, self._files))} lack{'s' * (len(self._files) == 1)} {', '.join(missing)};"
                f" present are fields of {', '.join(groups)}. {advice}"
            )

    def numbers(self, name: str, shape: tuple[int, ...] = ()) -> np.ndarray:
        """A field (n, *shape) in float64. FormatError if its shape is another, or an entry is not finite."""
        self.require([name])
        values = self[name]
        if values.shape[1:] != shape or values.dtype.kind not in "fiub":
            raise FormatError(
                f"{self.path}: {name} has entries of shape {values.shape[1:]} and type {values.dtype}, expected"
                f" numbers of shape {shape}."
            )
        values = values.astype(np.float64)
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not finite.all():
            first = int(np.argmin(finite))
            raise FormatError(
                f"{self.path}: {name} of particle {first} is {values[first]}, expected finite numbers"
                f" ({int((~finite).sum())} such particles). Remove them, or repeat the job that made the file."
            )
        return values

    def typed(self, name: str, shape: tuple[int, ...] = ()) -> np.ndarray:
        """As ``numbers``, each the shortest decimal for the stored float32: 1.31 rather than 1.309999943."""
        values = self.numbers(name, shape)
        distinct, places = np.unique(values.astype(np.float32), return_inverse=True)
        return np.array([float(str(value)) for value in distinct])[places.reshape(-1)].reshape(values.shape)

    def _rows_in(self, table: np.ndarray, other: Path) -> np.ndarray:
        """Row of a passthrough table for each particle."""
        for file, names in ((self.path, self._tables[0][0].dtype.names), (other, table.dtype.names)):
            if "uid" not in (names or ()):
                raise FormatError(f"{file} has no field uid, by which rows of {self.path} and {other} are matched.")
        own = self._tables[0][0]["uid"]
        for file, uids in ((self.path, own), (other, table["uid"])):
            if len(np.unique(uids)) != len(uids):
                raise FormatError(f"{file} lists a uid twice: rows of {self.path} and {other} cannot be matched.")
        rows = pd.Index(table["uid"]).get_indexer(pd.Index(own))
        if (rows < 0).any():
            first = int(np.argmax(rows < 0))
            raise FormatError(
                f"{other} lacks {int((rows < 0).sum())} of the {len(own)} particles of {self.path}, the first is"
                f" particle {first} (uid {own[first]}). Use the passthrough file of the same job."
            )
        return rows


def _load_table(path: Path) -> np.ndarray:
    if not path.is_file():
        raise FormatError(f"{path} does not exist or is not a file.")
    with path.open("rb") as file:
        magic = file.read(6)
    if magic[1:] == b"CSDAT":  # after a byte that counts versions
        raise FormatError(
            f"{path} is in cryoSPARC's stream format. Save it as a NumPy file: with cryosparc-tools,"
            " Dataset.load(...).save(...)."
        )
    table = read_npy(path)
    if table.dtype.names is None or table.ndim != 1:
        raise FormatError(
            f"{path} is not a .cs file: expected a structured array with named fields, found an array of "
            f"{table.dtype}, shape {table.shape}."
        )
    if len(table) == 0:
        raise FormatError(f"{path} lists no particles.")
    return table
