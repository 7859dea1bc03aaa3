"""Size of the images before any is prepared, from a sample."""

import numpy as np

from cryobench._sampling import spread_indices
from cryobench.data import CHUNK, Particles

_SAMPLE = 1000


def sum_squares(particles: Particles) -> tuple[float, int]:
    """Sum of the squared pixels of a sample of the images, each about its own mean, and the number of the images.

    ValueError if all images are constant.
    """
    chosen = spread_indices(len(particles), _SAMPLE)
    total = 0.0
    for first in range(0, len(chosen), CHUNK):
        images = particles.read(chosen[first : first + CHUNK]).astype(np.float64)
        total += float(np.square(images - images.mean(axis=(1, 2), keepdims=True)).sum())
    if not total > 0:
        raise ValueError("the images are constant: all pixels of an image are equal. Is the stack blank?")
    return total, len(chosen)
