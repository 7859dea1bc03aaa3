"""All states of a data set as one table: particles, mass and collective variables of each."""

from typing import Any

import numpy as np
import pandas as pd

from cryobench.data import Dataset, GroundTruth
from cryobench.report.axes import TruthAxis, variable_axis

JUNK = "junk"
"""Name of the variable that gives the kind of junk in an image, as in ``recipes.draws.Junk``."""


def list_states(dataset: Dataset) -> pd.DataFrame | None:
    """One row per state: state, name, particles, mass (kDa, NaN if not on the card), and every collective variable.

    Collective variables are means over the state's particles, in degrees where they are angles. None without truth.
    """
    truth = dataset.truth
    if truth is None:
        return None
    n_states = truth.n_states
    known = truth.states >= 0
    states = truth.states[known]
    counts = np.bincount(states, minlength=n_states)
    names = truth.state_names or tuple(str(state) for state in range(n_states))
    columns: dict[str, Any] = {"state": np.arange(n_states), "name": list(names), "particles": counts}
    columns["mass"] = _masses(dataset, truth)
    for axis in collective_axes(truth):
        title = axis.title if axis.title not in columns else f"variable {axis.title}"
        columns[title] = _mean_by_state(axis, states, axis.values[known], n_states)
    return pd.DataFrame(columns)


def collective_axes(truth: GroundTruth) -> list[TruthAxis]:
    """The collective variables as axes, without ``JUNK``."""
    return [variable_axis(name, variable) for name, variable in truth.variables.items() if name != JUNK]


def _masses(dataset: Dataset, truth: GroundTruth) -> np.ndarray:
    """Mass of every state in kDa; NaN where it is not known."""
    if truth.state_facts is not None and "mass_kda" in truth.state_facts:
        return truth.state_facts["mass_kda"].to_numpy(dtype=np.float64)
    mass = np.full(truth.n_states, np.nan)
    for entry in dataset.card.get("states") or []:
        if isinstance(entry, dict) and "mass_kda" in entry and 0 <= int(entry.get("state", -1)) < len(mass):
            mass[int(entry["state"])] = float(entry["mass_kda"])
    return mass


def _mean_by_state(axis: TruthAxis, states: np.ndarray, values: np.ndarray, n_states: int) -> np.ndarray:
    finite = np.isfinite(values)
    states, values = states[finite], values[finite]
    counts = np.bincount(states, minlength=n_states)
    with np.errstate(invalid="ignore"):
        if axis.period is None:
            return np.bincount(states, values, n_states) / counts
        angle = 2 * np.pi * values / axis.period
        sums = [np.bincount(states, part, n_states) / counts for part in (np.cos(angle), np.sin(angle))]
    return np.mod(np.arctan2(sums[1], sums[0]) / (2 * np.pi), 1.0) * axis.period
