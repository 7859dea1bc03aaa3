"""Arrays of a folder by name, opened on demand, so that opening a run is quick however large its model.

An array NAME is in NAME.npy and memory-mapped. Arrays used together, such as network weights,
form a group: GROUP/NAME is the array NAME in GROUP.safetensors.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench.io.atomic import read_array, write_array
from cryobench.io.formats.tensor_file import SUFFIX, read_tensor, write_tensors

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError if an array's name cannot be that of a file, or of a group and a member."""
    for name in names:
        if not re.fullmatch(rf"{_PART}(/{_PART})?", name):
            raise ValueError(
                f"the model array {name!r} needs a name of letters, digits, '_', '-' and '.', after the name of a "
                "group and '/' if it is in one."
            )


def find_files(folder: Path, names: Iterable[str]) -> list[Path]:
    """Files that hold the arrays of these names, each once, in alphabetical order."""
    return sorted({_locate(folder, name)[0] for name in names})


def write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, those of a group into one file. ValueError as ``check_names`` and ``write_tensors``."""
    check_names(arrays)
    groups: dict[Path, dict[str, np.ndarray]] = {}
    for name, values in arrays.items():
        path, member = _locate(folder, name)
        if member is None:
            write_array(path, values)
        else:
            groups.setdefault(path, {})[member] = values
    for path, members in groups.items():
        write_tensors(path, members)


def _locate(folder: Path, name: str) -> tuple[Path, str | None]:
    """File of an array, and its name in the file if it is a group member."""
    group, slash, member = name.partition("/")
    return (folder / f"{group}{SUFFIX}", member) if slash else (folder / f"{name}.npy", None)


class MissingArray(FormatError, KeyError):
    """A folder has no array of that name."""

    def __str__(self) -> str:
        return str(self.args[0])


class StoredArrays(Mapping[str, np.ndarray]):
    """Arrays of a folder by name, read-only; repeated access returns the same object.

    FormatError, naming the file, for an array that is missing or damaged; ``MissingArray``, which is also a
    KeyError, for an unknown name.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._places = {name: _locate(folder, name) for name in names}
        self._folder = folder
        self._opened: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._places:
            known = ", ".join(self._places) or "none"
            raise MissingArray(f"{self._folder} has no array {name!r}, which is needed here. It has {known}.")
        if name not in self._opened:
            path, member = self._places[name]
            self._opened[name] = read_array(path, mapped=True) if member is None else read_tensor(path, member)
        return self._opened[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
