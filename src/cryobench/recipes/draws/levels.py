"""Factors per image: contrast and noise level. Log-normal, of mean square 1.

With a mean square of 1 they change neither the mean power of the signal nor that of the noise, so the
signal-to-noise ratio stays as requested.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from cryobench.recipes.settings import SimulationSettings
from cryobench.rng import IndexedStream


def draw_contrast(
    settings: SimulationSettings, seed: int, particles: Sequence[int] | Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Factor of each particle's signal."""
    return _draw(settings.contrast_deviation, seed, "contrast", particles)


def draw_noise_level(
    settings: SimulationSettings, seed: int, particles: Sequence[int] | Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Factor of each particle's noise."""
    return _draw(settings.noise_deviation, seed, "noise level", particles)


def _draw(
    deviation: float, seed: int, purpose: str, particles: Sequence[int] | Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    if deviation == 0:
        return np.ones(len(particles))
    streams = IndexedStream(seed, purpose)
    normal = np.array([streams.at(int(particle)).standard_normal() for particle in particles])
    # E[exp(2 (d z − d²))] = exp(2 d² − 2 d²) = 1
    return np.exp(deviation * normal - deviation**2)
