"""``save_run`` and ``load_run``: a reconstruction of any origin as a RUN folder for all commands."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryobench._errors import FormatError
from cryobench.data import Dataset, Reconstruction
from cryobench.io.store import load_reconstruction, save_reconstruction
from cryobench.metrics.metric import check_particles


def load_run(folder: str | Path) -> Reconstruction:
    """The finished run in a folder; its volumes and model are read on demand.

    Raises
    ------
    FormatError
        If the folder is not a run, the run is not finished, or a part of it is missing or damaged.
    """
    return load_reconstruction(Path(folder))


def save_run(reconstruction: Reconstruction, folder: str | Path, dataset: Dataset) -> Reconstruction:
    """Write a reconstruction of a data set into a new RUN folder, and return it as read from there.

    The record refers to this data set, so that ``score`` and ``report`` find it; the method of the record is its
    displayed name.

    Raises
    ------
    ValueError
        If its number of particles is another.
    FormatError
        If the folder exists and is not empty.
    """
    target = Path(folder)
    check_particles(reconstruction, dataset)
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise FormatError(f"{target} exists and is not an empty folder: choose another one, or remove it first.")
    record = reconstruction.record
    record = record.with_(
        dataset=dataset.identity,
        status="finished",
        started=record.started or datetime.now(UTC).isoformat(timespec="seconds"),
    )
    pixel_size = reconstruction.pixel_size or dataset.particles.pixel_size
    save_reconstruction(replace(reconstruction, record=record), target, pixel_size=pixel_size)
    return load_reconstruction(target)
