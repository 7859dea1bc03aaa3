"""Parquet tables: read and written; columns including the stored index of a data frame."""

from __future__ import annotations

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
    frame = table.to_pandas()
    columns = {str(name): frame[name].to_numpy() for name in frame}
    if b"pandas" not in (table.schema.metadata or {}):
        return columns
    levels = enumerate(frame.index.names)
    return {str(name or ""): frame.index.get_level_values(level).to_numpy() for level, name in levels} | columns
