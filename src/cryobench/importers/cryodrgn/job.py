"""Folder of a job of cryoDRGN or drgnai: the files of an epoch, and the contents of its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cryobench._errors import FormatError
from cryobench.io.formats.pickles import read_pickle

_CONFIGS = ("config.yaml", "drgnai-configs.yaml", "config.pkl")
_FINAL = 1 << 30
"""Number of copies without a number, where no others exist."""


@dataclass(frozen=True)
class Job:
    """Files of one epoch."""

    folder: Path
    epoch: str
    """Epoch as in the file names; "" for copies without a number."""
    config: Path
    entries: Mapping[str, Any]
    latents: Path
    weights: Path | None
    poses: Path | None

    def entry(self, *names: str) -> Any:
        """Entry of the configuration, by the names of its parts; None if absent."""
        found: Any = self.entries
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def find(self, stated: Any) -> Path | None:
        """Path of a file named by the configuration, relative to the working directory of the program, above the job.

        None if it names none; the name unchanged if there is no such file.
        """
        if stated is None:
            return None
        path = Path(str(stated))
        around = [folder / path for folder in self.folder.absolute().parents]
        return next((each for each in (*around, path) if each.exists()), path)


def recognise_job(path: Path) -> str | None:
    """Sign by which a folder is recognised as that of a job; None if it is not one."""
    folder = _find_folder(path)
    config = next((folder / name for name in _CONFIGS if (folder / name).exists()), None)
    latents = _list_latents(folder)
    return None if config is None or not latents else f"{config.name} beside {latents[max(latents)].name}"


def find_job(path: Path, epoch: int | None) -> Job:
    """Files of an epoch, the last one if none is named. FormatError if there are none."""
    folder = _find_folder(path)
    if folder.is_file():
        raise FormatError(f"{folder} is a file: give the folder of the job, {folder.parent}.")
    if not folder.is_dir():
        raise FormatError(f"{folder} does not exist, expected the folder of a job of cryoDRGN.")
    config = next((folder / name for name in _CONFIGS if (folder / name).exists()), None)
    latents = _list_latents(folder)
    if config is None:
        jobs = [each.name for each in sorted(folder.iterdir()) if each.is_dir() and recognise_job(each)]
        other = f" It holds folders of jobs: {', '.join(jobs)}." if jobs else ""
        raise FormatError(
            f"{folder} has none of {', '.join(_CONFIGS)}: it is not the folder of a cryoDRGN job.{other}"
        )
    if not latents:
        raise FormatError(f"{folder} has no latents (z.N.pkl or conf.N.pkl): has the job finished an epoch?")
    epoch = max(latents) if epoch is None else epoch
    if epoch not in latents:
        raise FormatError(
            f"{folder} has no latents of epoch {epoch}: it has those of {', '.join(map(str, sorted(latents)))}, "
            "in the program's numbering."
        )
    text = "" if epoch == _FINAL else f".{epoch}"
    found = {name: folder / f"{name}{text}.pkl" for name in ("weights", "pose")}
    return Job(
        folder,
        text.removeprefix("."),
        config,
        _read_config(config),
        latents[epoch],
        *(path if path.exists() else None for path in found.values()),
    )


def _find_folder(path: Path) -> Path:
    """Folder with the files: that of the job, its ``out``, or the one around ``analyze.N``."""
    path = Path(path)
    if re.fullmatch(r"analy[sz]e\.\d+|analysis_\d+", path.name):
        path = path.parent
    inner = path / "out"
    return inner if (inner / "drgnai-configs.yaml").exists() else path


def _list_latents(folder: Path) -> dict[int, Path]:
    """Files of latents by epoch; pre-training, −1 in drgnai, is skipped."""
    found = {}
    for path in folder.glob("*.pkl") if folder.is_dir() else ():
        named = re.fullmatch(r"(?:z|conf)\.(\d+)\.pkl", path.name)
        if named:
            found[int(named[1])] = path
    final = folder / "z.pkl"
    return found or ({_FINAL: final} if final.exists() else {})


def _read_config(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".pkl":
        entries = read_pickle(path)
    else:
        try:
            entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise FormatError(f"{path} cannot be read as YAML ({error}).") from error
    if not isinstance(entries, Mapping):
        raise FormatError(f"{path} holds {describe_value(entries)}, expected the configuration of a job.")
    return entries


def describe_value(value: object) -> str:
    """Kind of a value, for messages."""
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
