"""Junk: images of noise only, of another molecule, or of two particles."""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from jaxtyping import Int

from cryobench._types import RotationArray, ShiftArray
from cryobench.recipes.settings import SimulationSettings
from cryobench.rng import IndexedStream
from cryobench.rotations import sample_uniform_rotation


class Junk(IntEnum):
    """Content of an image."""

    PARTICLE = 0
    NOISE = 1
    WRONG = 2
    PAIR = 3


def draw_junk(
    settings: SimulationSettings, seed: int, particles: Sequence[int] | Int[np.ndarray, "n"]
) -> Int[np.ndarray, "n"]:
    """``Junk`` of each particle: independent draws with the fractions of the settings."""
    if settings.junk_fraction == 0:
        return np.zeros(len(particles), dtype=np.int64)
    streams = IndexedStream(seed, "junk")
    drawn = np.array([streams.at(int(particle)).random() for particle in particles])
    limits = np.cumsum([settings.junk_noise, settings.junk_wrong, settings.junk_pair])
    return (1 + np.searchsorted(limits, drawn, side="right")) % 4


def draw_neighbours(
    settings: SimulationSettings, seed: int, particles: Sequence[int] | Int[np.ndarray, "n"]
) -> tuple[RotationArray, ShiftArray]:
    """Second particles of pairs: uniform rotations, and the displacement in Å from the first.

    The displacement has the length ``pair_distance`` and a uniform direction in the image.
    """
    rotations = np.empty((len(particles), 3, 3))
    angles = np.empty(len(particles))
    streams = IndexedStream(seed, "neighbours")
    for row, particle in enumerate(particles):
        generator = streams.at(int(particle))
        rotations[row] = sample_uniform_rotation(generator)
        angles[row] = generator.uniform(0, 2 * np.pi)
    return rotations, settings.pair_distance * np.stack([np.cos(angles), np.sin(angles)], axis=1)
