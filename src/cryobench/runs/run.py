"""Run one method on one data set: one folder, with a record of settings, seed, priors, cost and outcome."""

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from cryobench._errors import FormatError, UnknownName
from cryobench._progress import Named, Progress, Silent
from cryobench._version import __version__, describe_software
from cryobench.compute import open_compute
from cryobench.compute.compute import Precision
from cryobench.compute.device import choose_device, describe_hardware, multiplies_bfloat16
from cryobench.data import Dataset, Machine, Particles, Priors, Reconstruction, RunRecord
from cryobench.io.adoption.masks import read_mask
from cryobench.io.atomic import remove_partial_files
from cryobench.io.folders.commands import compose_run
from cryobench.io.lock import lock_folder
from cryobench.io.store import (
    TRAINING,
    load_reconstruction,
    read_run_record,
    save_reconstruction,
    write_run_record,
)
from cryobench.methods import Control, Method
from cryobench.methods.registry import get_method
from cryobench.reconstruction.engine import RunContext
from cryobench.runs.cost_ledger import CostLedger
from cryobench.runs.mask_check import judge_mask
from cryobench.runs.more_epochs import (
    WHOLE,
    check_former,
    check_more_epochs,
    describe_further,
    finish_replacement,
    is_left_over,
    keep_training,
    remove_checkpoint,
    take_place,
)

RECORD, CHECKPOINT = "run.json", "checkpoint"
_SAME_RUN = ("method", "settings", "seed", "dataset", "mask", "precision")
_QUICK = "laptop"
_TAKES_LESS = f"--preset {_QUICK} takes less."
_OF_MACHINE = {"memory_gb": "--memory", "device": "--device", "workers": "--workers", "precision": "--precision"}


def run(
    method: str,
    dataset: Dataset,
    folder: str | Path,
    *,
    seed: int = 0,
    preset: str = "paper",
    settings: Mapping[str, Any] | None = None,
    mask: str | Path | None = None,
    more_epochs: int | None = None,
    device: str = "auto",
    precision: Precision | Literal["auto"] = "auto",
    memory: str | int | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstruct a data set with a method and keep the result and its record in a folder.

    Repeating a finished call loads its result; repeating an interrupted one resumes from its checkpoint, also
    with another memory budget or number of workers.

    Parameters
    ----------
    method
        Name, as ``cryobench list methods`` shows.
    dataset
        Only its particles are passed to the method, unless the method is a control. A method that estimates poses
        receives neither the poses nor the mask, which is in their frame.
    folder
        RUN folder: new, or of the same call.
    seed
        Seed of all random draws of the method.
    preset
        "paper", the benchmark's settings for this method and data set, or "laptop", for two cores.
    settings
        Settings that differ from the preset's, by name.
    mask
        Mask of the molecule (.mrc, 0 to 1), instead of the data set's: a declared prior; "none" for
        no mask at all. It must contain part of a true volume or, if none is known, of a consensus of the images.
        A method that would not use it refuses it (``Method.uses_mask``).
    more_epochs
        Train the finished run of this call in the folder for so many further epochs; ``epochs`` of the call may be
        any. The result is that of one longer run, to the bit. The old one is kept until it is complete.
    device
        "cpu", "cuda" or "auto".
    precision
        Matrix products: "float32", "bfloat16" or "auto": the method's own, but bfloat16 only if the
        device has units for it; a resumed run keeps its own.
    memory
        Budget, as "8GB" or in bytes; None for 70 % of the memory available to the process.
    workers
        1: this process, with all its threads. More: the particles are divided among that many single-threaded Dask
        worker processes, which end with the run. The result is the same to rounding.
    scheduler
        Address of a Dask scheduler to use instead, whose workers can read the data set under the same paths.
    progress
        Reports progress.

    Raises
    ------
    UnknownName
        No such method, preset or setting.
    ValueError
        A setting out of range, or data the method cannot use. The folder then records the failure, and accepts
        a corrected call. Also for more epochs of a method that does not train in epochs.
    MemoryShortage
        The run does not fit in the memory budget.
    OSError
        No scheduler answers.
    FormatError
        The folder holds a run of another call, or no finished one to train further; or the mask is not a mask, or is
        off the molecule.
    FolderBusy
        Another process is writing to the folder.
    """
    chosen = get_method(method)
    if more_epochs is not None:
        check_more_epochs(chosen, more_epochs)
    built = chosen.with_settings(expand_settings(chosen, dataset, preset, settings or {}))
    particles, mask_prior = _hand_over(dataset, built, mask)
    target = Path(folder)
    if target.is_symlink() and not target.exists():
        raise FileNotFoundError(
            f"{target} is a link to {target.readlink()}, which is missing: make that folder first."
        )
    wanted = _default_precision(target, built.precisions, device) if precision == "auto" else precision
    record = RunRecord(
        method=method,
        settings=built.settings.model_dump(mode="json"),
        preset=preset,
        seed=seed,
        dataset=dataset.identity,
        priors=Priors(
            poses="estimated" if built.poses == "estimated" else "given",
            mask=mask_prior,
            truth=built.needs if isinstance(built, Control) else (),
        ),
        status="running",
        version=__version__,
        software=describe_software(),
        command=_typed_command(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=Machine(precision=wanted),
    )
    if record.command is None:
        record = record.with_(command=compose_run(record.to_json(), target))
    checkpoint = target / CHECKPOINT
    if more_epochs is None and _find_previous(target, record) == "finished" and not is_left_over(checkpoint):
        return _find_finished(target, progress)
    if isinstance(built, Control) and (missing := built.explain_missing(dataset.truth)) is not None:
        raise ValueError(f"{method} is a control: it {missing} ({dataset.name}).")
    if mask is not None and particles.mask is not None:
        # A method that finds poses has its own frame, to which the mask check does not apply.
        truth = dataset.truth if built.poses == "given" else None
        open_question = judge_mask(particles.mask, particles, truth, str(mask), progress)
        if open_question is not None and progress is not None:
            progress.note(f"{open_question}.")
    with (
        lock_folder(target, doing=f"run {method}"),
        open_compute(device=device, precision=wanted, memory=memory, workers=workers, scheduler=scheduler) as compute,
    ):
        former, destination = None, target
        if more_epochs is not None:
            was_cut_off = finish_replacement(target, checkpoint)
            former = _find_former(target, record)
            if is_left_over(checkpoint):
                remove_checkpoint(checkpoint)
            if was_cut_off:
                return load_reconstruction(target)
            destination = checkpoint / WHOLE
            destination.mkdir(parents=True, exist_ok=True)
            record = describe_further(record, former, more_epochs, target)
            built = chosen.with_settings(record.settings)
        # Another process may have finished it meanwhile.
        elif _find_previous(target, record) == "finished":
            if is_left_over(checkpoint):
                remove_checkpoint(checkpoint)
            return _find_finished(target, progress)
        used = (compute.device, compute.precision, compute.memory, compute.n_workers, scheduler)
        record = record.with_(machine=Machine(*used, describe_hardware(compute.device)))
        ledger, work = CostLedger(checkpoint, compute.device), checkpoint / "work"
        checkpoint.mkdir(parents=True, exist_ok=True)
        remove_partial_files(target)
        if former is None:
            write_run_record(target, record)
        states = None if former is None else target / TRAINING
        named = Named(progress or Silent(), target.name, advice=_advise(chosen, dataset, preset, settings or {}))
        context = RunContext(seed, compute, named, work, former=states)
        try:
            with ledger.measure():
                if isinstance(built, Control) and dataset.truth is not None:
                    built = built.with_truth(dataset.truth)
                result = built.reconstruct(particles, dataset.queries, context)
                record = record.with_(priors=replace(record.priors, volumes=_name_origin(result, built)))
                save_reconstruction(
                    replace(result, record=record), destination, pixel_size=dataset.particles.pixel_size
                )
                if built.trains:
                    keep_training(work, destination)
        except Exception as error:
            if former is None:
                failure = f"{type(error).__name__}: {error}"
                write_run_record(target, record.with_(status="failed", error=failure, cost=ledger.total()))
            raise
        # The final record, with the cost, marks the run as complete.
        cost = ledger.total() if former is None else former.cost.plus(ledger.total())
        write_run_record(destination, record.with_(status="finished", cost=cost))
        if former is not None:
            take_place(target, checkpoint)
        remove_checkpoint(checkpoint)
    return load_reconstruction(target)


def _typed_command() -> str | None:
    """Command line of this process, if it is cryobench's."""
    program = Path(sys.argv[0]) if sys.argv else Path()
    ours = program.name == "cryobench" or (program.name == "__main__.py" and program.parent.name == "cryobench")
    return shlex.join(["cryobench", *sys.argv[1:]]) if ours else None


def _find_finished(folder: Path, progress: Progress | None) -> Reconstruction:
    if progress is not None:
        progress.note(f"{folder}: already finished, nothing was computed.")
    return load_reconstruction(folder)


def expand_settings(
    method: type[Method], dataset: Dataset, preset: str, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Settings of a preset for a data set, with changes.

    Raises
    ------
    UnknownName
        If the method has no such preset.
    ValueError
        If a change is not a setting of the method but of the machine.
    """
    if preset not in method.presets:
        raise UnknownName(f"preset of {method.name}", preset, method.presets)
    for name in changes:
        if name in _OF_MACHINE and name not in method.Settings.model_fields:
            raise ValueError(
                f"{name} is not a setting of {method.name} but of the machine: use the option {_OF_MACHINE[name]} "
                "(in Python the argument of that name)."
            )
    recipe = dataset.card.get("recipe")
    name = recipe.get("name") if isinstance(recipe, Mapping) else recipe
    return {**method.presets[preset].expand(dataset.particles, name), **changes}


def _advise(method: type[Method], dataset: Dataset, preset: str, changes: Mapping[str, Any]) -> str:
    """Hint that the preset for two cores takes less, if that would be another run."""
    if _QUICK not in method.presets:
        return ""
    quick, asked = (expand_settings(method, dataset, each, changes) for each in (_QUICK, preset))
    return "" if method.with_settings(quick).settings == method.with_settings(asked).settings else _TAKES_LESS


def _hand_over(dataset: Dataset, method: Method, mask: str | Path | None) -> tuple[Particles, str]:
    """Particles as a method may see them, and the mask prior that this declares."""
    given = dataset.particles
    particles = given.without_poses() if method.poses == "estimated" else given
    if mask is not None and str(mask) != "none" and not method.uses_mask:
        raise ValueError(
            f"{method.name} uses no mask at these settings, so {mask} would change nothing: leave --mask out. Scores "
            "may use one: cryobench score RUN --mask FILE."
        )
    if mask is None:
        return particles, "data set" if particles.mask is not None and method.uses_mask else "none"
    if str(mask) == "none":
        return replace(particles, mask=None), "none"
    values = read_mask(Path(mask), given.box_size, given.pixel_size)
    return replace(particles, mask=values), f"file {Path(mask).name} ({digest_mask(values)})"


def digest_mask(mask: Float[np.ndarray, "z y x"]) -> str:
    """Digest of a mask that was given as a file, as the record of the run has it."""
    return blake2b(mask.tobytes(), digest_size=6).hexdigest()


def _name_origin(result: Reconstruction, method: Method) -> str:
    """Origin of the query volumes, as a prior."""
    if result.decodes_by is not None:
        return result.decodes_by
    if result.volumes is None:
        return "none"
    return "control" if isinstance(method, Control) else "method"


def _default_precision(folder: Path, precisions: Sequence[Precision], device: str) -> Precision:
    """Precision of the run in the folder, whatever its machine, else the first that the device has units for."""
    kept = read_run_record(folder).machine.precision if (folder / RECORD).exists() else None
    for precision in precisions:
        if precision == kept:
            return precision
    for precision in precisions:
        if precision != "bfloat16" or multiplies_bfloat16(choose_device(device)):
            return precision
    return precisions[0]


def _find_previous(folder: Path, record: RunRecord) -> Literal["none", "finished", "unfinished"]:
    """State of this call's run in a folder. FormatError if it holds something else that is worth keeping."""
    if not folder.exists():
        return "none"
    if not (folder / RECORD).exists():
        if folder.is_dir() and all(path.name == CHECKPOINT or path.name.startswith(".") for path in folder.iterdir()):
            return "none"
        raise FormatError(f"{folder} exists and is not a cryobench run: choose another folder.")
    found = read_run_record(folder)
    differing = _compare(found, record)
    if not differing:
        return "finished" if found.status == "finished" else "unfinished"
    if found.status == "failed":  # nothing in it is worth keeping, and it must not block the corrected call
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
        return "none"
    raise FormatError(
        f"{folder} holds another run ({found.method}, {found.status}); they differ in {', '.join(differing)}. "
        "Nothing was changed: choose another folder, or remove this one first."
    )


def _find_former(folder: Path, record: RunRecord) -> RunRecord:
    """Record of the run that this call trains further, whatever its epochs. FormatError if there is none."""
    if not (folder / RECORD).exists():
        raise FormatError(
            f"{folder} holds no run to train further: give the same command without --more-epochs first."
        )
    found = read_run_record(folder)
    epochs = {"epochs": found.settings["epochs"]} if "epochs" in found.settings else {}
    check_former(folder, found, _compare(found, record.with_(settings={**record.settings, **epochs})))
    return found


def _compare(one: RunRecord, other: RunRecord) -> list[str]:
    """Names of the differences that make two calls different runs."""
    return [name for name in _SAME_RUN if _identify(one, name) != _identify(other, name)]


def _identify(record: RunRecord, name: str) -> Any:
    """Entry of a record that identifies its run. A data set with a hash is identified by it, wherever it is."""
    if name == "dataset":
        return record.dataset.sha256 or asdict(record.dataset)
    if name == "mask":
        return record.priors.mask
    if name == "precision":
        return record.machine.precision
    value = getattr(record, name)
    return dict(value) if isinstance(value, Mapping) else value
