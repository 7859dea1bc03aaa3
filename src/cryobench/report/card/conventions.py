"""The convention check stored with a data set, as a section of its card: verdicts, curves and half-maps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cryobench.check import VERDICTS, read_check, read_open_faults
from cryobench.data import Dataset

_CURVES = {"found": "reading that was found", "stated": "as stated", "chance": "poses of other images"}


@dataclass(frozen=True, eq=False)
class ConventionView:
    """The parts of a check that are shown."""

    conclusion: str
    n_particles: int
    faults: list[str]
    notes: list[str]
    trials: pd.DataFrame
    """Columns name, says, gain, error, verdict (as text), highest gain first."""
    curves: pd.DataFrame | None
    """Columns curve, frequency (1/Å), fsc; None without poses."""
    halves: np.ndarray | None
    """(2, z, y, x)."""


def view_conventions(dataset: Dataset) -> ConventionView | None:
    """View of the check stored with a data set; None if it was not checked, or is not in a folder."""
    kept = read_check(dataset.path)
    if kept is None:
        return None
    found = kept.found
    trials = pd.DataFrame(found["trials"], columns=["name", "says", "gain", "error", "verdict"])
    trials = trials.sort_values("gain", ascending=False).assign(verdict=lambda rows: rows["verdict"].map(VERDICTS))
    return ConventionView(
        found["conclusion"],
        found["particles"],
        read_open_faults(dataset.path),
        [*found["notes"], *found["unknown"]],
        trials,
        None if found["fsc"] is None else _curves(found["fsc"]),
        kept.halves,
    )


def _curves(kept: dict[str, Any]) -> pd.DataFrame:
    tables = [
        pd.DataFrame(
            {"curve": words, "frequency": np.arange(len(kept[name])) / kept["box_length"], "fsc": kept[name]}
        )
        for name, words in _CURVES.items()
        # Where nothing was corrected, the stated reading is the one found.
        if name != "stated" or kept["stated"] != kept["found"][: len(kept["stated"])]
    ]
    return pd.concat(tables, ignore_index=True)
