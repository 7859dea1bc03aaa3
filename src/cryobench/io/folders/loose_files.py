"""Files that lie in a run's folder and were not written by the run: which they are, and the import that takes them.

A run is what its run.json says. Latents or maps that were put beside it, or into a folder without run.json, are not
scored, which must be said: nobody looks for the reason of a missing score in the name of a file.
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
"""Option of ``import files`` that takes a file, by words in its name and its suffix."""
_SHOWN = 6


def list_loose_files(folder: Path, own: Collection[Path], own_folders: Collection[str]) -> list[Path]:
    """Files anywhere below a folder, in the order of their names, but for those that belong to it.

    Parameters
    ----------
    own
        Files that belong.
    own_folders
        Folders whose whole content belongs, by their names.

    Hidden files, those of unfinished writing among them, are passed over.
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
    """Files as a reader looks for them in a folder: those of a folder in it together, and no more than a few."""
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
    """The command that brings in loose files of a folder; None if ``import files`` takes none of their kinds.

    Parameters
    ----------
    files
        Of several that one option takes, the first is named. Maps count as one folder: the first that holds any.
    dataset
        Folder of the data set; None if it is not known: DATASET stands in its stead.
    method
        Name under which they are scored; that of the folder if None.
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
    """Why a folder without run.json is no run, the files that lie there, and the command that makes one of them."""
    folder = Path(folder)
    loose = list_loose_files(folder, (), ())
    said = f"{folder} is not a run: it has no run.json."
    if not loose:
        return said
    said += f" It holds {name_files(folder, loose)}, which no run wrote"
    command = compose_import(folder, loose, dataset)
    if command is None:
        return f"{said} and cryobench import files does not take."
    unknown = "" if dataset is not None else ", with DATASET the folder of the data set"
    return f"{said}. To make a run of them{unknown}: {command}"


def _find_option(path: Path) -> str | None:
    """Name of the option of ``import files`` that takes a file."""
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
    """The same by the shape and type of an array whose file has a name that says nothing."""
    try:
        array = map_npy(path)
    except FormatError:
        return None
    if array.ndim == 3 and array.shape[1:] == (3, 3):
        return "poses"
    if array.ndim == 1 and array.dtype.kind in "iu":
        return "labels"
    return "latents" if array.ndim == 2 and array.dtype.kind == "f" else None
