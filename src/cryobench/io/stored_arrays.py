"""Arrays of a folder by name, mapped when they are asked for: however large a model is, opening a run is quick."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench.io.atomic import read_array


class MissingArray(FormatError, KeyError):
    """A folder holds no array of that name."""

    def __str__(self) -> str:
        return str(self.args[0])


class StoredArrays(Mapping[str, np.ndarray]):
    """Arrays FOLDER/NAME.npy, read-only; the same one is given every time.

    FormatError, naming the file, where one that is asked for is missing or damaged; ``MissingArray``, which is a
    KeyError too, for another name.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._paths = {name: folder / f"{name}.npy" for name in names}
        self._folder = folder
        self._opened: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._paths:
            known = ", ".join(self._paths) or "none"
            raise MissingArray(f"{self._folder} has no array {name!r}, expected by what reads it. It has {known}.")
        if name not in self._opened:
            self._opened[name] = read_array(self._paths[name], mapped=True)
        return self._opened[name]

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
