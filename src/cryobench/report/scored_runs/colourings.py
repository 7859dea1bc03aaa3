"""Colourings of latents: the truth of each particle, and pose and defocus, which should show no pattern."""

from dataclasses import dataclass

import numpy as np

from cryobench.data import Dataset
from cryobench.report.axes import TruthAxis
from cryobench.report.card.dataset_tables import known_rotations
from cryobench.report.card.variables import variable_axes
from cryobench.rotations import euler_from_rotations

MOST_VARIABLES = 12
FEW_STATES = 8
"""Up to this number, states have distinct colours; above it, colour is continuous in the state number."""


@dataclass(frozen=True, eq=False)
class Colouring:
    """One number per particle to colour by."""

    axis: TruthAxis
    leak: bool = False
    """Whether a latent should be independent of it."""
    n_classes: int | None = None
    """Number of distinct values, where each has its own colour."""

    @property
    def limits(self) -> tuple[float, float]:
        """Limits of the colour scale; a periodic one starts at 0, or half a period below 0 for negative values."""
        values, period = self.axis.values[np.isfinite(self.axis.values)], self.axis.period
        if period is not None:
            start = 0.0 if values.min() >= 0 else -period / 2
            return start, start + period
        if self.n_classes is not None:
            return -0.5, self.n_classes - 0.5
        return float(values.min()), float(values.max())


def colourings(dataset: Dataset) -> list[Colouring]:
    """Those of collective variables, true state, viewing direction, in-plane angle and defocus that vary."""
    found = [Colouring(axis) for axis in variable_axes(dataset)[:MOST_VARIABLES]]
    truth = dataset.truth
    if truth is not None:
        states = np.where(truth.states < 0, np.nan, truth.states.astype(np.float64))
        few = truth.n_states if truth.n_states <= FEW_STATES else None
        found.append(Colouring(TruthAxis("state", states), n_classes=few))
    rotations = known_rotations(dataset)
    if rotations is not None:
        # The viewing direction is the third row of R: the beam in the frame of the reference.
        tilt = np.rad2deg(np.arccos(np.clip(rotations[:, 2, 2], -1, 1)))
        longitude = np.mod(np.rad2deg(np.arctan2(rotations[:, 2, 1], rotations[:, 2, 0])), 360)
        psi = np.mod(np.rad2deg(euler_from_rotations(rotations)[:, 2]), 360)
        found += [
            Colouring(TruthAxis("tilt of the view from z", tilt, "°"), leak=True),
            Colouring(TruthAxis("longitude of the view", longitude, "°", 360.0), leak=True),
            Colouring(TruthAxis("in-plane angle", psi, "°", 360.0), leak=True),
        ]
    ctf = dataset.particles.ctf
    found.append(Colouring(TruthAxis("defocus", (ctf.defocus_u + ctf.defocus_v) / 2e4, "µm"), leak=True))
    return [each for each in found if np.unique(each.axis.values[np.isfinite(each.axis.values)]).size > 1]
