"""Collective variables named by the user: a CSV or Parquet table with one row per state and one column each.

The column's header is the variable's name, with its unit and, if it lives on a circle, its period in brackets:
``distance [Å]``, ``turn [rad; period 6.283]``, ``score``.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from cryobench._errors import FormatError
from cryobench.data import CollectiveVariable

_HEADER = re.compile(
    r"(?P<name>[^\[\]]*[^\[\]\s])\s*(?:\[(?P<unit>[^\[\];]*)(?:;\s*period\s+(?P<period>[^\[\]]+))?\])?"
)


def read_variables(path: Path, n_states: int) -> dict[str, CollectiveVariable]:
    """Variables with a value for each of ``n_states`` states, by name.

    Raises
    ------
    FormatError
        If the file is missing, is neither CSV nor Parquet, a header is malformed, or a value is not a finite number.
    ValueError
        If it has another number of rows than there are states.
    """
    table = _read_table(Path(path))
    if len(table) != n_states:
        raise ValueError(
            f"{path} has {len(table)} rows for {n_states} states: one row per state, in the order of the structures "
            "(of a trajectory: of its frames)."
        )
    variables: dict[str, CollectiveVariable] = {}
    for place, column in enumerate(table.columns):
        name, unit, period = _parse_header(str(column), path)
        if name in variables:
            raise FormatError(f"{path} has two columns named {name!r}.")
        values = np.asarray(pd.to_numeric(table.iloc[:, place], errors="coerce"), dtype=np.float64)
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise FormatError(f"{path}: {name!r} of state {row} is {table.iloc[row, place]}, not a finite number.")
        variables[name] = CollectiveVariable(values, unit, period)
    return variables


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FormatError(f"variables_file {path} does not exist.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        # As rows first: pandas would give the second of two columns of one name another name.
        rows = pd.read_csv(path, skipinitialspace=True, header=None, dtype=str, keep_default_na=False)
        return rows.iloc[1:].set_axis(rows.iloc[0].astype(str).tolist(), axis=1).reset_index(drop=True)
    except (ValueError, pa.ArrowException, OSError) as error:
        raise FormatError(f"{path} cannot be read as a CSV or Parquet table: {error}") from error


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
