"""Augmented images for the encoder in training: blurred or sharpened, scaled, and offset."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.fourier import fft_images, frequency_grid, ifft_images
from cryobench.reconstruction.networks import RealSpaceBatch
from cryobench.rng import stream

_BLUR = 1.5
"""px², range of b in exp(−b π² s²)."""
_CONTRAST, _LEVEL = 0.3, 0.2
"""Amplitudes in units of the square root of the SNR."""


def draw_augmentation(batch: RealSpaceBatch, seed: int, step: int, snr: float) -> Float[Tensor, "b c c"]:
    """Images of a batch at a step: × exp(−b π² s²), × (1 + 0.3 √SNR u), + 0.2 √SNR n.

    s is in cycles per pixel; b and u are uniform about zero, n is normal, one of each per image.
    """
    count, crop = len(batch.indices), batch.images.shape[-1]
    generator = stream(seed, "augmentation", step)
    drawn = np.stack([*(generator.random((2, count)) - 0.5), generator.standard_normal(count)])
    blur, contrast, level = torch.from_numpy(drawn[:, batch.own].astype(np.float32)).to(batch.images.device)
    if not len(batch.images):
        return batch.images
    squared = frequency_grid(crop, 2, device=batch.images.device).square().sum(-1)
    envelope = torch.exp(-_BLUR * np.pi**2 * blur[:, None, None] * squared)
    images = ifft_images(fft_images(batch.images) * envelope, crop)
    factors = (1 + _CONTRAST * snr**0.5 * contrast)[:, None, None]
    return images * factors + (_LEVEL * snr**0.5 * level)[:, None, None]
