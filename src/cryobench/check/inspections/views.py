"""Preferred views: how evenly the viewing directions sample the directions of Fourier space."""

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
"""Share of what even views give to a direction, below which it is as good as not sampled."""


@dataclass(frozen=True)
class Views:
    """Sampling of Fourier space by the views of a data set."""

    evenness: float
    """Images that evenly spread views would need for as good a map, for each image that is there: 1 is even."""
    unseen: float
    """Share of the directions of Fourier space that next to no view holds."""

    @property
    def notes(self) -> list[str]:
        """A sentence, where views are uneven."""
        if self.evenness >= UNEVEN:
            return []
        never = (
            f"; {self.unseen:.0%} of the directions of Fourier space are in next to no view" if self.unseen else ""
        )
        return [
            f"Views are preferred: evenly spread, {self.evenness:.0%} of the images would give as good a map{never}."
        ]


def measure_views(rotations: Float[np.ndarray, "n 3 3"]) -> Views:
    """Evenness of the views of n particles, from their rotations.

    A direction d of Fourier space lies in the slice of a view v where v is perpendicular to d. The noise of a map
    goes with the mean, over all d, of one over the number of its slices, so the harmonic mean of that number is what
    evenly spread views would need. Directions that no view holds count as ``_UNSEEN`` of an even share.
    Source: the sampling compensation factor of Baldwin & Lyumkis, Prog. Biophys. Mol. Biol. 150 (2020) 160,
    doi:10.1016/j.pbiomolbio.2019.09.002.
    """
    width = 1 / (2 * _SHELL)
    hits = np.abs(rotations[:, 2] @ spread_orientations(_DIRECTIONS)[:, 2].T) < width
    share = hits.mean(axis=0) / width
    return Views(float(1 / np.mean(1 / np.maximum(share, _UNSEEN))), float((share < _UNSEEN).mean()))
