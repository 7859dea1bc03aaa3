"""A reconstruction as a folder.

    run.json            the record (``RunRecord``): method, settings, seed, data set, priors, machine, cost, status;
                        next to it queries, parts, pixel size, notes, decoder and findings. Written first as "running"
                        and last with the outcome, so that a killed run is recognised
    latents.npy posteriors.npy poses.star
    volumes/NNNNNN.mrc  volume of query particle NNNNNN
    model/              arrays of the decoder, for further volumes: NAME.npy, network weights together in
                        weights.safetensors
    classes/class-NNN.mrc   maps of the classes, for other programs
    findings/           findings of the run that are not in the model (``finding_store``)
    training/           final training state, for further training: the arrays of its checkpoint

Absent parts were not estimated. Model and findings are memory-mapped.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import ClassVolumes, Reconstruction, RunRecord
from cryobench.data.plain import read_plain
from cryobench.io.atomic import (
    check_free_space,
    read_array,
    read_json,
    remove_partial_files,
    write_array,
    write_json,
)
from cryobench.io.folders.finding_store import FOLDER, StoredFinding, read_findings, write_findings
from cryobench.io.folders.loose_files import describe_folder_without_run
from cryobench.io.folders.series_store import FOLDER as SERIES
from cryobench.io.folders.stored_arrays import StoredArrays, check_names, write_arrays
from cryobench.io.formats.mrc import MrcFolder, write_volume
from cryobench.io.formats.schemas import check_schema
from cryobench.io.programs.relion import read_pose_star, write_pose_star

SCHEMA = 2
"""Version of this layout. Older ones are refused with the command that repeats the run, newer ones too.
1: findings were guessed from arrays of the model, and the record had other entries."""

TRAINING = "training"
"""Folder of a run with its training state."""
CLASSES = "classes"
"""Folder of a run with the maps of its classes, one .mrc each, for other programs."""
ACCOUNT = "import.json"
"""File of an imported run: what was read and how."""
RECORD = "run.json"
"""The file that makes a folder a run."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Parts:
    """Shapes of the parts of a run."""

    latents: tuple[int, ...] | None = None
    posteriors: tuple[int, ...] | None = None
    poses: int | None = None
    volumes: tuple[int, ...] | None = None
    """Number and box size."""
    model: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_names(self.model)


@dataclass(frozen=True)
class _Layout:
    """Entries of run.json in addition to the record."""

    queries: tuple[int, ...]
    parts: _Parts
    pixel_size: float | None = None
    notes: tuple[str, ...] = ()
    decodes_by: str | None = None
    findings: tuple[StoredFinding, ...] = ()


def write_run_record(folder: Path, record: RunRecord) -> None:
    """Write only the record: of a started or failed run, or again of a saved one, whose parts stay described.

    A run that is "running" or "failed" has no parts.
    """
    path = Path(folder) / RECORD
    layout = _Layout((), _Parts())
    if record.status == "finished" and path.exists():
        layout = _parse(_Layout, _read_entries(folder), path)
    _write(folder, record, layout)


def read_run_record(folder: Path) -> RunRecord:
    """Record of a run, whether finished, failed or running.

    Raises
    ------
    FormatError
        If the folder or run.json is missing or damaged, or another version wrote it.
    """
    return _parse(RunRecord, _read_entries(folder), Path(folder) / RECORD)


def save_reconstruction(reconstruction: Reconstruction, folder: Path, *, pixel_size: float) -> None:
    """Write a reconstruction, decoding its volumes one at a time; the maps of its classes also as MRC files.

    Results of an earlier run in the folder are replaced, its scores and volume series removed. If writing is
    interrupted, run.json says "running".

    Parameters
    ----------
    reconstruction
        Must not be read from the same folder.
    folder
        Folder of the run.
    pixel_size
        Å per voxel of the volumes.

    Raises
    ------
    ValueError
        If the name of a model array cannot be a file name, or poses lack rotations or shifts.
    DiskFull
        If the volumes do not fit on the disk.
    """
    folder = Path(folder)
    check_names(reconstruction.model)
    volumes = reconstruction.volumes
    classes = reconstruction.find(ClassVolumes)
    needed = 0 if volumes is None else len(volumes) * (1024 + 4 * volumes.box_size**3)
    needed += 0 if classes is None else len(classes.volumes) * (1024 + 4 * classes.volumes.shape[-1] ** 3)
    if needed:
        check_free_space(folder, needed)
    write_run_record(folder, reconstruction.record.with_(status="running"))
    _remove_previous(folder)
    for name in ("latents", "posteriors"):
        values = getattr(reconstruction, name)
        if values is not None:
            write_array(folder / f"{name}.npy", values)
    if reconstruction.rotations is not None and reconstruction.shifts is not None:
        write_pose_star(folder / "poses.star", reconstruction.rotations, reconstruction.shifts)
    model = {name: np.asanyarray(values) for name, values in reconstruction.model.items()}
    write_arrays(folder / "model", model)
    if volumes is not None:
        for item, particle in enumerate(reconstruction.queries):
            write_volume(volume_path(folder, int(particle)), volumes.read(item), pixel_size)
    _write_classes(reconstruction, folder, pixel_size)
    layout = _Layout(
        queries=tuple(reconstruction.queries.tolist()),
        parts=_describe_parts(reconstruction),
        pixel_size=float(pixel_size),
        notes=reconstruction.notes,
        decodes_by=reconstruction.decodes_by,
        findings=tuple(write_findings(reconstruction.findings, model, folder)),
    )
    _write(folder, reconstruction.record, layout)


def replace_reconstruction(folder: Path, fresh: Path) -> None:
    """Replace a run with the finished run of the same method in ``fresh``; its scores and series are removed, other
    files stay.

    If it is interrupted, run.json says "running", and the same call completes it.
    """
    for name in ("scores", SERIES):
        shutil.rmtree(folder / name, ignore_errors=True)
    write_run_record(folder, read_run_record(fresh).with_(status="running"))
    for path in sorted(fresh.iterdir(), key=lambda path: path.name == RECORD):
        former = folder / path.name
        if former.is_dir():
            shutil.rmtree(former)
        path.replace(former)


def load_reconstruction(folder: Path) -> Reconstruction:
    """Open a run; volumes, model and findings are read on demand. A failed run has only its record.

    Raises
    ------
    FormatError
        If the folder is not a run, the run is not finished, or a part that run.json lists is missing or damaged.
    """
    folder = Path(folder).absolute()
    entries = _read_entries(folder)
    record = _parse(RunRecord, entries, folder / RECORD)
    if record.status == "running":
        raise FormatError(
            f"{folder} is not finished: its run is in progress or was interrupted. Run the same cryobench run command"
            " again."
        )
    layout = _parse(_Layout, entries, folder / RECORD)
    parts, queries = layout.parts, np.array(layout.queries, dtype=np.int64)
    rotations, shifts = read_pose_star(folder / "poses.star") if parts.poses is not None else (None, None)
    volumes = None if parts.volumes is None else _open_volumes(folder, queries, parts.volumes[1])
    model = StoredArrays(folder / "model", parts.model)
    try:
        return Reconstruction(
            queries=queries,
            volumes=volumes,
            latents=read_array(folder / "latents.npy", numbers=True) if parts.latents is not None else None,
            posteriors=read_array(folder / "posteriors.npy", numbers=True) if parts.posteriors is not None else None,
            rotations=rotations,
            shifts=shifts,
            model=model,
            decodes_by=layout.decodes_by,
            findings=read_findings(layout.findings, model, folder),
            notes=layout.notes,
            record=record,
            path=folder,
            # Voxel sizes of the files take precedence over run.json.
            pixel_size=None if volumes is None else (volumes.pixel_size or layout.pixel_size),
        )
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"{folder} is not a run: {error} {_remake(folder)}") from error


def _write(folder: Path, record: RunRecord, layout: _Layout) -> None:
    described = {name: value for name, value in asdict(layout).items() if value not in (None, ())}
    described["parts"] = {name: value for name, value in described["parts"].items() if value not in (None, ())}
    write_json(Path(folder) / RECORD, {"schema": SCHEMA, **record.to_json(), "queries": (), **described})


def _read_entries(folder: Path) -> dict[str, Any]:
    """All entries of run.json, including the common ones. FormatError as ``read_run_record``."""
    folder = Path(folder)
    path = folder / RECORD
    if not folder.is_dir():
        raise FormatError(f"{folder} does not exist or is not a folder, expected a run.")
    if not path.exists():
        raise FormatError(describe_folder_without_run(folder))
    try:
        entries = read_json(path)
    except FormatError as error:
        raise FormatError(f"{error} {_remake(folder)}") from error
    check_schema(entries, path, SCHEMA, "the record of a run", _remake(folder))
    missing = [name for name in ("method", "status", "queries", "parts") if name not in entries]
    if missing:
        raise FormatError(f"{path} is not the record of a run: it lacks {', '.join(missing)}. {_remake(folder)}")
    return entries


def _parse(kind: type[Value], entries: Mapping[str, Any], path: Path) -> Value:
    try:
        return read_plain(kind, entries)
    except ValueError as error:
        raise FormatError(f"{path} is not the record of a run: {error}. {_remake(path.parent)}") from error


def _describe_parts(reconstruction: Reconstruction) -> _Parts:
    latents, posteriors, volumes = reconstruction.latents, reconstruction.posteriors, reconstruction.volumes
    return _Parts(
        latents=None if latents is None else latents.shape,
        posteriors=None if posteriors is None else posteriors.shape,
        poses=None if reconstruction.rotations is None else len(reconstruction.rotations),
        volumes=None if volumes is None else (len(volumes), volumes.box_size),
        model=tuple(sorted(reconstruction.model)),
    )


def _write_classes(reconstruction: Reconstruction, folder: Path, pixel_size: float) -> None:
    """Write RUN/classes/class-NNN.mrc for every class, on the method's grid."""
    found = reconstruction.find(ClassVolumes)
    if found is None:
        return
    box_size = found.volumes.shape[-1]
    whole = box_size if reconstruction.volumes is None else reconstruction.volumes.box_size
    for number, volume in enumerate(found.volumes):
        write_volume(folder / CLASSES / f"class-{number:03d}.mrc", volume, pixel_size * whole / box_size)


def _remove_previous(folder: Path) -> None:
    remove_partial_files(folder)
    stale = [folder / "latents.npy", folder / "posteriors.npy", folder / "poses.star"]
    for path in [*stale, *(folder / "volumes").glob("*.mrc")]:
        path.unlink(missing_ok=True)
    for name in ("model", "scores", SERIES, FOLDER, TRAINING, CLASSES):
        if (folder / name).exists():
            shutil.rmtree(folder / name)


def volume_path(folder: Path, particle: int) -> Path:
    """File of the volume of a query particle."""
    return folder / "volumes" / f"{particle:06d}.mrc"


def _open_volumes(folder: Path, queries: np.ndarray, box_size: int) -> MrcFolder:
    paths = [volume_path(folder, int(particle)) for particle in queries]
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise FormatError(
            f"{missing[0]} is missing ({len(missing)} of {len(paths)} volumes are), but {folder / RECORD} lists it."
            f" {_remake(folder)}"
        )
    expected = 1024 + 4 * box_size**3
    for path in paths:
        if (size := path.stat().st_size) != expected:
            raise FormatError(
                f"{path} has {size:,} bytes, expected {expected:,}: a volume of {box_size} voxels a side."
                f" {_remake(folder)}"
            )
    return MrcFolder(paths)


def _remake(folder: Path) -> str:
    """Way out of a damaged run, as a sentence: it must be removed first, since a repeated run would find it."""
    return f"Copy the run again, or remove {folder} and run the method again."
