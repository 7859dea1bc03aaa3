"""True values as shown on axes: angles in degrees, with unit and period."""

from dataclasses import dataclass

import numpy as np

from cryobench.data import CollectiveVariable, GroundTruth


@dataclass(frozen=True, eq=False)
class TruthAxis:
    """One true number per particle to plot against: a collective variable, or the state index."""

    name: str
    values: np.ndarray
    """(n,) degrees where the variable is in radians; NaN where it is unknown."""
    unit: str = ""
    period: float | None = None
    """Period of the variable if it is periodic."""

    @property
    def title(self) -> str:
        """Name with unit, as an axis title."""
        return f"{self.name} / {self.unit}" if self.unit else self.name


def variable_axis(name: str, variable: CollectiveVariable) -> TruthAxis:
    """A collective variable as an axis: in degrees where it is an angle."""
    values = np.asarray(variable.values, dtype=np.float64)
    if variable.unit == "rad":
        period = None if variable.period is None else float(np.rad2deg(variable.period))
        return TruthAxis(name, np.rad2deg(values), "°", period)
    return TruthAxis(name, values, variable.unit, variable.period)


def choose_truth_axis(truth: GroundTruth) -> TruthAxis:
    """The first collective variable, in degrees where it is an angle; the state index if there is none."""
    for name, variable in truth.variables.items():
        return variable_axis(name, variable)
    return TruthAxis("state", np.where(truth.states < 0, np.nan, truth.states.astype(np.float64)))
