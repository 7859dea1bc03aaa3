"""A rough map of what all particles have in common, from few of them: enough to see where the molecule is."""

import numpy as np

from cryobench._progress import Progress
from cryobench.compute import Compute
from cryobench.data import Particles
from cryobench.reconstruction.engine import Passes
from cryobench.reconstruction.statistics.backprojection import backproject

N_IMAGES = 1000
"""Images at most, evenly spaced through the table: a second's reading."""
BOX_SIZE = 32
"""Voxels a side at most."""


def draw_consensus(particles: Particles, progress: Progress | None = None) -> np.ndarray:
    """Two maps (2, z, y, x) float32 of the even and the odd ones among some particles, at their given poses.

    Signal is common to the two, and noise is not: the mean of their product over a region is the power of the
    consensus there. They cover the whole box on ``BOX_SIZE`` voxels a side at most. ValueError as ``Passes``.
    """
    count = min(N_IMAGES, len(particles))
    some = particles.select(np.linspace(0, len(particles) - 1, count).astype(np.int64))
    passes = Passes(some.at_box(min(BOX_SIZE, particles.box_size)), Compute(), progress=progress)
    return backproject(passes, np.eye(2, dtype=np.float32)[np.arange(count) % 2])
