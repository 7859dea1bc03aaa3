"""``open_run``: the run in a folder, for ``score`` and ``report``, with a note on files that are not the run's."""

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
    """The run in a folder. Other files in the folder are named in a note: they are not scored.

    Parameters
    ----------
    dataset
        Folder of the data set, for commands in messages; None for that of the run's record.

    Raises
    ------
    FormatError
        As ``load_reconstruction``; for results that are not a run, with the command that imports them.
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
    """Note on files in a run's folder that are not the run's, with the command to score them; None without any."""
    assert run.path is not None
    loose = [folder / path.relative_to(run.path) for path in find_loose_files(run)]
    if not loose:
        return None
    said = f"{folder} holds files that its run did not write; they are not scored: {name_files(folder, loose)}."
    # Maps mixed with those of the run would be imported together with them.
    own_maps = folder / "volumes" if run.volumes is not None else None
    others = [path for path in loose if path.parent != own_maps]
    source = dataset or run.record.dataset.path
    command = compose_import(folder, others, source, method=f"{folder.resolve().name}-imported")
    return said if command is None else f"{said} To score them as a separate run: {command}"


def _name_job(folder: Path, dataset: Path | None) -> str | None:
    """Message on the job folder of a known program, with the command to import it; None for any other folder."""
    try:
        tool, sign = recognise(folder)
    except FormatError:
        return None
    words = ["cryobench", "import", tool, str(folder), "--dataset", "DATASET" if dataset is None else str(dataset)]
    command = shlex.join([*words, "-o", f"{folder}-imported"])
    return f"{folder} is not a run but a job of {tool} ({sign}). To import it: {command}"
