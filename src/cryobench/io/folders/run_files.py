"""Files of a run: those of each part, digests of their content, and loose files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryobench.data import Reconstruction
from cryobench.io.atomic import canonical_json
from cryobench.io.folders.finding_store import FOLDER
from cryobench.io.folders.loose_files import list_loose_files
from cryobench.io.folders.run_store import ACCOUNT, CLASSES, RECORD, TRAINING, volume_path
from cryobench.io.folders.series_store import FOLDER as SERIES
from cryobench.io.folders.stored_arrays import find_files

_OWN_FOLDERS = ("model", FOLDER, TRAINING, SERIES, CLASSES, "scores", "checkpoint")
"""Folders of a run that commands write as a whole."""


def find_loose_files(reconstruction: Reconstruction) -> list[Path]:
    """Sorted files in the folder of a run that neither its run.json names nor any command writes there.

    ValueError for a reconstruction that is not in a folder.
    """
    files = _list_files(reconstruction)
    folder = Path(str(reconstruction.path))
    own = [folder / name for name in (RECORD, ACCOUNT)]
    own += [path for paths in files.values() for path in paths]
    return list_loose_files(folder, own, _OWN_FOLDERS)


def hash_run(reconstruction: Reconstruction) -> dict[str, str]:
    """Digest of each part of a run read from a folder: of its files, byte by byte, and of its record.

    Equal digests mean equal content; a missing part has the digest of no files. "record" covers the run's identity,
    "cost" its time, memory and machine. ValueError for a reconstruction that is not in a folder.
    """
    record, files = reconstruction.record.to_json(), _list_files(reconstruction)
    cost = {name: record.pop(name, {}) for name in ("cost", "machine", "started", "software")}
    headers = {
        "volumes": {"queries": reconstruction.queries, "pixel_size": reconstruction.pixel_size},
        "decoder": {"decodes_by": reconstruction.decodes_by, "settings": reconstruction.record.settings},
    }
    found = {name: _hash_files(paths, headers.get(name, {})) for name, paths in files.items()}
    return {**found, "record": _hash_files([], record), "cost": _hash_files([], cost)}


def _list_files(reconstruction: Reconstruction) -> dict[str, list[Path]]:
    """Files of each part of a run in a folder; none for a missing part."""
    if reconstruction.path is None:
        raise ValueError(f"{reconstruction.name} is not in a folder: save it first.")
    folder = Path(reconstruction.path)
    return {
        "volumes": [volume_path(folder, int(particle)) for particle in reconstruction.queries]
        if reconstruction.volumes is not None
        else [],
        "latents": [folder / "latents.npy"] if reconstruction.latents is not None else [],
        "posteriors": [folder / "posteriors.npy"] if reconstruction.posteriors is not None else [],
        "poses": [folder / "poses.star"] if reconstruction.rotations is not None else [],
        "decoder": find_files(folder / "model", reconstruction.model),
    }


def _hash_files(paths: Sequence[Path], header: Mapping[str, Any]) -> str:
    digest = hashlib.blake2b(canonical_json(header), digest_size=20)
    for path in paths:
        digest.update(path.name.encode() + path.stat().st_size.to_bytes(8, "little"))
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
