"""Particles at the poses found by a run instead of their own, for chaining methods."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import ClassVolumes, Dataset, Particles
from cryobench.io.store import load_reconstruction


def take_poses(dataset: Dataset, run: Path, notes: list[str]) -> Particles:
    """Particles of a data set at the poses of a run on it, without its mask, which is in another frame.

    Raises
    ------
    FormatError
        If the run has no poses of its own, or is on another data set.
    ValueError
        If its classes have separate frames, so that its poses are in no common one, or it left particles out.
    """
    found = load_reconstruction(run)
    if found.rotations is None or found.shifts is None:
        raise FormatError(f"{run} ({found.name}) has no poses of its own: take a run that estimated them.")
    made_from, own = found.record.dataset.sha256, dataset.card.get("sha256")
    if len(found.rotations) != len(dataset.particles) or (made_from and own and made_from != own):
        raise FormatError(
            f"{run} was made from {found.record.dataset.name}, of {len(found.rotations):,} particles, and not from "
            f"{dataset.name}, of {len(dataset.particles):,}: name the data set that it was made from."
        )
    classes = found.find(ClassVolumes)
    if classes is not None and classes.own_frames:
        raise ValueError(
            f"each of the {len(classes.volumes)} classes of {run} has its own frame, so its poses are in no "
            "common one: run it with one class (--set n_classes=1)."
        )
    missing = np.flatnonzero(~np.isfinite(found.rotations).all(axis=(1, 2)))
    if len(missing):
        raise ValueError(
            f"{run} has no pose for {len(missing):,} of {len(found.rotations):,} particles, the first is "
            f"{missing[0]}: all particles need poses."
        )
    notes.append(f"poses are those found by {found.name} ({run.name}), in its own frame")
    if dataset.particles.mask is not None:
        notes.append("the data set's mask is left out: it is in the frame of the former poses")
    return replace(dataset.particles, rotations=found.rotations, shifts=found.shifts, mask=None)


def check_poses_of(source: Path, **given: Any) -> None:
    """Raise ValueError if options for other tables are given together with the poses of a run."""
    if not source.is_dir():
        raise ValueError(f"{source} is not a data set folder: give the data set of the run.")
    for name, value in given.items():
        if value:
            raise ValueError(f"--{name} cannot be combined with --poses-of: the data set {source} has its own.")
