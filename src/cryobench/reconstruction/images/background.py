"""Removal of a background of the images, for methods that assume it to be zero, as in extracted particles."""

from dataclasses import replace

import numpy as np

from cryobench._sampling import spread_indices
from cryobench.data import LevelledImages, Particles, corner_pixels

LEAST_LEVEL = 0.1
"""Background, relative to the standard deviation of the pixels, from which it is subtracted. Signal delocalised
into the corners by the CTF stays well below."""
_SAMPLE = 512


def level_background(particles: Particles) -> tuple[Particles, tuple[str, ...]]:
    """Particles with the background of each image subtracted, and notes for the user.

    The background is the mean of the corners, beyond the largest circle. If its root mean square in a sample of the
    images is below ``LEAST_LEVEL``, the particles are returned unchanged.
    """
    chosen = spread_indices(len(particles), _SAMPLE)
    images = particles.read(chosen).astype(np.float64)
    corners = images[:, corner_pixels(particles.box_size)]
    noise, variance = corners.var(axis=1).mean() / corners.shape[1], images.var(axis=(1, 2)).mean()
    if not variance > 0:
        return particles, ()
    level = np.sqrt(max(np.square(corners.mean(axis=1)).mean() - noise, 0.0) / variance)
    if not level > LEAST_LEVEL:
        return particles, ()
    note = (
        f"The images have a background of {level:.2g} of their standard deviation: the mean of the corners of each "
        "was subtracted."
    )
    return replace(particles, images=LevelledImages(particles.images)), (note,)
