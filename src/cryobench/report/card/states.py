"""The states a card shows: their reduced volumes, the power of their shells, and their properties."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cryobench._progress import Task
from cryobench._sampling import spread_indices
from cryobench.data import Dataset
from cryobench.fourier import shell_power
from cryobench.report.card.state_list import list_states
from cryobench.report.surfaces import reduce_volume, shade_surface, typical_density

MOST_STATES = 48
"""States for boxes up to 128 px; fewer for larger ones, whose volumes take longer to read or to render."""
REDUCED = 64
"""Box size of the volumes kept, in voxels."""
LEVEL = 0.25
"""Threshold of the pictures, as a fraction of the typical density of the states."""
PICTURE_SIZE = 112


@dataclass(frozen=True, eq=False)
class StateView:
    """One state as the card shows it."""

    state: int
    name: str
    particles: int
    mass: float
    """kDa; NaN if it is not known."""
    variables: dict[str, float]
    """Collective variables: title with unit to the mean over the state's particles."""
    volume: np.ndarray
    """(z, y, x), reduced."""
    power: np.ndarray
    """(s,) mean |F|² of each shell of the volume before reduction."""


def view_states(dataset: Dataset, task: Task) -> list[StateView]:
    """At most ``MOST_STATES`` states, evenly spaced; empty without true volumes. Each volume is read once."""
    truth, table = dataset.truth, list_states(dataset)
    if truth is None or truth.volumes is None or table is None or not len(truth.volumes):
        return []
    count = min(MOST_STATES, max(8, MOST_STATES * 128 // truth.volumes.box_size))
    variables = [name for name in table.columns if name not in ("state", "name", "particles", "mass")]
    views = []
    for state in spread_indices(len(truth.volumes), count, nearest=True).tolist():
        volume = np.ascontiguousarray(truth.volumes.read(state), dtype=np.float32)
        row = table.iloc[state]
        views.append(
            StateView(
                state=state,
                name=str(row["name"]),
                particles=int(row["particles"]),
                mass=float(row["mass"]),
                variables={name: float(row[name]) for name in variables},
                volume=reduce_volume(volume, REDUCED),
                power=shell_power(torch.from_numpy(volume.copy())),
            )
        )
        task.advance()
    return views


def choose_level(states: Sequence[StateView]) -> float:
    """Common threshold of all states: their densities are on one scale, so a lighter state looks smaller."""
    return LEVEL * float(np.median([typical_density(view.volume) for view in states]))


def picture_states(states: Sequence[StateView]) -> list[np.ndarray]:
    """Shaded surface of every state from one direction and on one scale, (``PICTURE_SIZE``,) * 2, NaN outside.

    The box is cropped to the central cube that contains the surfaces of all states.
    """
    if not states:
        return []
    level = choose_level(states)
    reach = max(_reach(view.volume, level) for view in states)
    middle = states[0].volume.shape[-1] // 2
    start, stop = max(0, middle - reach - 2), middle + reach + 3
    return [
        shade_surface(view.volume[start:stop, start:stop, start:stop], level, size=PICTURE_SIZE) for view in states
    ]


def _reach(volume: np.ndarray, level: float) -> int:
    """Distance in voxels from the centre to the farthest voxel above a level."""
    axis = np.arange(volume.shape[-1]) - volume.shape[-1] // 2
    positions = np.argwhere(volume > level)
    return int(np.ceil(np.linalg.norm(axis[positions], axis=1).max(initial=1.0)))
