"""Facts about each state in one table: truth/states.parquet, one row per state.

    name          name of the state
    component:X   occupancy of component X, 0 to 1
    others        further numbers, such as its mass and its number of images

The assembly graph (pairs of states) is in the metadata of the file, as JSON under the key "edges".
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from cryobench.data import GroundTruth, StateComponents
from cryobench.io.formats.parquet_table import read_parquet, write_parquet

_NAME = "states.parquet"
_PREFIX = "component:"


def write_state_table(folder: Path, truth: GroundTruth) -> list[str]:
    """Write the table into the folder ``truth`` unless empty. Written files, relative to the data set."""
    path = folder / _NAME
    columns: dict[str, object] = {}
    if truth.state_names is not None:
        columns["name"] = list(truth.state_names)
    if truth.state_facts is not None:
        columns |= {str(name): truth.state_facts[name].to_numpy() for name in truth.state_facts}
    edges: list[list[int]] = []
    if truth.components is not None:
        parts = zip(truth.components.names, truth.components.occupancies.T, strict=True)
        columns |= {_PREFIX + name: occupancies for name, occupancies in parts}
        edges = truth.components.edges.tolist()
    if not columns:
        return []
    table = pa.table(columns).replace_schema_metadata({"edges": json.dumps(edges)})
    write_parquet(path, table)
    return [f"{folder.name}/{_NAME}"]


def read_state_table(folder: Path) -> tuple[tuple[str, ...] | None, StateComponents | None, pd.DataFrame | None]:
    """Names, components and further facts of the states; None each if unknown. FormatError if damaged."""
    path = folder / _NAME
    if not path.exists():
        return None, None, None
    table = read_parquet(path, "Copy the data set again.")
    found = [name for name in table.column_names if name.startswith(_PREFIX)]
    others = [name for name in table.column_names if name not in (*found, "name")]
    components = None
    if found:
        edges = json.loads((table.schema.metadata or {}).get(b"edges", b"[]"))
        occupancies = np.stack([table[name].to_numpy() for name in found], axis=1)
        components = StateComponents(
            tuple(name.removeprefix(_PREFIX) for name in found), occupancies, np.array(edges)
        )
    names = tuple(table["name"].to_pylist()) if "name" in table.column_names else None
    facts = pd.DataFrame({name: table[name].to_numpy() for name in others}) if others else None
    return names, components, facts
