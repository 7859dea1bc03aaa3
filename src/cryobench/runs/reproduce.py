"""``reproduce``: repeat a finished run from its record alone, and compare the two."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError, UnknownName
from cryobench._progress import Progress, Silent
from cryobench._version import __version__
from cryobench.data import Particles, Reconstruction, RunRecord
from cryobench.io.adoption.masks import read_mask
from cryobench.methods.registry import get_method
from cryobench.runs.open_run import open_run
from cryobench.runs.run import digest_mask, run
from cryobench.runs.score import find_dataset

ROUNDING = 1e-3
"""Relative root mean square difference up to which two results are the same to rounding."""


@dataclass(frozen=True)
class Comparison:
    """Agreement of a repeated run with the first."""

    differences: Mapping[str, float]
    """Relative root mean square difference by part; 0 is the same bits.

    Parts are "latents", "posteriors", "rotations", "shifts" and "volumes".
    """

    @property
    def agrees(self) -> bool:
        """Whether every part is the same to rounding."""
        return all(value <= ROUNDING for value in self.differences.values())

    def describe(self) -> list[str]:
        """One line per part."""
        return [
            f"{part}: {'the same bits' if value == 0 else f'relative difference {value:.2g}'}"
            for part, value in self.differences.items()
        ]


def reproduce(
    folder: str | Path,
    output: str | Path,
    *,
    dataset: Path | None = None,
    mask: Path | None = None,
    progress: Progress | None = None,
    **machine: Any,
) -> tuple[Reconstruction, Comparison]:
    """Repeat a finished run in a new folder, with the settings, seed, priors and precision of its record.

    Parameters
    ----------
    folder
        RUN folder of a finished run of ``run``.
    output
        New folder, or of this call if interrupted.
    dataset
        The data set's folder, if it is not at the recorded path; it must have the recorded hash.
    mask
        The mask file of the run, if it was given one; the record has its name and digest.
    progress
        Reports progress.
    machine
        device, memory, workers and scheduler, as for ``run``; by default the device and the number of workers of the
        record.

    Raises
    ------
    FormatError
        The run did not finish, or was imported from another program, or its data set is another now.
    ValueError
        It was given a mask, and ``mask`` is not that file; or ``output`` is the run itself.
    """
    if Path(output).resolve() == Path(folder).resolve():
        raise ValueError(f"{output} is the run itself: choose another folder for its repetition.")
    first = open_run(Path(folder), dataset)
    record = first.record
    if record.status != "finished":
        raise FormatError(f"{folder} did not finish ({record.status}): there is no result to reproduce.")
    if record.seed is None or record.preset is None:
        raise FormatError(
            f"{folder} was not made by cryobench run (its record has no seed or preset): reproduce results of other "
            "programs with those programs."
        )
    try:
        get_method(record.method)
    except UnknownName as error:
        raise FormatError(f"{folder} was not made by an installed method: {error}") from error
    data = find_dataset(first, dataset)
    if record.version != __version__ and progress is not None:
        progress.note(f"{folder} was made by cryobench {record.version}, this is {__version__}: results may differ.")
    options = {"device": record.machine.device.split(":")[0], "workers": record.machine.workers, **machine}
    found = run(
        record.method,
        data,
        output,
        seed=record.seed,
        preset=record.preset,
        settings=dict(record.settings),
        mask=_choose_mask(record, mask, data.particles),
        precision=record.machine.precision,  # pyright: ignore[reportArgumentType]
        progress=progress or Silent(),
        **options,
    )
    return found, compare(first, found)


def compare(one: Reconstruction, other: Reconstruction) -> Comparison:
    """Relative root mean square differences of the parts; infinite if shapes differ or one lacks a part.

    Volumes are compared only if both have some.
    """
    differences = {}
    for part in ("latents", "posteriors", "rotations", "shifts"):
        first, second = getattr(one, part), getattr(other, part)
        if first is not None or second is not None:
            differences[part] = _difference(first, second)
    if one.volumes is not None and other.volumes is not None:
        if len(one.volumes) != len(other.volumes):
            return Comparison({**differences, "volumes": float("inf")})
        found = [_difference(one.volumes.read(item), other.volumes.read(item)) for item in range(len(one.volumes))]
        differences["volumes"] = max(found, default=0.0)
    return Comparison(differences)


def _difference(one: np.ndarray | None, other: np.ndarray | None) -> float:
    if one is None or other is None or one.shape != other.shape:
        return float("inf")
    if np.array_equal(one, other, equal_nan=True):
        return 0.0
    first, second = np.nan_to_num(one.astype(np.float64)), np.nan_to_num(other.astype(np.float64))
    scale = float(np.sqrt(np.square(first).mean()))
    return float(np.sqrt(np.square(first - second).mean())) / max(scale, 1e-300)


def _choose_mask(record: RunRecord, mask: Path | None, particles: Particles) -> str | Path | None:
    """The ``mask`` argument of ``run`` that gives the recorded mask prior."""
    prior = record.priors.mask
    if prior.startswith("file "):
        if mask is None:
            raise ValueError(f"the run was given a mask, {prior}: give that file with --mask FILE.")
        digest = digest_mask(read_mask(mask, particles.box_size, particles.pixel_size))
        if not prior.endswith(f"({digest})"):
            raise ValueError(
                f"the run was given the mask {prior}, and {mask} has {digest}: give the same with --mask."
            )
        return mask
    if mask is not None:
        raise ValueError(f"the run was given no mask file (its prior is {prior!r}): leave --mask out.")
    return "none" if prior == "none" and particles.mask is not None else None
