"""What a check found, as plain values, and kept with a data set in ``check.json``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryobench.check.conventions import ConventionCheck
from cryobench.io.atomic import read_json, write_json

FILE = "check.json"


def describe_check(check: ConventionCheck) -> dict[str, Any]:
    """Everything but arrays of images and volumes: conclusion, faults, every trial with its evidence."""
    return {
        "conclusion": check.conclusion,
        "particles": check.n_particles,
        "faults": [asdict(fault) for fault in check.faults],
        "unknown": list(check.unknown),
        "trials": [asdict(trial) for trial in check.trials],
        "gain": check.gain,
        "fsc": None if check.fsc is None else [round(float(value), 5) for value in check.fsc],
        "images": {name: float(value) for name, value in asdict(check.images).items()},
        **{
            name: None if (part := getattr(check, name)) is None else asdict(part)
            for name in ("contrast", "mask", "strangers")
        },
    }


def keep_check(check: ConventionCheck, folder: Path) -> Path:
    """Write ``check.json`` into the folder of a data set."""
    write_json(folder / FILE, describe_check(check))
    return folder / FILE


def has_check(folder: Path) -> bool:
    """Whether a check is kept with a data set."""
    return (folder / FILE).exists()


def read_open_faults(folder: Path | None) -> list[str]:
    """Sentences on faults that were found in a data set and are kept with it; none if it was not checked."""
    if folder is None or not has_check(folder):
        return []
    found = read_json(folder / FILE)
    return [
        f"{fault['says']}: {fault['evidence']}. Way out: {fault['way_out']}." for fault in found.get("faults", [])
    ]
