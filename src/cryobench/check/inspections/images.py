"""Inspection of the images themselves, without poses: background, normalisation, duplicates, average contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cryobench.data import Particles
from cryobench.imaging.half_disc import HalfDisc
from cryobench.reconstruction.images import transform_images

_BACKGROUND = 0.1
"""Mean of the corners, in standard deviations of their pixels, above which there is a background."""
_SPREAD = 0.35
"""Relative spread of the noise above which images are not normalised."""


@dataclass(frozen=True)
class ImageFacts:
    """Facts of a sample of the images."""

    background: float
    """Mean of the corners beyond the inscribed circle, in standard deviations of their pixels."""
    background_error: float
    noise_spread: float
    """Relative spread, by quartiles, of the images' noise."""
    doubled: int
    """Number of images that duplicate an earlier one."""
    centre: float
    """Centre of the CTF-corrected average minus its surroundings, in standard errors."""

    @property
    def has_background(self) -> bool:
        """Whether the mean of the corners is not zero."""
        return abs(self.background) > max(_BACKGROUND, 5 * self.background_error)

    @property
    def is_normalised(self) -> bool:
        """Whether all images have about the same noise."""
        return self.noise_spread < _SPREAD


def look_at_images(particles: Particles) -> ImageFacts:
    """Facts of the images of particles, all of which are read. ValueError if a pixel is not finite."""
    size = particles.box_size
    axis = np.arange(size) - (size - 1) / 2
    corners = axis[:, None] ** 2 + axis**2 > (size / 2) ** 2
    disc = HalfDisc(size, min((size - 1) // 2, max(size // 8, 4)))
    means, deviations, keys = [], [], []
    total, weight = torch.zeros(len(disc.index), dtype=torch.complex128), torch.zeros(len(disc.index)).double()
    power = torch.zeros(len(disc.index)).double()
    for chunk in particles.chunks():
        images = particles.read(chunk)
        outside = images[:, corners]
        means.append(outside.mean(axis=1))
        deviations.append(outside.std(axis=1))
        keys += [image.tobytes() for image in images[:, size // 2, : min(size, 64)]]
        spectra = transform_images(particles, chunk, disc)
        total += (spectra.data * spectra.ctf).sum(0)
        weight += spectra.ctf.square().sum(0)
        power += (spectra.data * spectra.ctf).abs().square().sum(0)
    mean, deviation = np.concatenate(means), np.concatenate(deviations)
    scale = float(np.median(deviation)) or 1.0
    low, high = np.percentile(deviation, [25, 75])
    return ImageFacts(
        background=float(mean.mean()) / scale,
        background_error=float(mean.std()) / scale / np.sqrt(len(mean)),
        noise_spread=float((high - low) / 1.35 / scale),
        doubled=len(keys) - len(set(keys)),
        centre=_weigh_centre(disc, total, weight, power),
    )


def _weigh_centre(disc: HalfDisc, total: torch.Tensor, weight: torch.Tensor, power: torch.Tensor) -> float:
    """Centre of the corrected average minus a ring around it, in standard errors of that difference."""
    radius = disc.radius
    # A central Gaussian minus one three times as wide cancels the zero frequency.
    scaled = torch.from_numpy((disc.frequencies**2).sum(axis=1) / radius**2)
    band = (torch.exp(-4 * scaled) - torch.exp(-36 * scaled)) * torch.from_numpy(disc.weights)
    band[0] = 0
    estimate = float((band * total.real / weight.clamp(min=1e-12)).sum())
    error = float(((band / weight.clamp(min=1e-12)).square() * power / 2).sum().sqrt())
    return estimate / error if error > 0 else 0.0
