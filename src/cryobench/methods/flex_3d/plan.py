"""Checks and plans before any computation: number of particles, initial latents, memory."""

import numpy as np
from jaxtyping import Float

from cryobench._errors import FormatError
from cryobench.compute import Compute
from cryobench.compute.memory import reserve
from cryobench.data import Particles
from cryobench.imaging.real_space.moved_voxels import FINENESS
from cryobench.io.formats.npy import read_npy
from cryobench.methods.flex_3d.settings import RANGE, Flex3DSettings
from cryobench.reconstruction.statistics import volume_bytes

_SPREAD = 0.5
"""Standard deviation to which given latents are scaled, as a fraction of the range."""
_VOXEL_BYTES = 120
"""Bytes of a voxel: in the mesh, in maps of both halves with their conjugate gradients, and in sums."""
_FINE_BYTES = 24
"""Bytes of a pixel of a fine image in a batch: itself, its spectrum, and their gradients."""


def check_sizes(particles: Particles, settings: Flex3DSettings, n_workers: int) -> None:
    """ValueError if there are too few particles for a batch, for the latent dimensions or for half-sets.

    Also if there are more workers than images in a batch, or latents are to be kept and none are given.
    """
    n = len(particles)
    if n < settings.batch_size:
        raise ValueError(
            f"a batch holds {settings.batch_size} images and there are {n}: set batch_size to at most {n}."
        )
    if settings.z_dim >= n or n < 2:
        raise ValueError(f"a latent of {settings.z_dim} dimensions cannot be found from {n} images: set z_dim lower.")
    if n_workers > settings.batch_size:
        raise ValueError(
            f"{n_workers} workers cannot divide a batch of {settings.batch_size} images: give --workers "
            f"{settings.batch_size} at most, or a larger batch_size."
        )
    if settings.freeze_latents and settings.initial_latents is None:
        raise ValueError("freeze_latents keeps given latents, but none are given: set initial_latents to a file.")


def read_latents(n: int, settings: Flex3DSettings) -> Float[np.ndarray, "n k"] | None:
    """Latents (n, k) float32 from the file named by settings, scaled to the range; None where none is named.

    FormatError if it does not hold n rows of at least K finite numbers.
    """
    if settings.initial_latents is None:
        return None
    given = read_npy(settings.initial_latents)
    if given.ndim != 2 or len(given) != n or given.shape[1] < settings.z_dim:
        raise FormatError(
            f"{settings.initial_latents} holds an array of shape {given.shape}, expected a row for each of {n} "
            f"particles with at least {settings.z_dim} numbers."
        )
    chosen = given[:, : settings.z_dim].astype(np.float64)
    if not np.isfinite(chosen).all():
        row = int(np.argmin(np.isfinite(chosen).all(axis=1)))
        raise FormatError(f"{settings.initial_latents} has no finite latent for particle {row}.")
    chosen -= np.median(chosen, axis=0)
    spread = chosen.std(axis=0)
    scaled = chosen / np.where(spread > 0, spread, 1) * (_SPREAD * RANGE)
    return np.clip(scaled, -RANGE, RANGE).astype(np.float32)


def reserve_memory(particles: Particles, training_box: int, settings: Flex3DSettings, compute: Compute) -> float:
    """Bytes of each process left to keep images, after maps, a batch and sums. MemoryShortage if none are."""
    size = particles.box_size
    voxels = float(size**3)
    fixed = 3 * volume_bytes(size) + 24 * voxels + _VOXEL_BYTES * _region_voxels(particles)
    fine = float((FINENESS * training_box) ** 2)
    vertices = 8 * settings.n_cells**3

    def needed(batch_size: int) -> float:
        return fixed + batch_size * (_FINE_BYTES * fine + 100 * min(vertices, 4 * _region_voxels(particles)))

    return reserve(
        compute.memory_per_worker,
        needed,
        settings.batch_size,
        items=f"images of {training_box} px in a batch, with maps of {size} px,",
        setting="batch_size",
        advice="A smaller box needs less.",
        n_workers=compute.n_workers,
    )


def _region_voxels(particles: Particles) -> float:
    size = particles.box_size
    return size**3 / 4 if particles.mask is None else float((particles.mask > 0.5).sum())
