"""``VolumeSeries``: ordered volumes of a run, with their positions in its latent space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cryobench._display import Displayed
from cryobench.data._checks import check_shapes
from cryobench.data.sources import VolumeSource


@dataclass(frozen=True, eq=False, repr=False)
class VolumeSeries(Displayed):
    """Volumes at latents, in order.

    Raises
    ------
    ValueError
        If the parts differ in length.
    """

    title: str
    """Description that follows "volumes"."""
    latents: np.ndarray
    """(f, d) latent of each volume."""
    particles: np.ndarray
    """(f,) particle nearest to each latent."""
    volumes: VolumeSource
    positions: np.ndarray | None = None
    """(f,) increasing positions along a line through the latents; None if there is no line."""
    counts: np.ndarray | None = None
    """(f,) number of particles that each represents or is made of; None if not counted."""

    def __post_init__(self) -> None:
        length = len(self.latents)
        check_shapes(self, latents="f d", particles="f", positions="f", counts="f")
        if len(self.volumes) != length:
            raise ValueError(f"a series of {length} latents has {len(self.volumes)} volumes.")
