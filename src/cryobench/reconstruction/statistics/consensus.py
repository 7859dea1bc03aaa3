"""Rough consensus map from few particles: enough to locate the molecule."""

import numpy as np
from jaxtyping import Float

from cryobench._progress import Progress
from cryobench._sampling import spread_indices
from cryobench.compute import Compute
from cryobench.data import Particles
from cryobench.reconstruction.engine import Passes
from cryobench.reconstruction.statistics.backprojection import backproject

N_IMAGES = 1000
"""Most images, evenly spaced in the table: read in a second."""
BOX_SIZE = 32
"""Most voxels a side."""


def draw_consensus(particles: Particles, progress: Progress | None = None) -> Float[np.ndarray, "2 z y x"]:
    """Two maps (2, z, y, x) float32 from even and odd ones of some particles, at their given poses.

    Signal is common to the two, noise is not: the mean of their product over a region is the power of the
    consensus there. They cover the whole box on at most ``BOX_SIZE`` voxels a side. ValueError as ``Passes``.
    """
    some = particles.select(spread_indices(len(particles), N_IMAGES))
    passes = Passes(some.at_box(min(BOX_SIZE, particles.box_size)), Compute(), progress=progress)
    return backproject(passes, np.eye(2, dtype=np.float32)[np.arange(len(some)) % 2])
