"""``Motion``: a finding of methods that deform a volume instead of adding to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cryobench._display import Displayed
from cryobench.data._checks import check_shapes


@dataclass(frozen=True, eq=False, repr=False)
class Motion(Displayed):
    """Motion of points of a volume along each latent axis.

    Raises
    ------
    ValueError
        If points, displacements, latents and masses are inconsistent.
    """

    kind: ClassVar[str] = "motion"
    volume: np.ndarray
    """(z, y, x) the moving volume, at rest."""
    points: np.ndarray
    """(p, 3) Å, (x, y, z) about the centre voxel, at rest."""
    masses: np.ndarray
    """(p,) non-negative density of each point."""
    latents: np.ndarray
    """(a, f, d) latents along each of a axes, in f steps."""
    displacements: np.ndarray
    """(a, f, p, 3) Å, relative to the position at rest."""
    pixel_size: float
    """Å, of the volume."""

    def __post_init__(self) -> None:
        check_shapes(self, volume="n n n", points="p 3", masses="p", latents="a f d", displacements="a f p 3")
        if not self.pixel_size > 0:
            raise ValueError(f"the pixel size of a motion must be positive, got {self.pixel_size} Å.")
