"""Composition of states: occupancy of each component in each state, and the assembly graph."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cryobench._sampling import spread_indices
from cryobench.data import GroundTruth

MOST_SHOWN = 60
"""States and components drawn in the map; of more, evenly spaced ones."""


@dataclass(frozen=True, eq=False)
class Assembly:
    """The assembly graph, laid out from left to right."""

    nodes: pd.DataFrame
    """One row per state: state, name, particles, x (components present), y."""
    edges: np.ndarray
    """(e, 2) row indices of ``nodes``: from, to."""


def state_name(truth: GroundTruth, state: int) -> str:
    """Name of a state, or its number if it has none."""
    return str(state) if truth.state_names is None else truth.state_names[state]


def occupancy_map(truth: GroundTruth) -> pd.DataFrame | None:
    """Occupancies in [0, 1]: a row per component, a column per state (by name), in order."""
    components = truth.components
    if components is None:
        return None
    states, parts = (spread_indices(count, MOST_SHOWN, nearest=True) for count in components.occupancies.shape)
    values = components.occupancies[np.ix_(states, parts)].T
    names = [components.names[part] for part in parts]
    return pd.DataFrame(values, index=names, columns=[state_name(truth, int(state)) for state in states])


def lay_out_assembly(truth: GroundTruth) -> Assembly | None:
    """Layout of states by number of components present; None without edges, or with too many states to draw."""
    components = truth.components
    if components is None or not len(components.edges) or len(components.occupancies) > MOST_SHOWN:
        return None
    level = components.occupancies.sum(axis=1)
    nodes = pd.DataFrame(
        {
            "state": np.arange(len(level)),
            "name": [state_name(truth, state) for state in range(len(level))],
            "particles": np.bincount(truth.states[truth.states >= 0], minlength=len(level)),
            "x": level,
            "y": _part(level, _heights(components.edges, _depths(components.edges, len(level)))),
        }
    )
    return Assembly(nodes, components.edges)


def _depths(edges: np.ndarray, n_states: int) -> np.ndarray:
    """Number of edges on the longest path to each state (s,), at most the number of states if there is a cycle."""
    depth = np.zeros(n_states, dtype=np.int64)
    for _ in range(n_states):
        deeper = depth.copy()
        np.maximum.at(deeper, edges[:, 1], np.minimum(depth[edges[:, 0]] + 1, n_states))
        if (deeper == depth).all():
            break
        depth = deeper
    return depth


def _heights(edges: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Coordinate (s,) across the direction of assembly: states of one depth side by side, near their predecessors."""
    height = np.zeros(len(depth))
    for value in np.unique(depth):
        here = np.flatnonzero(depth == value)
        sources = [edges[edges[:, 1] == state, 0] for state in here]
        wanted = np.array([height[found].mean() if len(found) else 0.0 for found in sources])
        order = np.argsort(wanted, kind="stable")
        height[here[order]] = np.arange(len(here)) - (len(here) - 1) / 2
    return height


def _part(level: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Heights (s,) moved up until no two states overlap."""
    taken: set[tuple[float, float]] = set()
    moved = height.copy()
    for state, position in enumerate(np.round(level, 6).tolist()):
        while (position, moved[state]) in taken:
            moved[state] += 1
        taken.add((position, moved[state]))
    return moved
