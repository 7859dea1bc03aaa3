"""What is settled before anything is computed: whether particles are enough, latents to start from, memory."""

import numpy as np

from cryobench._errors import FormatError
from cryobench.compute import Compute
from cryobench.compute.memory import reserve
from cryobench.data import Particles
from cryobench.imaging.real_space.moved_voxels import FINENESS
from cryobench.io.formats.npy import read_npy
from cryobench.methods.flex_3d.settings import RANGE, Flex3DSettings
from cryobench.reconstruction.statistics import volume_bytes

_SPREAD = 0.5
"""Deviation to which given latents are brought, as a share of the range."""
_VOXEL_BYTES = 120
"""Of a voxel: in the mesh, in maps of both halves and what conjugate gradients keep of them, and in sums."""
_FINE_BYTES = 24
"""Of a pixel of a fine image in a batch: itself, its spectrum, and their gradients."""


def check_sizes(particles: Particles, settings: Flex3DSettings, n_workers: int) -> None:
    """ValueError if there are too few particles for a batch, for the latent or for half-sets."""
    n = len(particles)
    if n < settings.batch_size:
        raise ValueError(
            f"a batch holds {settings.batch_size} images and there are {n}: set batch_size to {n} at most."
        )
    if settings.z_dim >= n or n < 2:
        raise ValueError(f"a latent of {settings.z_dim} dimensions cannot be found from {n} images: set z_dim lower.")
    if n_workers > settings.batch_size:
        raise ValueError(
            f"{n_workers} workers cannot divide a batch of {settings.batch_size} images: give --workers "
            f"{settings.batch_size} at most, or a larger batch_size."
        )
    if settings.freeze_latents and settings.initial_latents is None:
        raise ValueError("freeze_latents keeps latents that are given, and none are: name a file by initial_latents.")


def read_latents(n: int, settings: Flex3DSettings) -> np.ndarray | None:
    """Latents (n, k) float32 of the file that settings name, brought into the range; None where they name none.

    FormatError if it does not hold n rows of K finite numbers or more.
    """
    if settings.initial_latents is None:
        return None
    given = read_npy(settings.initial_latents)
    if given.ndim != 2 or len(given) != n or given.shape[1] < settings.z_dim:
        raise FormatError(
            f"{settings.initial_latents} holds an array of shape {given.shape}, expected a row for each of {n} "
            f"particles and {settings.z_dim} numbers or more in it."
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
    """Bytes of each process that are left to keep images, beside maps, a batch and sums. MemoryShortage without."""
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
    )


def _region_voxels(particles: Particles) -> float:
    size = particles.box_size
    return size**3 / 4 if particles.mask is None else float((particles.mask > 0.5).sum())
