"""``import_results``: output of an importer as a run in a folder, with volumes decoded where the program wrote none.

The folder is that of any run, plus ``import.json``: every file that was read, with its hash, everything that was
converted or assumed, and everything that was not found.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import Dataset, Priors, Reconstruction, RunRecord, VolumeSource
from cryobench.importers.importer import Found
from cryobench.importers.maps import ForeignMaps, judge_maps
from cryobench.importers.registry import get_importer, recognise
from cryobench.io.atomic import read_json, remove_partial_files, to_plain, write_json
from cryobench.io.digest import hash_files
from cryobench.io.formats.mrc import MrcFolder, write_volume
from cryobench.io.lock import lock_folder
from cryobench.io.store import (
    ACCOUNT,
    load_reconstruction,
    read_run_record,
    save_reconstruction,
    write_run_record,
)
from cryobench.reconstruction.decoders import DecodedVolumes, latent_rows, open_decoder
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.statistics import find_masks, split_halves

_WORK, _RECORD = "checkpoint", "run.json"
VOLUMES_BY = ("found", "kernel-regression", "none")


def import_results(
    tool: str,
    path: str | Path | None,
    dataset: Dataset,
    folder: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    volumes_by: str = "found",
    context: RunContext | None = None,
) -> Reconstruction:
    """Make a run from another program's results on the particles of a data set; a repeated call loads the run.

    Parameters
    ----------
    tool
        Name of an importer, or "auto" to recognise it.
    path
        Folder of the program's job; None for importer "files".
    folder
        New folder of the run. If interrupted while decoding volumes, the same call resumes with the next one.
    options
        Options of the importer.
    volumes_by
        "found": the program's own volumes, or its model; "kernel-regression": from the images near each latent;
        "none".
    context
        Device, memory, workers and progress of decoding.

    Raises
    ------
    FormatError
        If a file is missing, damaged, or its rows cannot match the particles; or the folder holds another run.
    ValueError
        If options conflict, or no volumes can be made.
    """
    context, target = context or RunContext(), Path(folder)
    if target.exists() and not target.is_dir():
        raise FormatError(f"{target} is a file, expected a new folder for the run.")
    found, account = examine(tool, path, dataset, options=options, volumes_by=volumes_by, context=context)
    if _is_here(target, account):
        # A process killed after writing the run has left its decoded volumes.
        shutil.rmtree(target / _WORK, ignore_errors=True)
        context.progress.note(f"{target}: already finished, nothing was imported.")
        return load_reconstruction(target)
    with lock_folder(target, doing=f"import {tool}"):
        write_json(target / ACCOUNT, account)
        (target / _WORK).mkdir(exist_ok=True)
        remove_partial_files(target)
        record = _make_record(found, dataset)
        write_run_record(target, record.with_(status="running"))
        result = _reconstruct(found, dataset, record, volumes_by, context)
        if result.volumes is not None and not isinstance(result.volumes, ForeignMaps):
            result = replace(result, volumes=_decode(result.volumes, dataset, target / _WORK, context))
        origin = "files" if isinstance(result.volumes, ForeignMaps) else (result.decodes_by or "none")
        priors = replace(record.priors, volumes="none" if result.volumes is None else origin)
        result = replace(result, record=record.with_(priors=priors))
        save_reconstruction(result, target, pixel_size=dataset.particles.pixel_size)
        shutil.rmtree(target / _WORK, ignore_errors=True)
    return load_reconstruction(target)


def examine(
    tool: str,
    path: str | Path | None,
    dataset: Dataset,
    *,
    options: Mapping[str, Any] | None = None,
    volumes_by: str = "found",
    context: RunContext | None = None,
) -> tuple[Found, dict[str, Any]]:
    """Results that an import would use, and its account (import.json); nothing is written. Raises as the import."""
    context = context or RunContext()
    if volumes_by not in VOLUMES_BY:
        raise ValueError(f"--volumes-by is {', '.join(VOLUMES_BY)}, got {volumes_by!r}.")
    source = None if path is None else Path(path)
    sign = None
    if tool == "auto":
        if source is None:
            raise ValueError("import auto needs the folder of a job: cryobench import auto FOLDER.")
        tool, sign = recognise(source)
    found = get_importer(tool).open(source, options or {}).read(dataset)
    if volumes_by != "found":
        found = replace(found, volumes=None, model={}, decodes_by=None)
    if volumes_by == "kernel-regression" and found.latents is None:
        raise ValueError("--volumes-by kernel-regression needs latents, and none were found.")
    _check_parts(found, dataset, volumes_by)
    notes = list(found.notes)
    if isinstance(found.volumes, ForeignMaps) and found.poses != "estimated":
        notes += judge_maps(found.volumes, dataset.particles, context.progress)
    found = replace(found, notes=tuple(notes))
    digests = hash_files(found.files, "hashing files", context.progress)
    account = {
        "tool": found.tool,
        "importer": tool,
        **({} if sign is None else {"recognised_by": sign}),
        "cryobench": version("cryobench"),
        "dataset": dataset.card.get("sha256") or dataset.name,
        "options": to_plain({name: value for name, value in (options or {}).items() if value is not None}),
        "volumes_by": volumes_by,
        "files": {str(file.absolute()): digests[file] for file in found.files},
        "found": _describe(found),
        "notes": notes,
        "missing": list(found.missing),
    }
    return found, account


def _check_parts(found: Found, dataset: Dataset, volumes_by: str) -> None:
    """Raise FormatError if the results cannot be of these particles, before anything is written."""
    parts = ("volumes", "latents", "posteriors", "rotations", "shifts")
    try:
        Reconstruction(dataset.queries, **{name: getattr(found, name) for name in parts})
    except ValueError as error:
        names = ", ".join(str(file) for file in found.files if file.suffix not in (".mrc", ".map"))
        raise FormatError(f"results cannot be used, in {names}: {error}") from error
    if volumes_by != "kernel-regression" and (found.volumes is not None or found.decodes_by is None):
        return
    assert found.latents is not None
    left = dataset.queries[~np.isfinite(found.latents[dataset.queries]).all(axis=1)]
    if len(left):
        raise FormatError(
            f"query particle {left[0]} was left out by the program ({len(left)} of {len(dataset.queries)} query "
            "particles): it has no latent and so no volume. Import with --volumes-by none, or choose other query "
            "particles for the data set."
        )


def _describe(found: Found) -> dict[str, Any]:
    parts: dict[str, Any] = {
        name: list(values.shape)
        for name in ("latents", "posteriors", "rotations")
        if (values := getattr(found, name)) is not None
    }
    if found.volumes is not None:
        parts["volumes"] = len(found.volumes)
    return {**parts, **({} if found.decodes_by is None else {"decoder": found.decodes_by})}


def _is_here(folder: Path, account: Mapping[str, Any]) -> bool:
    """Whether the folder holds this import, finished. FormatError if it holds anything except its beginning."""
    if not folder.exists() or all(path.name.startswith(".") for path in folder.iterdir()):
        return False
    if not (folder / ACCOUNT).exists() or read_json(folder / ACCOUNT) != to_plain(account):
        raise FormatError(
            f"{folder} exists and is not this import (same files and options): choose another folder, or remove "
            "it first."
        )
    return (folder / _RECORD).exists() and read_run_record(folder).status == "finished"


def _make_record(found: Found, dataset: Dataset) -> RunRecord:
    box = {} if found.box is None else {"box": found.box}
    is_command = bool(sys.argv) and sys.argv[0].endswith("cryobench")
    return RunRecord(
        method=found.tool,
        settings={**found.settings, **box},
        dataset=dataset.identity,
        priors=Priors(poses=found.poses, mask="unknown", atomic_model=found.atomic_model),
        version=found.tool,
        command=shlex.join(["cryobench", *sys.argv[1:]]) if is_command else None,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _reconstruct(
    found: Found, dataset: Dataset, record: RunRecord, volumes_by: str, context: RunContext
) -> Reconstruction:
    """The parts as a reconstruction, with the source of its volumes."""
    result = Reconstruction(
        dataset.queries,
        found.volumes,
        latents=found.latents,
        posteriors=found.posteriors,
        rotations=found.rotations,
        shifts=found.shifts,
        model=found.model,
        decodes_by=found.decodes_by,
        notes=(*found.notes, *(f"{each}." for each in found.missing)),
        record=record,
    )
    if volumes_by == "kernel-regression":
        result = replace(result, model=_make_kernel_model(dataset, context), decodes_by="kernel-regression")
    if result.volumes is not None or result.decodes_by is None:
        return result
    rows = latent_rows(result)[dataset.queries]
    return replace(result, volumes=DecodedVolumes(open_decoder(result, dataset.particles, context), rows))


def _make_kernel_model(dataset: Dataset, context: RunContext) -> dict[str, np.ndarray]:
    """Arrays for kernel regression in addition to latents: noise of the images, half-sets, and a mask."""
    particles = dataset.particles
    passes = Passes(particles, context.compute, progress=context.progress)
    mask, _, _ = find_masks(particles)
    return {
        "noise": np.asarray(passes.mean_power, dtype=np.float32),
        "half_sets": split_halves(len(particles), context.seed),
        "mask": np.asarray(mask, dtype=np.float32),
    }


def _decode(volumes: VolumeSource, dataset: Dataset, folder: Path, context: RunContext) -> VolumeSource:
    """Volumes decoded into files of a folder, except those that an interrupted import left there."""
    paths = [folder / "volumes" / f"{index:06d}.mrc" for index in range(len(volumes))]
    with context.progress.task("decoding volumes", total=len(paths)) as task:
        for index, path in enumerate(paths):
            if not path.exists():
                write_volume(path, volumes.read(index), dataset.particles.pixel_size)
            task.advance()
    return MrcFolder(paths)
