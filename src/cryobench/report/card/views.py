"""Example particles as stored, filtered to make the molecule visible, and without noise.

Every view is an image (y, x) of one particle. Protein is bright in views after CTF correction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import affine_transform

from cryobench._sampling import spread_indices
from cryobench.data import Dataset, GroundTruth
from cryobench.fourier import fft_images, fourier_crop, frequency_grid, ifft_images
from cryobench.imaging.ctf import evaluate_ctf

LOW_PASS = 20.0
"""Å, where the low-pass filter is one half; coarser for pixels above 8 Å."""
LARGEST_BOX = 128
"""Views of larger boxes are Fourier-cropped to this size in px."""


@dataclass(frozen=True, eq=False)
class ParticleViews:
    """Views of one particle, title to image (y, x)."""

    particle: int
    state: int | None
    views: dict[str, np.ndarray]


def spread_particles(dataset: Dataset, count: int) -> np.ndarray:
    """Indices of at most ``count`` particles, evenly spaced over the states (over the file without truth)."""
    order = np.arange(len(dataset.particles))
    if dataset.truth is not None:
        order = np.argsort(dataset.truth.states, kind="stable")
    return order[spread_indices(len(order), count, nearest=True)]


def view_particles(dataset: Dataset, indices: Sequence[int] | np.ndarray) -> list[ParticleViews]:
    """Views of the given particles.

    As stored, and low-pass filtered, both in the sign of the files; phase-flipped and low-pass filtered;
    Wiener-filtered (CTF / (CTF² + 1)) and low-pass filtered; and, with truth, the projection of the true volume at
    the true pose without CTF and noise.
    """
    indices = np.asarray(indices, dtype=np.int64)
    particles = dataset.particles
    images = torch.as_tensor(np.ascontiguousarray(particles.read(indices)))
    pixel_size = particles.pixel_size
    if particles.box_size > LARGEST_BOX:
        images = fourier_crop(images, LARGEST_BOX, dimensions=2)
        pixel_size *= particles.box_size / LARGEST_BOX
    box_size = images.shape[-1]
    grid = frequency_grid(box_size, 2, pixel_size=pixel_size)
    cutoff = max(LOW_PASS, 2.5 * pixel_size)
    low_pass = torch.exp(-np.log(2.0) * (grid.square().sum(-1) * cutoff**2) ** 2)
    ctf = evaluate_ctf(particles.ctf[indices], grid)
    spectra = fft_images(images)
    stages = {
        "as stored": particles.sign * images,
        f"low-pass {cutoff:.0f}\u00a0Å": particles.sign * ifft_images(spectra * low_pass, box_size),
        f"phases flipped, {cutoff:.0f}\u00a0Å": ifft_images(spectra * torch.sign(ctf) * low_pass, box_size),
        f"Wiener filter, {cutoff:.0f}\u00a0Å": ifft_images(spectra * ctf / (ctf.square() + 1) * low_pass, box_size),
    }
    truth = dataset.truth
    result = []
    for row, particle in enumerate(indices.tolist()):
        views = {title: stage[row].numpy() for title, stage in stages.items()}
        state = None if truth is None or truth.states[particle] < 0 else int(truth.states[particle])
        if truth is not None and state is not None and truth.volumes is not None and truth.rotations is not None:
            views["truth, no noise"] = project_truth(truth, particle, particles.pixel_size)
        result.append(ParticleViews(particle, state, views))
    return result


def project_truth(truth: GroundTruth, particle: int, pixel_size: float) -> np.ndarray:
    """Sum along z of a particle's true volume rotated by its true pose (trilinear), with its true shift.

    A simple real-space projection for display, independent of the imaging operators and less exact.
    Raises ValueError if the particle's pose is unknown.
    """
    if truth.rotations is None or truth.shifts is None:
        raise ValueError(f"the true pose of particle {particle} is unknown, so its true volume cannot be projected.")
    volume = np.asarray(truth.volume_of(particle), dtype=np.float32)
    if volume.shape[-1] > LARGEST_BOX:
        pixel_size *= volume.shape[-1] / LARGEST_BOX
        volume = fourier_crop(torch.as_tensor(volume.copy()), LARGEST_BOX, dimensions=3).numpy()
    # x_reference = Rᵀ (x_particle + shift): the shift centres the particle. ndimage counts axes (z, y, x).
    to_reference = truth.rotations[particle].T[::-1, ::-1]
    shift = np.array([0.0, *truth.shifts[particle][::-1]]) / pixel_size
    centre = np.full(3, volume.shape[-1] // 2)
    offset = centre + to_reference @ (shift - centre)
    return affine_transform(volume, to_reference, offset=offset, order=1).sum(axis=0)


def grey_limits(image: np.ndarray) -> tuple[float, float]:
    """Black and white of one view: its 0.5th and 99.5th percentiles."""
    low, high = (float(value) for value in np.percentile(image, [0.5, 99.5]))
    return (low, high) if high > low else (low, low + 1.0)
