"""``GroundTruth``: the known truth about each particle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cryobench._display import Displayed
from cryobench.data._checks import check_poses, check_range, check_shape, freeze
from cryobench.data.sources import VolumeSource
from cryobench.imaging.ctf import Ctf


@dataclass(frozen=True, eq=False, repr=False)
class CollectiveVariable(Displayed):
    """One number per particle that describes its conformation, such as an angle or a distance."""

    values: np.ndarray
    """(n,)."""
    unit: str
    """"rad", "Å", "" ..."""
    period: float | None = None
    """Period of a circular variable, else None."""


@dataclass(frozen=True, eq=False, repr=False)
class StateComponents(Displayed):
    """Components present in each state, and the assembly graph of the states.

    Raises
    ------
    ValueError
        If there is not one name per column, an occupancy is outside [0, 1], or an edge names an unknown state.
    """

    names: tuple[str, ...]
    """(c,) names of the components."""
    occupancies: np.ndarray
    """(states, c) in [0, 1]."""
    edges: np.ndarray = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    """(e, 2) pairs of states (from, to): the assembly graph."""

    def __post_init__(self) -> None:
        occupancies = freeze(self, "occupancies", np.array(self.occupancies, dtype=np.float64, ndmin=2))
        if occupancies.shape[1] != len(self.names):
            raise ValueError(f"there are {len(self.names)} components, but occupancies of {occupancies.shape[1]}.")
        if not ((occupancies >= 0) & (occupancies <= 1)).all():
            raise ValueError(
                f"occupancies must be between 0 and 1, found {np.nanmin(occupancies)} to {np.nanmax(occupancies)}."
            )
        edges = freeze(self, "edges", np.array(self.edges, dtype=np.int64).reshape(-1, 2))
        check_range("state of an edge", edges.ravel(), 0, len(occupancies))


@dataclass(frozen=True, eq=False, repr=False)
class GroundTruth(Displayed):
    """Truth for recipes, metrics and controls only. Unknown parts are None, or a state of −1.

    Raises
    ------
    ValueError
        If the parts differ in length, a state has no volume, or only rotations or only shifts are given.
    """

    states: np.ndarray
    """(n,) index of each particle's state, which is also the index of its volume; −1 if unknown."""
    volumes: VolumeSource | None = None
    """Volume of each state, on the grid of the images; None if only labels are known."""
    rotations: np.ndarray | None = None
    """(n, 3, 3) true poses, or None if they are unknown."""
    shifts: np.ndarray | None = None
    """(n, 2) Å, or None if the poses are unknown."""
    embedding: np.ndarray | None = None
    """(n, d) coordinates in which distance means difference in conformation, or None."""
    variables: Mapping[str, CollectiveVariable] = field(default_factory=dict)
    """Named collective variables."""
    components: StateComponents | None = None
    """Composition of each state, if states differ in composition."""
    state_names: tuple[str, ...] | None = None
    """Name of each state, if they have names."""
    state_facts: pd.DataFrame | None = None
    """Further numbers per state, one column each, such as ``mass_kda``, ``images`` and ``noise_variance``."""
    ctf: Ctf | None = None
    """True CTF parameters of n particles, if methods are given inexact ones; None if the given ones are true."""

    def __post_init__(self) -> None:
        states = freeze(self, "states", np.array(self.states, dtype=np.int64, ndmin=1))
        n = len(states)
        check_range("state", states, -1, self.n_states)
        check_poses(self, n)
        if self.embedding is not None:
            embedding = np.array(self.embedding, dtype=np.float64)
            freeze(self, "embedding", check_shape("embedding", embedding, (n, embedding.shape[-1])))
        for name, variable in self.variables.items():
            check_shape(f"collective variable {name}", variable.values, (n,))
        if self.components is not None and len(self.components.occupancies) != self.n_states:
            raise ValueError(
                f"there are {self.n_states} states, but occupancies of {len(self.components.occupancies)}."
            )
        if self.state_names is not None and len(self.state_names) != self.n_states:
            raise ValueError(f"there are {self.n_states} states, but {len(self.state_names)} state names.")
        if self.state_facts is not None and len(self.state_facts) != self.n_states:
            raise ValueError(f"there are {self.n_states} states, but facts of {len(self.state_facts)}.")
        if self.ctf is not None and len(self.ctf) != n:
            raise ValueError(f"there are {n} particles, but true CTF parameters of {len(self.ctf)}.")

    def __len__(self) -> int:
        return len(self.states)

    @property
    def n_states(self) -> int:
        """Number of states: of volumes, else of names, facts or occupancies, else up to the largest label."""
        for known in (self.volumes, self.state_names, self.state_facts):
            if known is not None:
                return len(known)
        if self.components is not None:
            return len(self.components.occupancies)
        return int(self.states.max(initial=-1)) + 1

    def volume_of(self, particle: int) -> np.ndarray:
        """True volume (z, y, x) of a particle. ValueError if its state or the volumes are unknown."""
        if self.volumes is None:
            raise ValueError("the true volumes are unknown: this truth has labels only.")
        state = int(self.states[particle])
        if state < 0:
            raise ValueError(f"particle {particle} has no known state, hence no true volume.")
        return self.volumes.read(state)
