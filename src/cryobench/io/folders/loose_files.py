"""Loose files in a run's folder, which the run did not write, and the command that imports them.

A run consists of what its run.json names. Latents or maps added to its folder, or to a folder without run.json, are
not scored, which must be reported so that a missing score is not puzzling.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from cryobench._errors import FormatError
from cryobench.io.adoption.state_volumes import SUFFIXES
from cryobench.io.formats.npy import map_npy

_TABLES = (".npy", ".npz", ".csv", ".parquet", ".pkl", ".txt")
_NAMED = {
    "poses": ({"pose", "poses", "rotation", "rotations", "rot", "angles"}, (".pkl", ".npy")),
    "labels": (
        {"label", "labels", "class", "classes", "cluster", "clusters", "posterior", "posteriors", "assignments"},
        (*_TABLES, ".star"),
    ),
    "latents": ({"z", "latent", "latents", "embedding", "embeddings", "conf"}, _TABLES),
}
"""Option of ``import files`` for a file, by words in its name and its suffix."""
_SHOWN = 6


def list_loose_files(folder: Path, own: Collection[Path], own_folders: Collection[str]) -> list[Path]:
    """Files anywhere below a folder, sorted by name, except its own and hidden (also unfinished) ones.

    Parameters
    ----------
    own
        Files that belong to the folder.
    own_folders
        Names of folders whose whole content belongs to it.
    """
    known = set(own)
    return [path for path in _walk(Path(folder), own_folders) if path not in known]


def _walk(folder: Path, left_out: Collection[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            yield path
        elif path.name not in left_out:
            yield from _walk(path, ())


def name_files(folder: Path, files: Sequence[Path]) -> str:
    """Short description of files in a folder: those of a subfolder together, and only a few."""
    counts: dict[str, int] = {}
    for path in files:
        parts = path.relative_to(folder).parts
        name = parts[0] if len(parts) == 1 else f"{parts[0]}/"
        counts[name] = counts.get(name, 0) + 1
    names = [f"{name} ({count:,})" if name.endswith("/") else name for name, count in counts.items()]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def compose_import(
    folder: Path, files: Sequence[Path], dataset: str | Path | None, *, method: str | None = None
) -> str | None:
    """Command that imports loose files of a folder; None if ``import files`` takes none of their kinds.

    Parameters
    ----------
    files
        If one option takes several of them, the first is used. Maps count as one folder: the first with any.
    dataset
        Folder of the data set; None if unknown, written as DATASET.
    method
        Name in scores; the folder's if None.
    """
    given: dict[str, Path] = {}
    for path in files:
        option = _find_option(path)
        if option is not None:
            given.setdefault(option, path.parent if option == "volumes" else path)
    if not given:
        return None
    words = ["cryobench", "import", "files"]
    for option in ("latents", "volumes", "labels", "poses"):
        if option in given:
            words += [f"--{option}", str(given[option])]
    words += ["--dataset", "DATASET" if dataset is None else str(dataset)]
    words += ["-o", f"{folder}-imported", "--method", method or Path(folder).name or "imported"]
    return shlex.join(words)


def describe_folder_without_run(folder: Path, dataset: Path | None = None) -> str:
    """Message on a folder without run.json: why it is not a run, its files, and the command that imports them."""
    folder = Path(folder)
    loose = list_loose_files(folder, (), ())
    said = f"{folder} is not a run: it has no run.json."
    if not loose:
        return said
    said += f" It holds {name_files(folder, loose)}, which were not written by a run"
    command = compose_import(folder, loose, dataset)
    if command is None:
        return f"{said} and cryobench import files does not accept."
    unknown = "" if dataset is not None else ", with DATASET the folder of the data set"
    return f"{said}. To import them{unknown}: {command}"


def _find_option(path: Path) -> str | None:
    """Name of the ``import files`` option that takes a file."""
    suffix, words = path.suffix.lower(), set(re.split(r"[^a-z]+", path.stem.lower()))
    if suffix in SUFFIXES:
        return None if words & {"mask", "masks"} else "volumes"
    for option, (names, suffixes) in _NAMED.items():
        if words & names and suffix in suffixes:
            return option
    if suffix in (".star", ".cs"):
        return "poses"
    return _look_into(path) if suffix == ".npy" else None


def _look_into(path: Path) -> str | None:
    """The same from the shape and type of an array, for a file with an uninformative name."""
    try:
        array = map_npy(path)
    except FormatError:
        return None
    if array.ndim == 3 and array.shape[1:] == (3, 3):
        return "poses"
    if array.ndim == 1 and array.dtype.kind in "iu":
        return "labels"
    return "latents" if array.ndim == 2 and array.dtype.kind == "f" else None
