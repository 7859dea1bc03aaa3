"""Measurements: the signal variance behind a common noise level, the mask around all states, the SNR."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from cryobench._types import ImagesFT, Rotations
from cryobench.data import VolumeSource
from cryobench.fourier import ifft_images
from cryobench.imaging.ctf_and_shift import apply_transfer
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.noise import signal_variance
from cryobench.recipes.draws import Junk, draw_ctf, draw_junk, draw_poses
from cryobench.recipes.imaging.images import Microscope
from cryobench.recipes.imaging.job import Job, StateResult
from cryobench.recipes.imaging.projectors import AtomProjector, FrameProjector, Projector, SliceProjector
from cryobench.recipes.recipe import FrameEnsemble
from cryobench.recipes.rounding import round_level
from cryobench.recipes.settings import SimulationSettings
from cryobench.recipes.spread import spread_evenly
from cryobench.volumes.mask import Mask, make_soft_mask
from cryobench.volumes.render import render

_LEVEL_PARTICLES = 256
_SNR_STATES, _SNR_PARTICLES = 30, 300
_MASK_STATES = 100


def measure_level(job: Job) -> Job:
    """The job with the data set's mean signal variance, and the deviation of the noise before the CTF.

    Both from 256 particles spread evenly over the states, noise-free at their own poses and with their own CTFs, on
    the grid of ``snr_pixel_size``; so they depend on the whole data set, whichever part of it is made. Signal is that
    of proper particles: junk, contrast and structural noise are excluded.
    """
    settings = job.settings
    pixel_size = settings.snr_pixel_size or settings.pixel_size
    size = round(settings.box_size * settings.pixel_size / pixel_size)
    grid = settings.model_copy(
        update={
            "box_size": size,
            "pixel_size": settings.box_size * settings.pixel_size / size,
            "oversampling": max(1, round(settings.fine_box_size / size)),
        }
    )
    by_state = np.argsort(job.states, kind="stable")
    particles = by_state[spread_evenly(len(by_state), _LEVEL_PARTICLES)]
    rotations, _ = draw_poses(settings, job.seed, particles)
    spectra = _project(job, grid, job.states[particles], torch.from_numpy(rotations.astype(np.float32)))
    still = torch.zeros(len(particles), 2)
    seen = apply_transfer(spectra, draw_ctf(settings, job.seed, particles), still, pixel_size=grid.pixel_size)
    # A sum over voxels of the fine grid has (coarse / fine) times the terms of one over voxels of the images.
    unit = (grid.pixel_size / settings.pixel_size) ** 2
    variance = round_level(float(_variances(seen, size).mean()) * unit)
    structural = 0.0
    if settings.structural_snr is not None:
        structural = round_level(np.sqrt(_variances(spectra, size).mean() * unit / settings.structural_snr))
    return replace(job, signal_variance=variance, structural_deviation=structural)


def _project(job: Job, grid: SimulationSettings, states: Int[np.ndarray, "n"], rotations: Rotations) -> ImagesFT:
    """Projections of the atoms of some states, sorted, on another grid than that of the images."""
    ensemble = job.ensemble
    if isinstance(ensemble, FrameEnsemble):
        positions = np.concatenate([ensemble.positions(int(state), int(state) + 1) for state in states])
        return FrameProjector(grid, ensemble.topology, positions).project(np.arange(len(states)), rotations)
    parts = []
    for state in np.unique(states):
        chosen = np.flatnonzero(states == state)
        projector = AtomProjector(grid, [job.model(int(state))], first_state=int(state))
        parts.append(projector.project(states[chosen], rotations[chosen]))
    return torch.cat(parts)


def union_mask(job: Job) -> Mask:
    """Soft mask around the greatest density at each voxel over all states (of up to 100, evenly spread).

    The states are rendered again for it, at a resolution of three voxels directly on the images' grid: such a
    density is zero outside the molecule, whereas a truth volume, cut off sharply at Nyquist, rings faintly up to the
    box edges.
    """
    settings = job.settings
    size, pixel_size = settings.box_size, settings.pixel_size
    greatest = torch.zeros((size,) * 3)
    n_states = len(job.counts)
    for state in spread_evenly(n_states, _MASK_STATES):
        density = render(job.model(int(state)), size, pixel_size, max(settings.resolution, 3 * pixel_size))
        greatest = torch.maximum(greatest, density)
    # On coarse grids a dilation or an edge of less than a voxel would have no effect.
    return make_soft_mask(greatest, pixel_size, dilation=max(6.0, pixel_size), edge=max(9.0, 2 * pixel_size))


def measure_snr(job: Job, results: list[StateResult], volumes: VolumeSource, mask: Mask) -> dict[str, Any]:
    """Signal-to-noise ratios of the images as written, from 300 noise-free images, equally many of up to 30 states.

    ``all_pixels``: variance over all pixels / noise variance, the benchmark's definition. ``inside_disc``: the
    same over the disc that the mask can reach in any view, which is independent of an empty border. Both are means
    over those states, weighted by their numbers of images, junk excluded; with ``snr_pixel_size`` they differ from
    the requested value (``asked``), which holds on the finer grid. Noise before the CTF is neither signal nor noise.
    """
    disc = _reach(mask)
    microscope = Microscope(replace(job, settings=job.settings.model_copy(update={"structural_snr": None})))
    everywhere, inside, weights = [], [], []
    states = spread_evenly(len(results), _SNR_STATES)
    for state in states:
        particles = job.all_particles_of(int(state))
        particles = particles[draw_junk(job.settings, job.seed, particles) == Junk.PARTICLE]
        if len(particles) == 0:
            continue
        weights.append(len(particles))
        particles = particles[: -(-_SNR_PARTICLES // len(states))]
        spectra = microscope.image(_projector_of(job, int(state), volumes), particles)
        images = ifft_images(spectra, job.settings.box_size).numpy()
        everywhere.append(signal_variance(images) / results[state].noise_variance)
        inside.append(signal_variance(images, disc) / results[state].noise_variance)
    return {
        "asked": job.settings.snr,
        "asked_at_pixel_size": job.settings.snr_pixel_size or job.settings.pixel_size,
        "all_pixels": round_level(np.average(everywhere, weights=weights) if weights else np.nan),
        "inside_disc": round_level(np.average(inside, weights=weights) if weights else np.nan),
    }


def _projector_of(job: Job, state: int, volumes: VolumeSource) -> Projector:
    if job.projection == "atoms":
        return AtomProjector(job.settings, [job.model(state)], first_state=state)
    return SliceProjector(volume_to_fourier(torch.from_numpy(volumes.read(state)), kernel="wide"))


def _variances(spectra: ImagesFT, box_size: int) -> Float[np.ndarray, "n"]:
    return ifft_images(spectra, box_size).numpy().var(axis=(1, 2), dtype=np.float64)


def _reach(mask: Mask) -> Float[np.ndarray, "y x"]:
    """Disc with the greatest distance from the centre at which the mask is above one half."""
    n = mask.values.shape[-1]
    axis = np.arange(n) - n // 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    farthest = radius[mask.values.numpy() > 0.5].max(initial=1.0)
    return (axis[:, None] ** 2 + axis[None, :] ** 2 <= farthest**2).astype(np.float32)
