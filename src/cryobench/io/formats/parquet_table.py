"""Parquet tables: read and written; columns including the stored index of a data frame."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cryobench._errors import FormatError
from cryobench.io.atomic import atomic_write


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table atomically."""
    with atomic_write(path, bytes_needed=table.nbytes) as file:
        pq.write_table(table, file)


def read_parquet(path: Path, way_out: str = "") -> pa.Table:
    """Table of a file. FormatError, which ends with ``way_out``, if it is missing or damaged."""
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise FormatError(f"{path} does not exist. {way_out}".rstrip()) from None
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{path} cannot be read as a Parquet table ({error}). {way_out}".rstrip()) from error


def read_parquet_columns(path: Path, expected: str) -> dict[str, np.ndarray]:
    """Columns (rows,) by name. The index of a data frame comes first, as "" if it has no name.

    Raises
    ------
    FormatError
        If the file is missing or not a Parquet table; ``expected`` describes it.
    """
    if not path.is_file():
        raise FormatError(f"{path} does not exist or is not a file, expected {expected}.")
    table = read_parquet(path)
    columns = {name: np.asarray(table[name].to_numpy()) for name in table.column_names}
    index: dict[str, np.ndarray] = {}
    for entry in _index_entries(table):
        if isinstance(entry, dict):  # a range, which takes no column
            index[entry.get("name") or ""] = np.arange(entry["start"], entry["stop"], entry["step"])
        elif entry in columns:
            index["" if entry.startswith("__index_level_") else entry] = columns.pop(entry)
    index = {name: values for name, values in index.items() if len(values) == len(table)}
    return {**index, **columns}


def _index_entries(table: pa.Table) -> list:
    """The index as recorded by pandas: names of columns, or ranges."""
    noted = (table.schema.metadata or {}).get(b"pandas")
    return json.loads(noted).get("index_columns", []) if noted else []
