"""``Motion``: a finding of methods that deform a volume instead of adding to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cryobench._display import Displayed


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
        if self.volume.ndim != 3 or len(set(self.volume.shape)) != 1:
            raise ValueError(f"the moving volume must be a cube, got shape {self.volume.shape}.")
        if self.latents.ndim != 3:
            raise ValueError(f"latents of a motion must have 3 axes, got shape {self.latents.shape}.")
        axes, steps = self.latents.shape[:2]
        count = len(self.points)
        if (
            self.points.shape != (count, 3)
            or self.masses.shape != (count,)
            or self.displacements.shape != (axes, steps, count, 3)
        ):
            raise ValueError(
                f"displacements of shape {self.displacements.shape} and masses of shape {self.masses.shape} do not "
                f"fit points of shape {self.points.shape} and latents of shape {self.latents.shape}."
            )
        if not self.pixel_size > 0:
            raise ValueError(f"the pixel size of a motion must be positive, got {self.pixel_size} Å.")
