"""Labels of particles: the state of each, from any supported file.

========  =======================================================  =========================================
suffix    content                                                  state
========  =======================================================  =========================================
.csv      a column ``state`` (or ``label``, ``class``); or one     as stored
          column, or particle and state, without a header
.npy      array (n,) of whole numbers                              as stored
.pkl      the same as a pickle (gt_latents.pkl), never unpickled   as stored
          beyond plain arrays
.parquet  as .csv; DATASET/truth/particles.parquet is one          as stored
.star     rlnClassNumber                                           one less: RELION counts classes from 1
========  =======================================================  =========================================

A state of −1 means unlabelled. Rows are particles in the order of their table, unless a column names them
(``row_order``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import Particles
from cryobench.io.adoption.row_order import Column, Items, find_rows
from cryobench.io.atomic import read_array
from cryobench.io.formats.csv_table import is_number, read_csv_table
from cryobench.io.formats.npy import to_numbers
from cryobench.io.formats.parquet_table import read_parquet_columns
from cryobench.io.formats.pickles import read_pickle
from cryobench.io.formats.star import number_column, read_tables

_STATE_NAMES = ("state", "label", "class")
_LARGEST = 2**53
"""Whole numbers up to it are exact in float64."""


def read_labels(path: Path, particles: Particles, *, uids: np.ndarray | None = None) -> np.ndarray:
    """States (n,) int64 of n particles, −1 if unlabelled. ``uids`` (n,) are those of a .cs file, if the particles
    have some.

    Raises
    ------
    FormatError
        If the file is missing or of another kind, its length is not that of the particles, an entry is not a whole
        number of at least −1, or a column that identifies particles cannot be understood.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path} does not exist or is not a file, expected labels of {len(particles)} particles.")
    readers = {".csv": _read_csv, ".npy": _read_array, ".pkl": _read_array, ".parquet": _read_parquet}
    readers |= {".star": _read_star}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise FormatError(f"{path} is not a labels file: expected {', '.join(readers)}, found {path.suffix!r}.")
    values = reader(path, Items(len(particles), images=particles.images, uids=uids))
    if values.shape != (len(particles),):
        raise FormatError(
            f"{path} labels {len(values) if values.ndim else 1} particles (shape {values.shape}), but there are"
            f" {len(particles)}. Give one state per particle, in order; -1 for unlabelled ones."
        )
    bad = ~((values >= -1) & (values <= _LARGEST)) | (values != np.floor(values))
    if bad.any():
        first = int(np.argmax(bad))
        raise FormatError(
            f"{path}: the state of particle {first} is {values[first]:g}, expected 0, 1, 2, … or -1 for unlabelled."
        )
    return values.astype(np.int64)


def _read_array(path: Path, particles: Items) -> np.ndarray:
    value = read_pickle(path) if path.suffix.lower() == ".pkl" else read_array(path)
    values = to_numbers(value, path, "one whole number per particle")
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _read_parquet(path: Path, particles: Items) -> np.ndarray:
    return _from_columns(read_parquet_columns(path, "a table of labels"), particles, path)


def _read_star(path: Path, particles: Items) -> np.ndarray:
    for table in read_tables(path, text_columns=("rlnImageName",)).values():
        if "rlnClassNumber" in table:
            states = np.maximum(number_column(table, "rlnClassNumber", path) - 1, -1)
            names = {"rlnImageName": table["rlnImageName"].to_numpy()} if "rlnImageName" in table else {}
            return _in_order(states, names, particles, path)
    raise FormatError(f"{path} has no column _rlnClassNumber, in which RELION stores classes.")


def _read_csv(path: Path, particles: Items) -> np.ndarray:
    table = read_csv_table(path, f"labels of {particles.count} particles")
    if table.header is not None:
        return _from_columns(table.columns(), particles, path, table.first_line)
    *indices, states = zip(*table.rows, strict=True)
    if len(indices) > 1:
        raise FormatError(
            f"{path} has {len(indices) + 1} columns and no header, so the state is ambiguous. Begin it with the line"
            " 'particle,state', or give one or two columns."
        )
    return _in_order(_entries(states, path), {"particle": list(indices[0])} if indices else {}, particles, path)


def _from_columns(columns: Mapping[str, Column], particles: Items, path: Path, first_line: int = 1) -> np.ndarray:
    names = {name.strip().lower(): name for name in list(columns)[::-1]}
    state = next((names[name] for name in _STATE_NAMES if name in names), None)
    if state is None:
        known = " or ".join(_STATE_NAMES)
        raise FormatError(f"{path} has the columns {', '.join(columns)}, expected one called {known}.")
    return _in_order(_entries(columns[state], path, first_line), columns, particles, path)


def _in_order(states: np.ndarray, columns: Mapping[str, Column], particles: Items, path: Path) -> np.ndarray:
    """States in the order of the particles; those not named by any row are unlabelled."""
    rows = find_rows(columns, particles, path)
    return states if rows is None or not len(states) else np.where(rows < 0, -1, states[rows])


def _entries(column: Column, path: Path, first_line: int = 1) -> np.ndarray:
    """A column of states as float64."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        return column.astype(np.float64)
    for place, entry in enumerate(column):
        if not is_number(str(entry)):
            raise FormatError(f"{path}: entry {place + first_line} is {str(entry)!r}, expected whole numbers.")
    return np.array([float(entry) for entry in column])
