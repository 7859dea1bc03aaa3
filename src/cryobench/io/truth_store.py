"""The truth about a data set, apart from what methods may see.

truth/particles.parquet   one row per particle: its state, true pose and collective variables; unit and period
                          of a collective variable are in the metadata of its column
truth/embedding.npy       (n, d) coordinates in which distance means difference in conformation
truth/volumes/NNN.mrc     volume of each state; or, where each of many states is a frame of a trajectory:
truth/volumes.json, topology.cif, trajectory/NNN.xtc   see ``trajectory_volumes``
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cryobench._errors import FormatError
from cryobench.data import CollectiveVariable, GroundTruth, VolumeSource
from cryobench.io.atomic import atomic_write, read_array, write_array
from cryobench.io.mrc import MrcFolder, write_volume
from cryobench.io.trajectory_volumes import TrajectoryVolumes, has_trajectory, list_trajectory_files

_ROTATION_COLUMNS = [f"rotation_{row}{column}" for row in range(3) for column in range(3)]
_SHIFT_COLUMNS = ["shift_x", "shift_y"]


def write_truth(folder: Path, truth: GroundTruth, *, pixel_size: float, write_volumes: bool) -> list[str]:
    """Write DATASET/truth; with ``write_volumes`` False its volumes lie there already. Files written, by path."""
    _write_truth_table(folder / "truth" / "particles.parquet", truth)
    files = ["truth/particles.parquet"]
    if truth.embedding is not None:
        write_array(folder / "truth" / "embedding.npy", truth.embedding)
        files.append("truth/embedding.npy")
    else:
        (folder / "truth" / "embedding.npy").unlink(missing_ok=True)
    width = max(3, len(str(len(truth.volumes) - 1)))
    if write_volumes:
        (folder / "truth" / "volumes.json").unlink(missing_ok=True)
        names = [f"{state:0{width}d}.mrc" for state in range(len(truth.volumes))]
        for state, name in enumerate(names):
            write_volume(folder / "truth" / "volumes" / name, truth.volumes.read(state), pixel_size)
        for stale in (folder / "truth" / "volumes").glob("*.mrc"):
            if stale.name not in names:
                stale.unlink()
    elif has_trajectory(folder):
        return [*files, *list_trajectory_files(folder)]
    written = MrcFolder.from_folder(folder / "truth" / "volumes")
    return [*files, *(f"truth/volumes/{path.name}" for path in written.paths)]


def open_volumes(folder: Path) -> VolumeSource:
    """The true volumes that lie in a data set: files, or rendered from its trajectory. FormatError if damaged."""
    if has_trajectory(folder):
        return TrajectoryVolumes(folder)
    return MrcFolder.from_folder(folder / "truth" / "volumes")


def _write_truth_table(path: Path, truth: GroundTruth) -> None:
    """One row per particle; unit and period of a collective variable are in its column's metadata."""
    columns: dict[str, tuple[np.ndarray, dict[str, str]]] = {"state": (truth.states, {})}
    flat = truth.rotations.astype(np.float64).reshape(-1, 9)
    columns |= {name: (flat[:, i], {}) for i, name in enumerate(_ROTATION_COLUMNS)}
    columns |= {name: (truth.shifts[:, i].astype(np.float64), {"unit": "Å"}) for i, name in enumerate(_SHIFT_COLUMNS)}
    for name, variable in truth.variables.items():
        if name in columns:
            raise ValueError(f"a collective variable cannot be named {name!r}: that column is taken.")
        period = "" if variable.period is None else repr(float(variable.period))
        columns[name] = (variable.values, {"kind": "collective variable", "unit": variable.unit, "period": period})
    schema = pa.schema(
        [pa.field(name, pa.array(values[:0]).type, metadata=m) for name, (values, m) in columns.items()]
    )
    table = pa.table([pa.array(values) for values, _ in columns.values()], schema=schema)
    with atomic_write(path, bytes_needed=table.nbytes) as file:
        pq.write_table(table, file)


def load_truth(folder: Path, n: int) -> GroundTruth:
    """Truth about the n particles of the data set in ``folder``. FormatError if a file is missing or damaged."""
    path = folder / "truth" / "particles.parquet"
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise FormatError(f"{path} does not exist.") from None
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{path} cannot be read as a Parquet table ({error}). Copy the data set again.") from error
    needed = ["state", *_ROTATION_COLUMNS, *_SHIFT_COLUMNS]
    missing = [name for name in needed if name not in table.column_names]
    if missing or len(table) != n:
        raise FormatError(
            f"{path} has {len(table)} rows and lacks {', '.join(missing) or 'no column'}; {n} rows are needed."
        )

    def stacked(names: list[str]) -> np.ndarray:
        return np.stack([table[name].to_numpy() for name in names], axis=1)

    variables = {}
    for field in table.schema:
        notes = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
        if notes.get("kind") == "collective variable":
            period = float(notes["period"]) if notes["period"] else None
            variables[field.name] = CollectiveVariable(table[field.name].to_numpy(), notes["unit"], period)
    embedding = folder / "truth" / "embedding.npy"
    return GroundTruth(
        states=table["state"].to_numpy(),
        volumes=open_volumes(folder),
        rotations=stacked(_ROTATION_COLUMNS).reshape(-1, 3, 3),
        shifts=stacked(_SHIFT_COLUMNS),
        embedding=read_array(embedding) if embedding.exists() else None,
        variables=variables,
    )
