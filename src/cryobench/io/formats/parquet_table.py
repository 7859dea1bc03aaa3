"""Parquet tables including the stored index of a data frame, which counts as a column."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cryobench._errors import FormatError


def read_parquet_columns(path: Path, expected: str) -> dict[str, np.ndarray]:
    """Columns (rows,) by name. The index of a data frame comes first, as "" if it has no name.

    Raises
    ------
    FormatError
        If the file is missing or not a Parquet table; ``expected`` describes it.
    """
    if not path.is_file():
        raise FormatError(f"{path} does not exist or is not a file, expected {expected}.")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{path} cannot be read as a Parquet table ({error}).") from error
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
