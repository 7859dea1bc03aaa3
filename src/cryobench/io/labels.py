"""Labels of particles: the state of each, from whatever file they came in.

========  =======================================================  =========================================
suffix    content                                                  state
========  =======================================================  =========================================
.csv      a column ``state`` (or ``label``, ``class``), perhaps    as it stands
          one ``particle``; or one or two columns, no header
.npy      array (n,) of whole numbers                              as it stands
.pkl      the same as a pickle (gt_latents.pkl), never unpickled   as it stands
          beyond plain arrays
.parquet  a column ``state``, as in DATASET/truth/                 as it stands
.star     rlnClassNumber, row by row                               one less: RELION counts classes from 1
========  =======================================================  =========================================

A state of −1 means unlabelled. Rows are particles in the order of their table, unless a column says which.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cryobench._errors import FormatError
from cryobench.data import Particles
from cryobench.io.atomic import read_array
from cryobench.io.mrc import MrcStacks
from cryobench.io.pickles import read_pickle
from cryobench.io.star import number_column, read_tables

_STATE_NAMES = ("state", "label", "class")
_PARTICLE_NAMES = ("particle", "index")


def read_labels(path: Path, particles: Particles) -> np.ndarray:
    """States (n,) int64 of n particles, −1 where unlabelled.

    Raises
    ------
    FormatError
        If the file is missing or of another kind, its length is not that of the particles, an entry is no whole
        number of at least −1, or the rows of a STAR file name other images than the particles do.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path} does not exist or is no file, expected labels of {len(particles)} particles.")
    readers = {".csv": _read_csv, ".npy": _read_npy, ".pkl": _read_pkl, ".parquet": _read_parquet}
    readers |= {".star": _read_star}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise FormatError(f"{path} is no file of labels: expected {', '.join(readers)}, found {path.suffix!r}.")
    values = reader(path, particles)
    if values.shape != (len(particles),):
        raise FormatError(
            f"{path} labels {len(values) if values.ndim else 1} particles (shape {values.shape}), but there are"
            f" {len(particles)}. One state per particle is needed, in their order; -1 for unlabelled ones."
        )
    bad = ~(values >= -1) | (values != np.floor(values))
    if bad.any():
        first = int(np.argmax(bad))
        raise FormatError(
            f"{path}: the state of particle {first} is {values[first]:g}, expected 0, 1, 2, … or -1 for unlabelled."
        )
    return values.astype(np.int64)


def _read_npy(path: Path, particles: Particles) -> np.ndarray:
    return _numbers(read_array(path), path)


def _read_pkl(path: Path, particles: Particles) -> np.ndarray:
    return _numbers(read_pickle(path), path)


def _numbers(value: object, path: Path) -> np.ndarray:
    try:
        values = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path} must hold one whole number per particle ({error}).") from error
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _read_parquet(path: Path, particles: Particles) -> np.ndarray:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{path} cannot be read as a Parquet table ({error}).") from error
    if "state" not in table.column_names:
        raise FormatError(f"{path} has the columns {', '.join(table.column_names)}, expected one called state.")
    return _numbers(table["state"].to_numpy(), path)


def _read_star(path: Path, particles: Particles) -> np.ndarray:
    for table in read_tables(path, text_columns=("rlnImageName",)).values():
        if "rlnClassNumber" in table:
            if "rlnImageName" in table:
                _check_images([str(name) for name in table["rlnImageName"]], particles, path)
            return np.maximum(number_column(table, "rlnClassNumber", path) - 1, -1)
    raise FormatError(f"{path} has no column _rlnClassNumber, in which RELION keeps classes.")


def _check_images(names: list[str], particles: Particles, path: Path) -> None:
    """Refuse labels whose rows are other images than the particles: the order would be another, unseen."""
    images = particles.images
    if not isinstance(images, MrcStacks) or len(names) != len(particles):
        return
    stacks = [stack.name for stack in images.paths]
    for row, name in enumerate(names):
        number, _, stack = name.partition("@")
        own = stacks[int(images.file_index[row])], int(images.image_index[row]) + 1
        if not number.isdecimal() or (Path(stack).name, int(number)) != own:
            raise FormatError(
                f"row {row + 1} of {path} labels the image {name}, but particle {row} is image {own[1]} of {own[0]}:"
                " the rows are in another order, or of other particles. Use a table with the same rows."
            )


def _read_csv(path: Path, particles: Particles) -> np.ndarray:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} cannot be read as a table of comma-separated values ({error}).") from error
    if not rows:
        raise FormatError(f"{path} is empty, expected labels of {len(particles)} particles.")
    header = [cell.strip().lower() for cell in rows[0]]
    if all(_is_number(cell) for cell in header):
        if len(header) > 2:
            raise FormatError(
                f"{path} has {len(header)} columns and no header: which is the state? Begin it with the line"
                " 'particle,state', or give one or two columns."
            )
        state_column, particle_column, body, first_line = len(header) - 1, 0 if len(header) == 2 else None, rows, 1
    else:
        twice = sorted({name for name in header if name and header.count(name) > 1})
        if twice:
            raise FormatError(f"{path} has two columns named {twice[0]!r}. Remove the one that is not meant.")
        state_column = _find(header, _STATE_NAMES)
        particle_column, body, first_line = _find(header, _PARTICLE_NAMES), rows[1:], 2
        if state_column is None:
            raise FormatError(f"{path} has the columns {', '.join(rows[0])}, expected one called state.")
    states = _cells(body, state_column, path, first_line)
    if particle_column is None:
        return states
    return _place(states, _cells(body, particle_column, path, first_line), len(particles), path)


def _place(states: np.ndarray, indices: np.ndarray, n: int, path: Path) -> np.ndarray:
    """States of particles named by index; those that are not named are unlabelled."""
    bad = (indices < 0) | (indices >= n) | (indices != np.floor(indices))
    if bad.any():
        raise FormatError(
            f"{path} labels particle {indices[np.argmax(bad)]:g}, but there are particles 0 to {n - 1}."
        )
    places = indices.astype(np.int64)
    counts = np.bincount(places, minlength=n)
    if (counts > 1).any():
        raise FormatError(f"{path} labels particle {int(np.argmax(counts > 1))} more than once.")
    result = np.full(n, -1.0)
    result[places] = states
    return result


def _find(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _cells(rows: list[list[str]], column: int, path: Path, first_line: int) -> np.ndarray:
    values = np.empty(len(rows))
    for place, row in enumerate(rows):
        cell = row[column].strip() if column < len(row) else ""
        if not _is_number(cell):
            raise FormatError(f"{path}: entry {place + first_line} is {','.join(row)!r}, expected whole numbers.")
        values[place] = float(cell)
    return values


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
