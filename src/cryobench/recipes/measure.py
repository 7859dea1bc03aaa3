"""What is measured on a finished simulation: the mask around all its states, and the SNR by both definitions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cryobench.data import VolumeSource
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.noise import signal_variance
from cryobench.recipes.images import StateResult, make_clean_images
from cryobench.recipes.recipe import Ensemble, SimulationSettings
from cryobench.volumes.mask import Mask, make_soft_mask
from cryobench.volumes.render import render

_STATES, _IMAGES = 30, 10


def union_mask(ensemble: Ensemble, settings: SimulationSettings) -> Mask:
    """Soft mask around the greatest density that any state has at each voxel.

    The states are rendered anew for it, at a resolution of three voxels straight on the images' grid: such a density
    is zero outside the molecule, where a truth volume, cut off sharply at Nyquist, rings faintly up to the box edges.
    """
    size, pixel_size = settings.box_size, settings.pixel_size
    greatest = torch.zeros((size,) * 3)
    for state in range(len(ensemble.counts)):
        density = render(ensemble.model(state), size, pixel_size, max(settings.resolution, 3 * pixel_size))
        greatest = torch.maximum(greatest, density)
    # On coarse grids a dilation and an edge of less than a voxel would be no dilation and no edge.
    return make_soft_mask(greatest, pixel_size, dilation=max(6.0, pixel_size), edge=max(9.0, 2 * pixel_size))


def measure_snr(
    settings: SimulationSettings,
    seed: int,
    states: np.ndarray,
    results: Sequence[StateResult],
    volumes: VolumeSource,
    mask: Mask,
) -> dict[str, Any]:
    """Signal-to-noise ratios of the images as written, from noise-free images: 10 each of up to 30 states.

    ``all_pixels``: variance over all pixels / noise variance, the benchmark's definition. ``inside_disc``: the
    same over the disc that the mask can reach in any view, which an empty border does not lower. Both are means
    over those states; with ``snr_pixel_size`` they differ from what was asked (``asked``), which
    holds on the finer grid.
    """
    disc = _reach(mask)
    noise = {result.state: result.noise_variance for result in results}
    everywhere, inside = [], []
    for state in range(0, len(volumes), -(-len(volumes) // _STATES)):
        particles = np.flatnonzero(states == state)[:_IMAGES]
        volume_ft = volume_to_fourier(torch.from_numpy(volumes.read(state)), kernel="wide")
        images = make_clean_images(volume_ft, settings, seed, particles)
        everywhere.append(signal_variance(images) / noise[state])
        inside.append(signal_variance(images, disc) / noise[state])
    return {
        "asked": settings.snr,
        "asked_at_pixel_size": settings.snr_pixel_size or settings.pixel_size,
        "all_pixels": float(np.mean(everywhere)),
        "inside_disc": float(np.mean(inside)),
    }


def _reach(mask: Mask) -> np.ndarray:
    """Disc (y, x) of the greatest distance from the centre at which the mask is above one half."""
    n = mask.values.shape[-1]
    axis = np.arange(n) - n // 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    farthest = radius[mask.values.numpy() > 0.5].max(initial=1.0)
    return (axis[:, None] ** 2 + axis[None, :] ** 2 <= farthest**2).astype(np.float32)
