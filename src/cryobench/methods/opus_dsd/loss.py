"""Terms of the loss, and the schedules and controllers of their weights."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryobench.fourier import fft_images, ifft_images
from cryobench.methods.opus_dsd.settings import OpusDsdSettings
from cryobench.reconstruction.networks import cut_middle

LEAST_MASK = 0.05 * math.pi
"""Fraction of the squared crop: least number of pixels by which the loss is divided."""
_SNR, _DENSITY = 0.02, 0.002
"""Scales of the controllers."""
_SMOOTHING = 1e-8
_LEAST_BETA = 0.001


def divergence_weight(settings: OpusDsdSettings, images_seen: float, snr: float, density: float) -> float:
    """Weight of the KL divergence, from running means of the SNR and of the volumes' mean absolute density."""
    gate = 1 - math.exp(-((density / _DENSITY) ** 2))
    return settings.beta_control * snr * gate * _schedule(settings, images_seen)


def disentanglement_weight(settings: OpusDsdSettings, images_seen: float, snr: float, density: float) -> float:
    """Weight of the disentanglement prior, from the SNR and the density of the batch."""
    gates = math.prod(1 - math.exp(-min(ratio**2, 16.0)) for ratio in (snr / _SNR, density / _DENSITY))
    return settings.disentanglement * gates * (_schedule(settings, images_seen) + 0.05) / 1.05


def _schedule(settings: OpusDsdSettings, images_seen: float) -> float:
    """β(t): rises from 0.001 to 1 over ``beta_ramp`` images, stays, and restarts after ``beta_period``."""
    rise = min((images_seen % settings.beta_period) / settings.beta_ramp, 1.0)
    return _LEAST_BETA + (1 - _LEAST_BETA) * rise


def envelope_factor(b_factor: float, epoch: int) -> float:
    """B of an epoch, counted from 0, in Å²: falls from 1.08 of the setting to the setting."""
    return b_factor * (1 - 0.1 / (1 + 3 * math.exp(-epoch / 4))) * 10 / 9


def image_projections(
    projections: Float[Tensor, "b j c c"], transfer: Float[Tensor, "b y h"], box_size: int
) -> Float[Tensor, "b j c c"]:
    """Projections (b, j, c, c) as imaged: padded to the box, times a transfer function, and cropped again."""
    crop = projections.shape[-1]
    before, after = box_size // 2 - crop // 2, (box_size + 1) // 2 - (crop + 1) // 2
    padded = torch.nn.functional.pad(projections, (before, after, before, after))
    return cut_middle(ifft_images(fft_images(padded) * transfer[:, None], box_size), crop)


def compare(
    predicted: Float[Tensor, "b j c c"], images: Float[Tensor, "b c c"], inside: Bool[Tensor, "b c c"]
) -> tuple[Float[Tensor, "b j"], Float[Tensor, "b j"]]:
    """Squared distances of an image from the prediction of each orientation, minus the image's own square; and
    weights.

    The mask is applied only to the image, so that outside it predictions are pulled to zero. Weights are the
    posterior of orientations under noise of unit variance, and carry no gradient.
    """
    kept = torch.where(inside, images, 0)[:, None]
    distances = (predicted.square() - 2 * predicted * kept).sum((-2, -1))
    return distances, torch.softmax(-distances.detach() / 2, dim=1)


def gaussian_divergence(mean: Float[Tensor, "b k"], log_deviation: Float[Tensor, "b k"]) -> Float[Tensor, "b"]:
    """Divergence (b,) of N(mean, deviation²) from N(0, 1), in nats."""
    return (-log_deviation + mean.square() / 2 + (2 * log_deviation).exp() / 2 - 0.5).sum(1)


def roughness(volumes: Float[Tensor, "b z y x"]) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
    """Mean total variation √(10⁻⁸ + |forward differences|²), and mean absolute density, of each volume."""
    inner = volumes[:, :-1, :-1, :-1]
    squared = (volumes[:, 1:, :-1, :-1] - inner).square()
    squared = squared + (volumes[:, :-1, 1:, :-1] - inner).square()
    squared = squared + (volumes[:, :-1, :-1, 1:] - inner).square()
    return torch.sqrt(squared + _SMOOTHING).mean((1, 2, 3)), volumes.abs().mean((1, 2, 3))
