"""Collective variables from the user: a CSV or Parquet table with one row per state and one column each.

The column's header is the variable's name, with its unit and, if it lives on a circle, its period in brackets:
``distance [Å]``, ``turn [rad; period 6.283]``, ``score``. Rows are states in the order of the structures, unless a
column names them (``state``, ``frame``, ``index``, or the index saved with a data frame: see
``io.adoption.row_order``); that column is not a variable.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cryobench._errors import FormatError
from cryobench.data import CollectiveVariable
from cryobench.io.adoption.row_order import Column, Items, find_rows
from cryobench.io.formats.csv_table import read_csv_table
from cryobench.io.formats.parquet_table import read_parquet_columns

_HEADER = re.compile(
    r"(?P<name>[^\[\]]*[^\[\]\s])\s*(?:\[(?P<unit>[^\[\];]*)(?:;\s*period\s+(?P<period>[^\[\]]+))?\])?"
)


def read_variables(path: Path, n_states: int) -> dict[str, CollectiveVariable]:
    """Variables by name, with a value for each of ``n_states`` states.

    Raises
    ------
    FormatError
        If the file is missing, is neither CSV nor Parquet, rows differ in their number of fields, a header is
        malformed, a value is not a finite number, or a column that names the state of a row cannot be understood.
    ValueError
        If its number of rows differs from the number of states.
    """
    path = Path(path)
    columns = _read_columns(path)
    n_rows = len(next(iter(columns.values()), ()))
    if n_rows != n_states:
        raise ValueError(
            f"{path} has {n_rows} rows for {n_states} states: one row per state, in the order of the structures "
            "(of a trajectory: of its frames)."
        )
    states = Items(n_states, kind="state", indices=("state", "frame"))
    rows = find_rows(columns, states, path)
    order = np.arange(n_states) if rows is None else rows
    variables: dict[str, CollectiveVariable] = {}
    for column, entries in columns.items():
        if states.is_key(column):
            continue
        name, unit, period = _parse_header(column, path)
        if name in variables:
            raise FormatError(f"{path} has two columns named {name!r}.")
        values = np.asarray(pd.to_numeric(pd.Series(entries), errors="coerce"), dtype=np.float64)[order]
        if not np.isfinite(values).all():
            state = int(np.argmin(np.isfinite(values)))
            raise FormatError(f"{path}: {name!r} of state {state} is {entries[order[state]]}, not a finite number.")
        variables[name] = CollectiveVariable(values, unit, period)
    return variables


def _read_columns(path: Path) -> Mapping[str, Column]:
    expected = "the table of variables_file, CSV or Parquet"
    if path.suffix.lower() in (".parquet", ".pq"):
        return read_parquet_columns(path, expected)
    table = read_csv_table(path, expected)
    if table.header is None:
        raise FormatError(
            f"{path} begins with numbers, {','.join(table.rows[0])!r}, expected a header that names the variables,"
            " such as 'distance [Å]'."
        )
    return table.columns()


def _parse_header(header: str, path: Path) -> tuple[str, str, float | None]:
    found = _HEADER.fullmatch(header.strip())
    if found is None:
        raise FormatError(
            f"{path}: column {header!r} is not named as 'name', 'name [unit]' or 'name [rad; period 6.283]'."
        )
    unit = (found["unit"] or "").strip()
    if found["period"] is None:
        return found["name"], unit, None
    try:
        period = float(found["period"])
    except ValueError:
        period = float("nan")
    if not (np.isfinite(period) and period > 0):
        raise FormatError(f"{path}: the period of column {header!r} is not a positive number.")
    return found["name"], unit, period
