"""Checkpoint folder of a run: named sets of arrays, each complete or absent, all of the same call."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.io.atomic import atomic_write, read_json, write_json
from cryobench.io.formats.npy import read_npz

_CALL, _LOG = "call.json", "log.jsonl"
_FACTS = "facts"


class Checkpoint:
    """Named arrays in a folder; without a folder nothing is kept and nothing is found.

    Parameters
    ----------
    folder
        Created if it does not exist; None for no checkpoint.
    call
        Everything on which the arrays depend. FormatError if the folder belongs to another call.
    former
        Folder with the last state of a shorter run of the same call, see ``find_start``; read only.
    """

    def __init__(self, folder: Path | None, call: Mapping[str, Any], *, former: Path | None = None) -> None:
        self._folder, self._former = folder, former
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        wanted = json.loads(json.dumps(dict(call)))
        path = folder / _CALL
        if not path.exists():
            write_json(path, wanted)
        elif (found := read_json(path)) != wanted:
            differing = sorted(key for key in wanted if found.get(key) != wanted[key])
            raise FormatError(
                f"{folder} holds the checkpoint of another call, which differs in {', '.join(differing)}: resume "
                "with the same call, choose another folder, or remove this one to start again."
            )

    @property
    def is_kept(self) -> bool:
        """Whether there is a folder."""
        return self._folder is not None

    def keep(self, name: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any] | None = None) -> None:
        """Store arrays and facts (JSON values), replacing those of the same name."""
        if self._folder is None:
            return
        held: dict[str, Any] = {**arrays, _FACTS: np.array(json.dumps(dict(facts or {})))}
        with atomic_write(self._folder / f"{name}.npz") as file:
            np.savez(file, **held)

    def has(self, name: str) -> bool:
        """Whether arrays are stored under that name; their file is not read."""
        return self._folder is not None and (self._folder / f"{name}.npz").exists()

    def find(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Arrays and facts stored under that name, or None. FormatError if the file is damaged."""
        return _read(self._folder, name)

    def find_start(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """The same, or else the final state of that name of a shorter run. FormatError as ``find``."""
        return self.find(name) or _read(self._former, name)

    def take(self, name: str, compute: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Arrays of a step: read if it is finished, else computed and stored."""
        found = self.find(name)
        if found is not None:
            return found[0]
        arrays = dict(compute())
        self.keep(name, arrays)
        return arrays

    def write_log(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Write all log entries so far, one line of JSON each, for people to follow."""
        if self._folder is not None:
            with atomic_write(self._folder / _LOG) as file:
                file.write("".join(json.dumps(dict(entry)) + "\n" for entry in entries).encode())


def _read(folder: Path | None, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    if folder is None or not (path := folder / f"{name}.npz").exists():
        return None
    try:
        arrays = read_npz(path)
        facts = json.loads(str(arrays.pop(_FACTS)))
    except (ValueError, KeyError) as error:
        raise FormatError(f"{path} cannot be read ({error}): remove it to repeat its step.") from error
    return arrays, facts
