"""``VolumeSeries``: volumes of a run in an order, and where in its latent space each of them stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cryobench._display import Displayed
from cryobench.data._checks import check_shape
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
    """How it was made, in words, as they follow "volumes"."""
    latents: np.ndarray
    """(f, d) of each volume."""
    particles: np.ndarray
    """(f,) the particle whose latent is nearest to each."""
    volumes: VolumeSource
    positions: np.ndarray | None = None
    """(f,) rising along a line that goes through the latents in order; None where there is no line."""
    counts: np.ndarray | None = None
    """(f,) how many particles each stands for or is made of; None where that is not counted."""

    def __post_init__(self) -> None:
        length = len(self.latents)
        for name in ("particles", "positions", "counts"):
            values = getattr(self, name)
            if values is not None:
                check_shape(f"{name} of a series", values, (length,))
        if len(self.volumes) != length:
            raise ValueError(f"a series of {length} latents has {len(self.volumes)} volumes.")
