"""Results of a check as plain values, kept with a data set in ``check.json`` and ``check/``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench.check.conventions import ConventionCheck, Curves
from cryobench.io.atomic import read_json, write_json
from cryobench.io.formats.mrc import read_volume, write_volume

VERDICTS = {"holds": "holds", "rejected": "rejected", "open": "not decidable", "same": "no difference"}
"""Verdicts of trials, in words."""
FILE, MAPS = "check.json", "check"


@dataclass(frozen=True, eq=False)
class KeptCheck:
    """The kept parts of a check."""

    found: dict[str, Any]
    """As returned by ``describe_check``."""
    halves: np.ndarray | None
    """(2, z, y, x) half-maps of the reading found; None without poses."""


def describe_check(check: ConventionCheck) -> dict[str, Any]:
    """Everything except arrays of images and volumes: conclusion, faults, every trial with its evidence."""
    return {
        "conclusion": check.conclusion,
        "particles": check.n_particles,
        "faults": [asdict(fault) for fault in check.faults],
        "unknown": list(check.unknown),
        "notes": list(check.notes),
        "needs": [asdict(need) for need in check.needs],
        "trials": [asdict(trial) for trial in check.trials],
        "gain": check.gain,
        "fsc": None if (curves := check.curves) is None else _describe_curves(curves),
        "images": {name: float(value) for name, value in asdict(check.images).items()},
        **{
            name: None if (part := getattr(check, name)) is None else asdict(part)
            for name in ("contrast", "mask", "strangers", "views", "references")
        },
    }


def _describe_curves(curves: Curves) -> dict[str, Any]:
    named = {name: getattr(curves, name) for name in ("found", "stated", "chance")}
    return {
        "box_length": curves.length,
        **{name: [round(float(value), 5) for value in curve] for name, curve in named.items()},
    }


def keep_check(check: ConventionCheck, folder: Path) -> Path:
    """Write ``check.json`` and the half-maps ``check/half-map-1.mrc`` and ``-2`` into the folder of a data set."""
    for number in (1, 2):
        path = folder / MAPS / f"half-map-{number}.mrc"
        path.unlink(missing_ok=True)
        if check.volumes is not None and check.curves is not None:
            path.parent.mkdir(exist_ok=True)
            volume = check.volumes[number - 1]
            write_volume(path, volume, check.curves.length / len(volume))
    write_json(folder / FILE, describe_check(check))
    return folder / FILE


def read_check(folder: Path | None) -> KeptCheck | None:
    """The check kept with a data set, or None. FormatError if it is from an earlier version."""
    if folder is None or not has_check(folder):
        return None
    paths = [folder / MAPS / f"half-map-{number}.mrc" for number in (1, 2)]
    halves = np.stack([read_volume(path)[0] for path in paths]) if all(path.exists() for path in paths) else None
    found = read_json(folder / FILE)
    if "notes" not in found:
        raise FormatError(f"{folder / FILE} is from an earlier version: repeat 'cryobench check {folder}'.")
    return KeptCheck(found, halves)


def has_check(folder: Path) -> bool:
    """Whether a check is kept with a data set."""
    return (folder / FILE).exists()


def read_open_faults(folder: Path | None) -> list[str]:
    """Sentences on the faults kept with a data set; none if it was not checked."""
    if folder is None or not has_check(folder):
        return []
    found = read_json(folder / FILE)
    return [
        f"{fault['says']}: {fault['evidence']}. Way out: {fault['way_out']}." for fault in found.get("faults", [])
    ]
