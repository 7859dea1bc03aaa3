"""Score finished runs from their files alone, and keep the scores with them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from cryobench._errors import FormatError
from cryobench._progress import Named
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.io.adoption.masks import read_mask
from cryobench.io.folders.alignment_store import load_alignments, save_alignments
from cryobench.io.lock import lock_folder
from cryobench.io.store import load_dataset, load_reconstruction, load_scores
from cryobench.metrics.evaluate import check_grid, check_mask, compares_volumes, score
from cryobench.metrics.metric import check_particles, reads
from cryobench.metrics.registry import get_metric, list_metrics
from cryobench.metrics.volumes.frames import VERSION, Align, Frame, find_frame
from cryobench.reconstruction.decoders import with_decoder
from cryobench.reconstruction.engine import RunContext
from cryobench.runs.kept_scores import KeptScores, still_hold
from cryobench.runs.mask_check import judge_mask
from cryobench.runs.open_run import open_run

SCORES, ALIGNMENT = "scores", "alignment.json"


@dataclass(frozen=True)
class HowToScore:
    """Inputs of a score other than the run and the data set."""

    align: Align = "auto"
    """Alignment of volumes to the true ones: see ``metrics.volumes.frames``."""
    alignment: Path | None = None
    """File of existing alignments to use instead."""
    mask: Path | Literal["none"] | None = None
    """Mask to score in, instead of the data set's; "none" for no mask: nothing is scored in one."""
    resample: bool = False
    """Resample volumes of another box or pixel size to the data set's grid."""
    fresh: bool = False
    """Measure everything again, ignoring kept results."""
    seed: int = 0
    """Seed of subsets and intervals."""


def score_run(
    folder: Path,
    *,
    metrics: Sequence[str] | None = None,
    dataset: Path | None = None,
    how: HowToScore | None = None,
    context: RunContext | None = None,
) -> tuple[Reconstruction, Scores]:
    """Score the run in a folder and write RUN/scores.

    The result of each metric is kept as soon as it is computed. Scoring again measures only what is missing or
    depends on a change; scoring some metrics keeps the others that are still valid. A failed run has no scores.

    Parameters
    ----------
    folder
        RUN folder of a finished run.
    metrics
        Names; None for all measurable ones.
    dataset
        The data set's folder, if it is not at the path in the run record.
    how
        Alignment, mask, resampling and seed.
    context
        Device, memory and workers of decoders, and progress.

    Raises
    ------
    FormatError
        The run did not finish, or was made from another data set than the one found; a file is damaged; the mask is
        not a mask, or is off the molecule.
    FolderBusy
        Another process is scoring the run.
    ValueError
        As ``metrics.score``.
    """
    how, context, folder = how or HowToScore(), context or RunContext(), Path(folder)
    context = replace(context, progress=Named(context.progress, folder.resolve().name))
    reconstruction = open_run(folder, dataset, context.progress)
    if reconstruction.record.status == "failed":
        return reconstruction, Scores({})
    with lock_folder(folder / SCORES, doing="score"):
        return _score(reconstruction, folder, metrics, dataset, how, context)


def _score(
    reconstruction: Reconstruction,
    folder: Path,
    metrics: Sequence[str] | None,
    dataset: Path | None,
    how: HowToScore,
    context: RunContext,
) -> tuple[Reconstruction, Scores]:
    data = find_dataset(reconstruction, dataset)
    reconstruction = with_decoder(reconstruction, data.particles, context)
    mask = _read_mask(how.mask, data, context)
    names = list_metrics() if metrics is None else list(metrics)
    chosen = [get_metric(name)() for name in names]
    kept = KeptScores(folder, reconstruction, data, mask=mask, seed=how.seed, fresh=how.fresh)
    frame = _load_frame(folder, reconstruction, how, kept)
    if frame is None and compares_volumes(reconstruction, data) and any(reads(each, "volumes") for each in chosen):
        check_particles(reconstruction, data)
        check_grid(reconstruction, data, resample=how.resample)
        check_mask(reconstruction, data, None if isinstance(mask, str) else mask)
        frame = find_frame(reconstruction, data, how.align, progress=context.progress)
        if frame.mode != "none":
            key = _name_alignment(how, kept)
            save_alignments(folder / SCORES / ALIGNMENT, frame.alignments, mode=frame.mode, why=frame.why, key=key)
    kept.frame = frame = frame or Frame("none")
    scores = score(
        reconstruction,
        data,
        metrics,
        align=frame,
        mask=mask,
        resample=how.resample,
        seed=how.seed,
        progress=context.progress,
        keeper=kept,
    )
    kept.write(scores.context, names)
    if kept.found and not kept.measured:
        context.progress.note("already scored, nothing was measured; --fresh measures again.")
    return reconstruction, replace(scores, context={**scores.context, "contents": kept.contents})


def _read_mask(
    given: Path | Literal["none"] | None, dataset: Dataset, context: RunContext
) -> np.ndarray | Literal["none"] | None:
    """The ``mask`` argument of ``metrics.score``."""
    if given is None:
        return None
    if str(given) == "none":
        return "none"
    particles, path = dataset.particles, Path(given)
    mask = read_mask(path, particles.box_size, particles.pixel_size)
    open_question = judge_mask(mask, particles, dataset.truth, path, context.progress)
    if open_question is not None:
        context.progress.note(f"{open_question}.")
    return mask


def load_or_score(
    folder: Path, *, dataset: Path | None = None, context: RunContext | None = None
) -> tuple[Reconstruction, Scores]:
    """The run in a folder with its scores, measured now if they are missing or its files have changed since."""
    context = context or RunContext()
    context = replace(context, progress=Named(context.progress, Path(folder).resolve().name))
    reconstruction = open_run(folder, dataset, context.progress)
    if reconstruction.record.status == "failed":
        return reconstruction, Scores({})
    if (Path(folder) / SCORES / "scores.json").exists():
        try:
            scores = load_scores(folder)
        except FormatError as error:
            raise FormatError(f"{error} To score the run again: cryobench score {folder}") from error
        if still_hold(scores, reconstruction):
            return reconstruction, scores
        context.progress.note("the run has changed since it was scored and is scored again.")
    with lock_folder(Path(folder) / SCORES, doing="score"):
        return _score(reconstruction, Path(folder), None, dataset, HowToScore(), context)


def _load_frame(folder: Path, reconstruction: Reconstruction, how: HowToScore, kept: KeptScores) -> Frame | None:
    """Frame from the given alignments, or from earlier ones if still valid; else None."""
    path = how.alignment or folder / SCORES / ALIGNMENT
    if how.alignment is None and (how.fresh or not path.exists()):
        return None
    found, entries = load_alignments(path)
    if how.alignment is None and entries.get("key") != _name_alignment(how, kept):
        return None
    if len(found) not in (1, len(reconstruction.queries)):
        raise ValueError(
            f"{path} holds {len(found)} alignments, the run has {len(reconstruction.queries)} query volumes: give "
            "one for all, or one each."
        )
    why = f"alignments of {path}" if how.alignment else str(entries.get("why"))
    mode = "reconstruction" if len(found) == 1 else "volume"
    return Frame("class" if entries.get("mode") == "class" and how.alignment is None else mode, tuple(found), why)


def _name_alignment(how: HowToScore, kept: KeptScores) -> str:
    """Digest of the inputs of an alignment."""
    return kept.name_content(("volumes", "poses", "posteriors"), {"align": how.align, "version": VERSION})


def load_dataset_of(folders: Sequence[Path], dataset: Path | None = None) -> Dataset:
    """The common data set of these runs. FormatError if they differ."""
    runs = [load_reconstruction(folder) for folder in folders]
    hashes = {str(run.record.dataset.sha256): folder for run, folder in zip(runs, folders, strict=True)}
    if len(hashes) > 1:
        raise FormatError(
            "the runs were made from different data sets and cannot be on one page: "
            + ", ".join(f"{folder} ({sha[:12]})" for sha, folder in hashes.items())
        )
    return find_dataset(runs[0], dataset)


def find_dataset(reconstruction: Reconstruction, given: Path | None) -> Dataset:
    """Data set of a run, at the given or the recorded path. FormatError if it is another."""
    recorded = reconstruction.record.dataset
    path = given or recorded.path
    if given is not None and not given.exists():
        raise FormatError(f"there is no data set at {given} (given for {reconstruction.path}).")
    if path is None or not Path(path).exists():
        raise FormatError(
            f"{reconstruction.path} was made from the data set {recorded.name} at {path}, which does not exist: "
            "give its present folder with --dataset FOLDER."
        )
    dataset = load_dataset(Path(path))
    found, expected = dataset.card.get("sha256"), recorded.sha256
    if expected is not None and found != expected:
        raise FormatError(
            f"{reconstruction.path} was made from the data set {recorded.name} of hash {expected[:12]}, but {path} "
            f"holds {dataset.name} of hash {str(found)[:12]}: another one, or the same, changed since. "
            "Run the method again, or give the right folder with --dataset FOLDER."
        )
    return dataset
