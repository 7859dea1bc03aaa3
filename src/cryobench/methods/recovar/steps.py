"""Steps whose results are kept, so that a run that was killed goes on after the last one finished."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.io.atomic import atomic_write, read_json, write_json

_CALL = "call.json"


class Steps:
    """Named arrays of finished steps in a folder; without a folder nothing is kept.

    Parameters
    ----------
    folder
        Of the checkpoint, or None.
    call
        What the steps depend on. FormatError if the folder holds steps of another call.
    """

    def __init__(self, folder: Path | None, call: Mapping[str, Any]) -> None:
        self._folder = folder
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
                f"{folder} holds the checkpoint of another call, which differs in {', '.join(differing)}: "
                "choose another folder or remove it."
            )

    def folder_of(self, name: str) -> Path | None:
        """A folder for what a step keeps by itself, or None."""
        return None if self._folder is None else self._folder / name

    def take(self, name: str, compute: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The arrays of a step, from the folder if it is finished, else computed and kept."""
        if self._folder is None:
            return dict(compute())
        path = self._folder / f"{name}.npz"
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as stored:
                    return {key: stored[key] for key in stored.files}
            except (OSError, ValueError, KeyError) as error:
                raise FormatError(f"{path} cannot be read ({error}): remove it to do that step again.") from error
        arrays = dict(compute())
        with atomic_write(path) as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
        return arrays
