"""A reconstruction as a folder.

    run.json            method, version, settings, seed, data set, times, hardware, status; written first as "running"
                        and last with what it came to, so that a killed run is told apart
    latents.npy posteriors.npy poses.star
    volumes/NNNNNN.mrc  volume of query particle NNNNNN
    model/NAME.npy      what the method needs to decode further volumes

Parts that are absent were not estimated.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import Reconstruction
from cryobench.io.atomic import (
    canonical_json,
    check_free_space,
    read_array,
    read_json,
    remove_partial_files,
    write_array,
    write_json,
)
from cryobench.io.mrc import MrcFolder, write_volume
from cryobench.io.relion import read_pose_star, write_pose_star

SCHEMA = 1
"""Version of this layout. Older ones stay readable; a newer one is refused."""

_RECORD = "run.json"
_OWN = ("schema", "queries", "parts", "pixel_size")
"""Entries of run.json that belong to the layout, not to the record."""


def write_run_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write run.json alone: to mark a run as started (``status`` "running") or as failed (with ``error``)."""
    write_json(Path(folder) / _RECORD, {"schema": SCHEMA, "queries": [], "parts": {}, **record})


def read_run_record(folder: Path) -> dict[str, Any]:
    """What run.json says, whether the run is finished, failed or running.

    Raises
    ------
    FormatError
        If the folder or run.json is missing or damaged, or a newer version wrote it.
    """
    folder = Path(folder)
    path = folder / _RECORD
    if not folder.is_dir():
        raise FormatError(f"{folder} does not exist or is no folder, expected a run.")
    if not path.exists():
        raise FormatError(f"{folder} is not a run: it has no {_RECORD}.")
    record = read_json(path)
    schema = record.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise FormatError(f"{path} is not the record of a run: schema is {schema!r}, expected a number.")
    if schema > SCHEMA:
        raise FormatError(
            f"{path} was written by a newer cryobench (schema {schema}; this version reads up to {SCHEMA})."
            " Upgrade: pip install -U cryobench."
        )
    return record


def save_reconstruction(reconstruction: Reconstruction, folder: Path, *, pixel_size: float) -> None:
    """Write a reconstruction, decoding its volumes one at a time.

    What an earlier run left in the folder is replaced, its scores are removed. If the writing is interrupted,
    run.json says "running".

    Parameters
    ----------
    reconstruction
        ``record["status"]`` is "finished" unless it says otherwise.
    folder
        The run.
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
    for name in reconstruction.model:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
            raise ValueError(f"the model array {name!r} needs a name of letters, digits, '_', '-' and '.'.")
    if (reconstruction.rotations is None) != (reconstruction.shifts is None):
        raise ValueError("a pose is a rotation and a shift: give both rotations and shifts, or neither.")
    volumes = reconstruction.volumes
    if volumes is not None:
        check_free_space(folder, len(volumes) * (1024 + 4 * volumes.box_size**3))
    header = {
        "schema": SCHEMA,
        **{key: value for key, value in reconstruction.record.items() if key not in _OWN},
        "pixel_size": float(pixel_size),
        "queries": reconstruction.queries.tolist(),
        "parts": _describe_parts(reconstruction),
    }
    write_json(folder / _RECORD, {**header, "status": "running"})
    _remove_previous(folder)
    for name in ("latents", "posteriors"):
        values = getattr(reconstruction, name)
        if values is not None:
            write_array(folder / f"{name}.npy", values)
    if reconstruction.rotations is not None and reconstruction.shifts is not None:
        write_pose_star(folder / "poses.star", reconstruction.rotations, reconstruction.shifts)
    for name, values in reconstruction.model.items():
        write_array(folder / "model" / f"{name}.npy", np.asarray(values))
    if volumes is not None:
        for item, particle in enumerate(reconstruction.queries):
            write_volume(_volume_path(folder, int(particle)), volumes.read(item), pixel_size)
    write_json(folder / _RECORD, {**header, "status": reconstruction.record.get("status", "finished")})


def load_reconstruction(folder: Path) -> Reconstruction:
    """Open a run; volumes are read when asked for. Of a failed run there is the record alone.

    Raises
    ------
    FormatError
        If the folder is no run, the run is not finished, or a part that run.json lists is missing or damaged.
    """
    folder = Path(folder).absolute()
    record = read_run_record(folder)
    if record.get("status") == "running":
        raise FormatError(
            f"{folder} is not finished: its run is under way or was stopped. Run the same cryobench run command"
            " again."
        )
    parts = record.get("parts", {})
    queries = np.array(record.get("queries", []), dtype=np.int64)
    rotations, shifts = read_pose_star(folder / "poses.star") if "poses" in parts else (None, None)
    volumes = _open_volumes(folder, queries) if "volumes" in parts else None
    # What the files say of their voxels goes before what the record says.
    pixel_size = None if volumes is None else (volumes.pixel_size or record.get("pixel_size") or None)
    latents = read_array(folder / "latents.npy", numbers=True) if "latents" in parts else None
    posteriors = read_array(folder / "posteriors.npy", numbers=True) if "posteriors" in parts else None
    model = {name: read_array(folder / "model" / f"{name}.npy") for name in parts.get("model", [])}
    try:
        return Reconstruction(
            queries=queries,
            volumes=volumes,
            latents=latents,
            posteriors=posteriors,
            rotations=rotations,
            shifts=shifts,
            model=model,
            record={key: value for key, value in record.items() if key not in _OWN},
            path=folder,
            pixel_size=pixel_size,
        )
    except ValueError as error:
        raise FormatError(
            f"{folder} holds parts that are no reconstruction: {error} Run the method again."
        ) from error


def hash_run(reconstruction: Reconstruction) -> dict[str, str]:
    """Digest of each part of a run that was read from a folder: of its files, byte by byte, and of its record.

    Equal digests mean equal content; a part that is not there has the digest of nothing. ValueError for a
    reconstruction that does not lie in a folder.
    """
    if reconstruction.path is None:
        raise ValueError(f"{reconstruction.name} does not lie in a folder: save it first.")
    folder = Path(reconstruction.path)
    files = {
        "volumes": [_volume_path(folder, int(particle)) for particle in reconstruction.queries]
        if reconstruction.volumes is not None
        else [],
        "latents": [folder / "latents.npy"] if reconstruction.latents is not None else [],
        "posteriors": [folder / "posteriors.npy"] if reconstruction.posteriors is not None else [],
        "poses": [folder / "poses.star"] if reconstruction.rotations is not None else [],
        "decoder": [folder / "model" / f"{name}.npy" for name in sorted(reconstruction.model)],
    }
    headers = {
        "volumes": {"queries": reconstruction.queries, "pixel_size": reconstruction.pixel_size},
        "decoder": {name: reconstruction.record.get(name) for name in ("method", "settings")},
    }
    found = {name: _hash_files(paths, headers.get(name, {})) for name, paths in files.items()}
    return {**found, "record": _hash_files([], reconstruction.record)}


def _hash_files(paths: Sequence[Path], header: Mapping[str, Any]) -> str:
    digest = hashlib.blake2b(canonical_json(header), digest_size=20)
    for path in paths:
        digest.update(path.name.encode() + path.stat().st_size.to_bytes(8, "little"))
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _describe_parts(reconstruction: Reconstruction) -> dict[str, Any]:
    """Which parts there are, with their shapes."""
    parts: dict[str, Any] = {}
    for name in ("latents", "posteriors"):
        values = getattr(reconstruction, name)
        if values is not None:
            parts[name] = list(values.shape)
    if reconstruction.rotations is not None and reconstruction.shifts is not None:
        parts["poses"] = len(reconstruction.rotations)
    if reconstruction.volumes is not None:
        parts["volumes"] = [len(reconstruction.volumes), reconstruction.volumes.box_size]
    if reconstruction.model:
        parts["model"] = sorted(reconstruction.model)
    return parts


def _remove_previous(folder: Path) -> None:
    remove_partial_files(folder)
    stale = [folder / "latents.npy", folder / "posteriors.npy", folder / "poses.star"]
    for path in [*stale, *(folder / "volumes").glob("*.mrc"), *(folder / "model").glob("*.npy")]:
        path.unlink(missing_ok=True)
    if (folder / "scores").exists():
        shutil.rmtree(folder / "scores")


def _volume_path(folder: Path, particle: int) -> Path:
    return folder / "volumes" / f"{particle:06d}.mrc"


def _open_volumes(folder: Path, queries: np.ndarray) -> MrcFolder:
    paths = [_volume_path(folder, int(particle)) for particle in queries]
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise FormatError(
            f"{missing[0]} is missing ({len(missing)} of {len(paths)} volumes are), but {folder / _RECORD} lists it."
            " Copy the run again, or run the method again."
        )
    return MrcFolder(paths)
