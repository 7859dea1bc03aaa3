"""The truth of a data set, stored apart from the input of methods.

truth/particles.parquet   one row per particle: its state, true pose and collective variables; unit and period
                          of a collective variable are in the metadata of its column
truth/states.parquet      one row per state, see ``state_table``
truth/ctf.parquet         true CTF parameters, one row per particle, if methods are given inexact ones
truth/embedding.npy       (n, d) coordinates in which distance means difference in conformation
truth/volumes/NNN.mrc     volume of each state; or, if each of many states is a frame of a trajectory:
truth/volumes.json, topology.cif, trajectory/NNN.xtc   see ``trajectory_volumes``

Unknown parts are absent: pose columns, volumes, the embedding; the state of an unlabelled particle is −1.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa

from cryobench._errors import FormatError
from cryobench.data import CollectiveVariable, GroundTruth, VolumeSource
from cryobench.imaging.ctf import Ctf
from cryobench.io.atomic import read_array, write_array
from cryobench.io.folders.state_table import read_state_table, write_state_table
from cryobench.io.folders.trajectory_volumes import TrajectoryVolumes, has_trajectory, list_trajectory_files
from cryobench.io.formats.mrc import MrcFolder, write_volume
from cryobench.io.formats.parquet_table import read_parquet, write_parquet

_ROTATION_COLUMNS = [f"rotation_{row}{column}" for row in range(3) for column in range(3)]
_SHIFT_COLUMNS = ["shift_x", "shift_y"]


def write_truth(folder: Path, truth: GroundTruth, *, pixel_size: float) -> list[str]:
    """Write DATASET/truth, including volumes unless already there. Paths of its files relative to the data set."""
    for name in ("embedding.npy", "states.parquet", "ctf.parquet"):
        (folder / "truth" / name).unlink(missing_ok=True)
    _write_truth_table(folder / "truth" / "particles.parquet", truth)
    files = ["truth/particles.parquet"]
    if truth.embedding is not None:
        write_array(folder / "truth" / "embedding.npy", truth.embedding)
        files.append("truth/embedding.npy")
    files += write_state_table(folder / "truth", truth)
    if truth.ctf is not None:
        columns = {field.name: getattr(truth.ctf, field.name) for field in fields(truth.ctf)}
        write_parquet(folder / "truth" / "ctf.parquet", pa.table(columns))
        files.append("truth/ctf.parquet")
    if truth.volumes is None:
        return files
    if isinstance(truth.volumes, TrajectoryVolumes) and truth.volumes.folder == folder.absolute():
        return [*files, *list_trajectory_files(folder)]
    home = (folder / "truth" / "volumes").absolute()
    if not (isinstance(truth.volumes, MrcFolder) and {path.parent for path in truth.volumes.paths} == {home}):
        _write_volumes(folder, truth.volumes, pixel_size)
    written = MrcFolder.from_folder(home)
    return [*files, *(f"truth/volumes/{path.name}" for path in written.paths)]


def _write_volumes(folder: Path, volumes: VolumeSource, pixel_size: float) -> None:
    (folder / "truth" / "volumes.json").unlink(missing_ok=True)
    width = max(3, len(str(len(volumes) - 1)))
    names = [f"{state:0{width}d}.mrc" for state in range(len(volumes))]
    for state, name in enumerate(names):
        write_volume(folder / "truth" / "volumes" / name, volumes.read(state), pixel_size)
    for stale in (folder / "truth" / "volumes").glob("*.mrc"):
        if stale.name not in names:
            stale.unlink()


def open_volumes(folder: Path) -> VolumeSource | None:
    """True volumes of a data set, if any: files, or rendered from its trajectory. FormatError if damaged."""
    if has_trajectory(folder):
        return TrajectoryVolumes(folder)
    if not (folder / "truth" / "volumes").is_dir():
        return None
    return MrcFolder.from_folder(folder / "truth" / "volumes")


def _write_truth_table(path: Path, truth: GroundTruth) -> None:
    """One row per particle; unit and period of a collective variable are in its column's metadata."""
    columns: dict[str, tuple[np.ndarray, dict[str, str]]] = {"state": (truth.states, {})}
    if truth.rotations is not None and truth.shifts is not None:
        flat, shifts = truth.rotations.astype(np.float64).reshape(-1, 9), truth.shifts.astype(np.float64)
        columns |= {name: (flat[:, i], {}) for i, name in enumerate(_ROTATION_COLUMNS)}
        columns |= {name: (shifts[:, i], {"unit": "Å"}) for i, name in enumerate(_SHIFT_COLUMNS)}
    for name, variable in truth.variables.items():
        if name in columns:
            raise ValueError(f"a collective variable cannot be named {name!r}: that column is taken.")
        period = "" if variable.period is None else repr(float(variable.period))
        columns[name] = (variable.values, {"kind": "collective variable", "unit": variable.unit, "period": period})
    schema = pa.schema(
        [pa.field(name, pa.array(values[:0]).type, metadata=m) for name, (values, m) in columns.items()]
    )
    table = pa.table([pa.array(values) for values, _ in columns.values()], schema=schema)
    write_parquet(path, table)


def load_truth(folder: Path, n: int) -> GroundTruth:
    """Truth about the n particles of the data set in ``folder``. FormatError if a file is missing or damaged."""
    path = folder / "truth" / "particles.parquet"
    table = read_parquet(path, "Copy the data set again.")
    pose_columns = [*_ROTATION_COLUMNS, *_SHIFT_COLUMNS]
    with_poses = any(name in table.column_names for name in pose_columns)
    needed = ["state", *(pose_columns if with_poses else [])]
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
    names, components, facts = read_state_table(folder / "truth")
    return GroundTruth(
        states=table["state"].to_numpy(),
        volumes=open_volumes(folder),
        rotations=stacked(_ROTATION_COLUMNS).reshape(-1, 3, 3) if with_poses else None,
        shifts=stacked(_SHIFT_COLUMNS) if with_poses else None,
        embedding=read_array(embedding, numbers=True) if embedding.exists() else None,
        variables=variables,
        components=components,
        state_names=names,
        state_facts=facts,
        ctf=_load_ctf(folder / "truth" / "ctf.parquet"),
    )


def _load_ctf(path: Path) -> Ctf | None:
    if not path.exists():
        return None
    table = read_parquet(path, "Copy the data set again.")
    try:
        return Ctf(**{name: table[name].to_numpy() for name in table.column_names})
    except TypeError as error:
        raise FormatError(f"{path} cannot be read as a table of CTFs ({error}). Copy the data set again.") from error
