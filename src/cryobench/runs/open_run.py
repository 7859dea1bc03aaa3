"""``open_run``: the run in a folder, as ``score`` and ``report`` take it; files that are not the run's are said."""

from __future__ import annotations

import shlex
from pathlib import Path

from cryobench._errors import FormatError
from cryobench._progress import Progress
from cryobench.data import Reconstruction
from cryobench.importers.registry import recognise
from cryobench.io.folders.loose_files import compose_import, describe_folder_without_run, name_files
from cryobench.io.store import find_loose_files, load_reconstruction


def open_run(folder: Path, dataset: Path | None = None, progress: Progress | None = None) -> Reconstruction:
    """The run in a folder. Files there that it did not write are named in a note: they are not scored.

    Parameters
    ----------
    dataset
        Folder of the data set, for commands that messages name; None for that of the run's record.

    Raises
    ------
    FormatError
        As ``load_reconstruction``; where there are results but no run, with the command that makes one of them.
    """
    folder = Path(folder)
    if folder.is_dir() and not (folder / "run.json").exists():
        raise FormatError(_name_job(folder, dataset) or describe_folder_without_run(folder, dataset))
    run = load_reconstruction(folder)
    note = describe_loose_files(run, folder, dataset)
    if note is not None and progress is not None:
        progress.note(note)
    return run


def describe_loose_files(run: Reconstruction, folder: Path, dataset: Path | None = None) -> str | None:
    """The files in the folder of a run that are not the run's, and the command that scores them; None without any."""
    assert run.path is not None
    loose = [folder / path.relative_to(run.path) for path in find_loose_files(run)]
    if not loose:
        return None
    said = f"{folder} holds files that its run did not write; they are not scored: {name_files(folder, loose)}."
    # Maps between those of the run would be imported together with them.
    own_maps = folder / "volumes" if run.volumes is not None else None
    others = [path for path in loose if path.parent != own_maps]
    source = dataset or run.record.dataset.path
    command = compose_import(folder, others, source, method=f"{folder.resolve().name}-imported")
    return said if command is None else f"{said} To score them as a run of their own: {command}"


def _name_job(folder: Path, dataset: Path | None) -> str | None:
    """What a folder of a program that is known is, and the command that brings it in; None for any other folder."""
    try:
        tool, sign = recognise(folder)
    except FormatError:
        return None
    words = ["cryobench", "import", tool, str(folder), "--dataset", "DATASET" if dataset is None else str(dataset)]
    command = shlex.join([*words, "-o", f"{folder}-imported"])
    return f"{folder} is not a run but a job of {tool} ({sign}). To make a run of it: {command}"
