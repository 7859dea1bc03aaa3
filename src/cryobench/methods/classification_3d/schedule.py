"""What each iteration looks at: the likelihood's radius, and whether it takes a mini-batch or all particles."""

import numpy as np

from cryobench.data import Particles
from cryobench.methods.classification_3d.settings import Classification3DSettings
from cryobench.rng import stream

_HOLD, _GROWN = 0.2, 0.6
_SMALLEST_RADIUS = 4


def plan_radii(particles: Particles, settings: Classification3DSettings) -> list[int]:
    """Likelihood radius of every iteration, in index units: held, then grown evenly, then held at the end.

    ValueError if the last is not one that the images hold.
    """
    length = particles.box_size * particles.pixel_size
    largest = (particles.box_size - 1) // 2
    finest = length / largest
    last = largest
    if settings.likelihood_resolution is not None:
        last = int(np.floor(length / settings.likelihood_resolution + 1e-6))
        if not 1 <= last <= largest:
            raise ValueError(
                f"likelihood_resolution of {settings.likelihood_resolution} Å is outside what a box of "
                f"{particles.box_size} pixels of {particles.pixel_size:g} Å holds, {finest:.2f} to {length:.1f} Å."
            )
    first = int(np.clip(np.floor(length / settings.initial_resolution), min(_SMALLEST_RADIUS, last), last))
    n = settings.n_iterations
    steps = np.arange(n) / max(n - 1, 1)
    grown = np.clip((steps - _HOLD) / (_GROWN - _HOLD), 0, 1)
    radii = np.floor(first + grown * (last - first) + 1e-9).astype(int)
    radii[-1] = last
    return [int(radius) for radius in radii]


def plan_batches(n: int, settings: Classification3DSettings) -> list[int]:
    """Particles in every iteration: mini-batches while the radius grows, then all; always all if a batch would be."""
    batch = settings.batch_per_class * settings.n_classes
    if not 0 < batch < n:
        return [n] * settings.n_iterations
    grown = _GROWN * max(settings.n_iterations - 1, 1)
    return [batch if iteration < grown else n for iteration in range(settings.n_iterations)]


def draw_batch(n: int, iteration: int, size: int, seed: int) -> np.ndarray:
    """Which particles (n,) are in the mini-batch of an iteration: every one once before any comes again."""
    first = iteration * size
    chosen = np.zeros(n, dtype=bool)
    for turn in range(first // n, (first + size - 1) // n + 1):
        order = stream(seed, "mini-batches", turn).permutation(n)
        chosen[order[max(first - turn * n, 0) : max(first + size - turn * n, 0)]] = True
    return chosen
