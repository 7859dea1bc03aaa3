"""One method on one data set: one folder, with settings, seed, cost and outcome on record."""

import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from cryobench._errors import FormatError, UnknownName
from cryobench._progress import Progress, Silent
from cryobench.data import Dataset, Reconstruction
from cryobench.experiment.cluster import check_spread, open_workers
from cryobench.experiment.resources import Meter, choose_device, describe_hardware
from cryobench.io.atomic import remove_partial_files, write_json
from cryobench.io.store import load_reconstruction, read_run_record, save_reconstruction, write_run_record
from cryobench.methods import Control, Method, get_method
from cryobench.methods.method import Workers

RECORD = "run.json"


def run(
    method: str,
    dataset: Dataset,
    folder: str | Path,
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstruct a data set with a method and keep everything about it in a folder.

    Repeating a call that finished loads its result; repeating one that was cut off goes on from its checkpoint.

    Parameters
    ----------
    method
        Name, as ``cryobench list methods`` shows.
    dataset
        Only its particles are handed to the method, unless the method is a control.
    folder
        RUN folder: new, or of the same call.
    seed
        Of every random choice of the method.
    settings
        Settings that differ from the method's defaults, by name.
    device
        "cpu", "cuda" or "auto".
    workers
        1: in this process, on all its threads. More: the particles are spread over that many Dask worker processes
        of one thread, which end with the run. The result is the same to rounding.
    scheduler
        Instead, the address of a Dask scheduler whose workers can read the data set under the same paths.
    progress
        Shows how far it is.

    Raises
    ------
    UnknownName
        No such method or setting.
    ValueError
        A setting out of range, data the method cannot use, or workers for a method that does not spread. In the
        first two cases the folder records the failure.
    OSError
        No scheduler answers.
    FormatError
        The folder holds a run of another call.
    """
    chosen = get_method(method)
    built = build_method(chosen, settings or {})
    check_spread(chosen, workers, scheduler)
    place = choose_device(device)
    target = Path(folder)
    call = {
        "method": method,
        "settings": built.settings.model_dump(mode="json"),
        "seed": seed,
        "dataset": {
            "name": dataset.name,
            "path": None if dataset.path is None else str(dataset.path.resolve()),
            "sha256": dataset.card.get("sha256"),
        },
    }
    previous = _previous(target, call)
    if previous == "finished":
        return load_reconstruction(target)
    if isinstance(built, Control) and (missing := built.explain_missing(dataset.truth)) is not None:
        raise ValueError(f"{method} is a control: it {missing} ({dataset.name}).")
    checkpoint = target / "checkpoint"
    checkpoint.mkdir(parents=True, exist_ok=True)
    remove_partial_files(target)
    record = {
        **call,
        "version": version("cryobench"),
        "command": " ".join(sys.argv) if sys.argv and sys.argv[0].endswith("cryobench") else None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": describe_hardware(place),
        "workers": workers,
        "scheduler": scheduler,
        "resumed": previous == "unfinished",
    }
    write_run_record(target, {**record, "status": "running"})
    meter = Meter(place)
    try:
        with open_workers(workers, scheduler) as client, meter:
            result = _reconstruct(built, dataset, seed, place, checkpoint, progress or Silent(), client)
            result = result.with_record(**record)
            save_reconstruction(result, target, pixel_size=dataset.particles.pixel_size)
    except Exception as error:
        failure = {"status": "failed", "error": f"{type(error).__name__}: {error}", **meter.readings()}
        write_run_record(target, {**record, **failure})
        raise
    write_json(target / RECORD, {**read_run_record(target), **meter.readings()})
    shutil.rmtree(checkpoint)
    return load_reconstruction(target)


def build_method(chosen: type[Method], changes: Mapping[str, Any]) -> Method:
    """The method with its default settings, some changed. UnknownName or ValueError say which is wrong."""
    fields = chosen.Settings.model_fields
    for name in changes:
        if name not in fields:
            raise UnknownName(f"setting of {chosen.name}", name, fields)
    try:
        return chosen(chosen.Settings(**changes))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "settings"
        raise ValueError(f"setting {name} cannot be {first['input']!r}: {first['msg'].lower()}.") from error


def _previous(folder: Path, call: Mapping[str, Any]) -> Literal["none", "finished", "unfinished"]:
    """What a folder holds of this call. FormatError if it holds something else."""
    if not folder.exists():
        return "none"
    if not (folder / RECORD).exists():
        if folder.is_dir() and not any(folder.iterdir()):
            return "none"
        raise FormatError(f"{folder} exists and is no run of cryobench: choose another folder.")
    found = read_run_record(folder)
    differing = sorted(key for key in call if found.get(key) != call[key])
    if differing:
        raise FormatError(
            f"{folder} holds another run ({found.get('method')}, {found.get('status')}); they differ in "
            f"{', '.join(differing)}. Nothing was changed: choose another folder, or remove this one first."
        )
    return "finished" if found.get("status") == "finished" else "unfinished"


def _reconstruct(
    method: Method,
    dataset: Dataset,
    seed: int,
    device: str,
    checkpoint: Path,
    progress: Progress,
    workers: Workers | None,
) -> Reconstruction:
    """Hand the particles to a method; the truth goes to controls alone."""
    if isinstance(method, Control) and dataset.truth is not None:
        method = method.with_truth(dataset.truth)
    return method.reconstruct(
        dataset.particles,
        queries=dataset.queries,
        seed=seed,
        device=device,
        progress=progress,
        checkpoint=checkpoint,
        workers=workers,
    )
