"""Plan of a pose search: grids of orientations and shifts, and the radius of each level."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from cryobench.imaging.shift_scores import ShiftGrid
from cryobench.reconstruction.poses.orientations import N_CHILDREN, OrientationGrid


@dataclass(frozen=True)
class SearchPlan:
    """Grids, and the radius of each level.

    Raises
    ------
    ValueError
        If radii do not ascend, or no orientation is kept.
    """

    radii: tuple[int, ...]
    """Radius of each level, in index units: level 0 scores all orientations and shifts."""
    shifts: ShiftGrid
    """Shifts of level 0; each level halves their extent."""
    orientations: OrientationGrid = field(default_factory=OrientationGrid)
    keep: int = 8
    """Orientations of each volume kept for the next level."""
    margin: float = np.inf
    """Score below an image's best at which an orientation is dropped."""
    shift_deviation: float | None = None
    """px, standard deviation of a Gaussian prior of shifts along each axis; None for none."""

    def __post_init__(self) -> None:
        if not self.radii or min(self.radii) < 1 or list(self.radii) != sorted(self.radii):
            raise ValueError(f"radii of a search must ascend from 1, got {self.radii}.")
        if self.keep < 1:
            raise ValueError(f"a search keeps at least one orientation, got keep={self.keep}.")

    @property
    def last(self) -> int:
        """The last level."""
        return len(self.radii) - 1

    @property
    def n_poses(self) -> int:
        """Number of orientations and shifts of a volume resolved by the last level's grids."""
        orientations = len(self.orientations.base[0]) * N_CHILDREN**self.last
        return orientations * self.shifts.count**2 * 4**self.last

    def grid(self, level: int) -> ShiftGrid:
        """Shifts of a level around those found before."""
        return self.shifts.finer(2**level)

    def log_prior(self, shifts: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
        """Logarithm (...) of the prior of shifts (..., 2) in px, up to a constant."""
        if self.shift_deviation is None:
            return np.zeros(shifts.shape[:-1], dtype=np.float32)
        return (-0.5 * (shifts / self.shift_deviation) ** 2).sum(-1).astype(np.float32)


def plan_radii(first: int, last: int, n_refinements: int) -> tuple[int, ...]:
    """Radii of the levels: growing evenly from the first to the last, rounded down; ``last`` if that is smaller."""
    first = min(first, last)
    return tuple(first + int(level / max(n_refinements, 1) * (last - first)) for level in range(n_refinements + 1))
