"""One simulation as a set of parts, each of one or more states, with the files they write.

A part is the unit of work of a worker, and of resuming an interrupted simulation. Where images are slices of volumes
it is one state; where they are projected from atoms, as many as give about ``IMAGES_PER_PART`` images.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int

from cryobench.atoms.model import AtomicModel
from cryobench.io.folders.trajectory_volumes import FRAMES_PER_FILE
from cryobench.recipes.recipe import Ensemble, FrameEnsemble
from cryobench.recipes.settings import SimulationSettings
from cryobench.recipes.states.kept_models import KeptModels

IMAGES_PER_PART = FRAMES_PER_FILE
FEW_IMAGES = 20
"""States with fewer images than this on average are projected from their atoms."""


@dataclass(frozen=True)
class StateResult:
    """Measurements from making one state."""

    state: int
    n_images: int
    mass: float
    signal_variance: float
    noise_variance: float


@dataclass(frozen=True)
class PartResult:
    """Measurements from making a part, kept in a small file that marks it as finished."""

    part: int
    n_images: int
    stack_sha256: str | None
    """None if no particle of the part was selected."""
    states: list[StateResult]


@dataclass(frozen=True, eq=False)
class Job:
    """Everything a worker needs. Picklable; the same in every worker."""

    ensemble: Ensemble
    settings: SimulationSettings
    seed: int
    folder: Path
    counts: np.ndarray
    """(states,) images per state in the whole data set."""
    states: np.ndarray
    """(n,) state of each particle of the whole data set, in the order of its table."""
    selection: range
    """Particles that are made: all of them, or a range of the table."""
    chunk: int
    signal_variance: float = float("nan")
    """Mean variance of noise-free images over the data set, where one noise level holds for all states."""
    structural_deviation: float = float("nan")
    """Standard deviation of the noise before the CTF, if there is any."""
    models: KeptModels = field(default_factory=KeptModels)
    """Models already built in this process."""

    def model(self, state: int) -> AtomicModel:
        """Atoms of one state; read-only."""
        return self.models.get(self.ensemble, state)

    @cached_property
    def projection(self) -> Literal["slices", "atoms"]:
        """Whether images are slices of volumes or projections of atoms."""
        if isinstance(self.ensemble, FrameEnsemble):
            return "atoms"
        if self.settings.projection != "auto":
            return self.settings.projection
        return "atoms" if self.counts.mean() < FEW_IMAGES else "slices"

    @cached_property
    def states_per_part(self) -> int:
        """States made together."""
        return 1 if self.projection == "slices" else max(1, round(IMAGES_PER_PART / self.counts.mean()))

    @property
    def n_parts(self) -> int:
        """Parts of the whole data set."""
        return -(-len(self.counts) // self.states_per_part)

    def states_of(self, part: int) -> range:
        """States of a part."""
        return range(part * self.states_per_part, min((part + 1) * self.states_per_part, len(self.counts)))

    def particles_of(self, part: int) -> Int[np.ndarray, "m"]:
        """Selected particles of a part, state by state: the order of its stack."""
        states = self.states_of(part)
        found = self._by_state[self._ends[states.start] : self._ends[states.stop]]
        return found[(found >= self.selection.start) & (found < self.selection.stop)]

    def all_particles_of(self, state: int) -> Int[np.ndarray, "m"]:
        """Particles of one state, selected or not."""
        return self._by_state[self._ends[state] : self._ends[state + 1]]

    def stack_path(self, part: int) -> Path:
        """Stack of a part within the data set."""
        return Path("particles", f"{_number(part, self.n_parts)}.mrcs")

    def volume_path(self, state: int) -> Path:
        """True volume of one state within the data set."""
        return Path("truth", "volumes", f"{_number(state, len(self.counts))}.mrc")

    def mark_path(self, part: int) -> Path:
        """Marker file of a finished part, within the folder of an unfinished simulation."""
        return Path("simulation", f"{part:03d}.json")

    @cached_property
    def _by_state(self) -> Int[np.ndarray, "n"]:
        return np.argsort(self.states, kind="stable")

    @cached_property
    def _ends(self) -> Int[np.ndarray, "_"]:
        return np.append(0, np.cumsum(self.counts))


def _number(index: int, count: int) -> str:
    """Index of a file among ``count``, zero-padded to sort by name: three digits or more."""
    return f"{index:0{max(3, len(str(count - 1)))}d}"
