"""Preferred views: evenness with which the viewing directions sample Fourier space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cryobench.rotations import spread_orientations

_SHELL = 8
"""Radius, in Fourier voxels, of the shell whose sampling is counted: a slice is one voxel thick."""
_DIRECTIONS = 500
UNEVEN = 0.8
"""Sampling, relative to that of even views, below which views are called preferred."""
_UNSEEN = 0.05
"""Fraction of the even sampling below which a direction counts as unsampled."""


@dataclass(frozen=True)
class Views:
    """Sampling of Fourier space by the views of a data set."""

    evenness: float
    """Number of evenly spread images needed for as good a map, per actual image: 1 is even."""
    unseen: float
    """Fraction of the directions of Fourier space in almost no view."""

    @property
    def notes(self) -> list[str]:
        """A sentence, if views are uneven."""
        if self.evenness >= UNEVEN:
            return []
        never = f"; {self.unseen:.0%} of the directions of Fourier space are in almost no view" if self.unseen else ""
        return [
            f"Views are preferred: evenly spread, {self.evenness:.0%} of the images would give as good a map{never}."
        ]


def measure_views(rotations: Float[np.ndarray, "n 3 3"]) -> Views:
    """Evenness of the views of n particles, from their rotations.

    A direction d of Fourier space is in the slice of a view v if v is perpendicular to d. The noise of a map is
    proportional to the mean, over all d, of one over the number of its slices, so evenly spread views would need the
    harmonic mean of that number. Directions in no view count as ``_UNSEEN`` of the even sampling.
    Source: the sampling compensation factor of Baldwin & Lyumkis, Prog. Biophys. Mol. Biol. 150 (2020) 160,
    doi:10.1016/j.pbiomolbio.2019.09.002.
    """
    width = 1 / (2 * _SHELL)
    hits = np.abs(rotations[:, 2] @ spread_orientations(_DIRECTIONS)[:, 2].T) < width
    fraction = hits.mean(axis=0) / width
    return Views(float(1 / np.mean(1 / np.maximum(fraction, _UNSEEN))), float((fraction < _UNSEEN).mean()))
