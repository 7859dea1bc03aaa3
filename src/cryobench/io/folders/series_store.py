"""A volume series as a folder.

    series.json          kind, method, run, data set, settings, title, number of files; written last
    series.csv           one row per volume: file, nearest_particle, then, if known, position,
                         n_particles and weight, and latent_1, latent_2, ...
    frame-000.mrc ...    the volumes in order

The report of a run shows those in RUN/series.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import VolumeSeries
from cryobench.io.atomic import read_json, write_json, write_text
from cryobench.io.formats.csv_table import is_number, read_csv_table
from cryobench.io.formats.mrc import MrcFolder

FOLDER = "series"
"""Folder in a run."""
_ABOUT, _TABLE = "series.json", "series.csv"


def name_frames(count: int) -> list[str]:
    """File names of the volumes of a series."""
    return [f"frame-{index:03d}.mrc" for index in range(count)]


def save_series_table(
    folder: Path,
    latents: np.ndarray,
    particles: np.ndarray,
    columns: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
) -> None:
    """Write series.csv and series.json next to the volumes.

    Parameters
    ----------
    latents, particles
        (f, d) latents of the volumes and (f,) nearest particles.
    columns
        Further columns (f,) by name.
    about
        Entries of series.json, including ``title``.
    """
    names = name_frames(len(latents))
    named = {"file": names, "nearest_particle": particles, **columns}
    named |= {f"latent_{axis}": values for axis, values in enumerate(latents.T, start=1)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(named)
    writer.writerows(zip(*(_plain(values) for values in named.values()), strict=True))
    write_text(folder / _TABLE, text.getvalue())
    write_json(folder / _ABOUT, {**about, "frames": len(names)})


def load_series(folder: Path) -> VolumeSeries:
    """The series in a folder. FormatError if it is not finished, or a file is missing or damaged."""
    about = read_json(folder / _ABOUT)
    table = read_csv_table(folder / _TABLE, "the table of a volume series")
    columns = table.columns()
    needed = ("file", "nearest_particle", "latent_1")
    if any(name not in columns for name in needed) or not isinstance(about.get("title"), str):
        raise FormatError(
            f"{folder} is not a volume series: expected {', '.join(needed)} in {_TABLE}, and a title in {_ABOUT}."
        )
    numbers = {name: _numbers(values, folder / _TABLE) for name, values in columns.items() if name != "file"}
    latents = [values for name, values in numbers.items() if name.startswith("latent_")]
    return VolumeSeries(
        about["title"],
        np.stack(latents, axis=1),
        numbers["nearest_particle"].astype(np.int64),
        MrcFolder([folder / Path(name).name for name in columns["file"]]),
        numbers.get("position"),
        numbers.get("n_particles"),
    )


def list_series(run: Path) -> dict[str, Path]:
    """Folders of the finished series in a run, by name."""
    found = sorted((Path(run) / FOLDER).glob(f"*/{_ABOUT}"))
    return {path.parent.name: path.parent for path in found if not path.parent.name.startswith(".")}


def _plain(values: np.ndarray | Sequence[str]) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _numbers(values: list[str], path: Path) -> np.ndarray:
    wrong = [value for value in values if not is_number(value)]
    if wrong:
        raise FormatError(f"{path} has the entry {wrong[0]!r}, expected a number.")
    return np.array([float(value) for value in values])
