"""Rows of numbers, one per particle, from files of any supported format: latents, labels, class probabilities.

========  ==================================================================================================
suffix    content
========  ==================================================================================================
.npy      array (rows, d); (rows,) is one column
.npz      the one array of a file; of several, that named latents, z, embedding or posteriors
.csv      columns of numbers, with or without a header; a column that identifies particles is kept apart
.parquet  the same
.pkl      an array (the first of several), never unpickled beyond plain arrays
.txt      numbers separated by blanks
========  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench._text import list_some
from cryobench.io.adoption.row_order import Column, Items, is_default_index
from cryobench.io.atomic import read_array
from cryobench.io.formats.csv_table import is_number, read_csv_table
from cryobench.io.formats.npy import read_npz, to_numbers
from cryobench.io.formats.parquet_table import read_parquet_columns
from cryobench.io.formats.pickles import read_pickle

_NAMES = ("latents", "z", "embedding", "posteriors")
_KEYS = Items(0)


@dataclass(frozen=True)
class Table:
    """Rows of numbers."""

    values: np.ndarray
    """(rows, d) float64."""
    keys: Mapping[str, Column] | None = None
    """Columns that identify the particle of a row; None where the file has no column names."""


def read_table(path: Path, what: str) -> Table:
    """Numbers in a file; ``what`` describes them in messages.

    Raises
    ------
    FormatError
        If the file is missing or damaged, holds anything but rows of numbers, or a row is only partly
        NaN.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path} does not exist or is not a file, expected {what}.")
    readers = {
        ".npy": _read_array,
        ".npz": _read_npz,
        ".pkl": _read_array,
        ".csv": _read_csv,
        ".parquet": _read_parquet,
    }
    readers |= {".txt": _read_text}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise FormatError(f"{path} has no supported format for {what}: expected {', '.join(readers)}.")
    table = reader(path, what)
    if table.values.ndim != 2 or not table.values.size:
        raise FormatError(f"{path} holds an array of shape {table.values.shape}, expected rows of {what}.")
    partly = np.isfinite(table.values).any(axis=1) & ~np.isfinite(table.values).all(axis=1)
    infinite = np.isinf(table.values).any(axis=1)
    if (partly | infinite).any():
        row = int(np.argmax(partly | infinite))
        values = list_some([f"{value:g}" for value in table.values[row].tolist()], 8)
        raise FormatError(
            f"{path}: row {row} of the {what} is {values}, expected finite numbers, or NaN throughout for a particle "
            "that was left out."
        )
    return table


def _read_npz(path: Path, what: str) -> Table:
    arrays = read_npz(path)
    named = [name for name in _NAMES if name in arrays]
    if len(arrays) != 1 and not named:
        raise FormatError(
            f"{path} holds the arrays {', '.join(arrays) or 'none'}: which are the {what}? Save them alone, or under "
            f"one of the names {', '.join(_NAMES)}."
        )
    return _numbers(arrays[named[0] if named else next(iter(arrays))], path, what)


def _read_array(path: Path, what: str) -> Table:
    value = read_pickle(path) if path.suffix.lower() == ".pkl" else read_array(path, numbers=True)
    return _numbers(value, path, what)


def _read_text(path: Path, what: str) -> Table:
    try:
        return Table(np.loadtxt(path, ndmin=2))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as rows of numbers ({error}).") from error


def _read_parquet(path: Path, what: str) -> Table:
    return _from_columns(read_parquet_columns(path, f"a table of {what}"), path, what)


def _read_csv(path: Path, what: str) -> Table:
    table = read_csv_table(path, f"a table of {what}")
    if table.header is not None:
        return _from_columns(table.columns(), path, what)
    return Table(np.array([[float(cell) for cell in _check(row, path, what)] for row in table.rows]))


def _from_columns(columns: Mapping[str, Column], path: Path, what: str) -> Table:
    keys = {name: column for name, column in columns.items() if _KEYS.is_key(name)}
    numbers = [np.asarray(_column(column, name, path, what)) for name, column in columns.items() if name not in keys]
    if not numbers:
        raise FormatError(f"{path} has the columns {', '.join(columns)}, none of which has {what}.")
    identifying = {name: column for name, column in keys.items() if not is_default_index(name, column)}
    return Table(np.stack(numbers, axis=1).astype(np.float64), identifying)


def _column(column: Column, name: str, path: Path, what: str) -> Sequence[float] | np.ndarray:
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return column
    return [float(cell) for cell in _check(column, path, f"{what} in the column {name!r}")]


def _check(cells: Sequence[str] | np.ndarray, path: Path, what: str) -> Sequence[str] | np.ndarray:
    for cell in cells:
        if not is_number(str(cell)) and str(cell).lower() not in ("nan", ""):
            raise FormatError(f"{path} holds {str(cell)!r} among the {what}, expected numbers.")
    return [str(cell) or "nan" for cell in cells]


def _numbers(value: object, path: Path, what: str) -> Table:
    if isinstance(value, Mapping):
        raise FormatError(
            f"{path} holds a dictionary of {', '.join(map(str, value))}, expected an array of {what}: save that "
            "alone."
        )
    values = to_numbers(value, path, f"{what}, a row for each particle")
    return Table(values[:, None] if values.ndim == 1 else values)
