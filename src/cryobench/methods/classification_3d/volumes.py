"""From sums of particles to volumes: class by class, in a box that is no larger than the radius asks for.

The spectrum of a box is sampled at the inverse of its length, whatever the number of voxels, so up to a radius r a
box of 2 r + 4 voxels over the same length holds the same entries as the whole one, at a fraction of the work.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from cryobench.fourier import fourier_crop
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.imaging.layout import GridLayout
from cryobench.methods._shared.backprojection import invert_weight
from cryobench.methods._shared.spectra import HalfDisc
from cryobench.volumes.mask import make_sphere_mask


@dataclass(frozen=True)
class Model:
    """K volumes with their populations, and the noise."""

    volumes: Tensor
    """(k, z, y, x) float32, in the box of the radius that they were estimated to."""
    populations: np.ndarray
    """(k,) sum to 1."""
    noise: np.ndarray
    """(radius + 1,) power of the noise in each shell of the images, of the unnormalised transform."""
    leverage: np.ndarray
    """(r + 1, k) share of a particle's own noise in the volumes, per CTF²: ⟨mask⟩ · mean of 1 / (W + 1/Tτ²)."""


def small_box(box_size: int, radius: int) -> int:
    """The smallest even box that holds all of shells 0 … ``radius``; that of the images at most."""
    return min(2 * radius + 4, box_size)


@lru_cache(maxsize=32)
def disc_of(box_size: int) -> HalfDisc:
    """The largest half-disc of a box. Its whole shells are the first entries of that of any larger box, in order."""
    return HalfDisc(box_size, (box_size - 1) // 2)


def largest_sphere(box_size: int, diameter: float = 1.0) -> Tensor:
    """Soft sphere (z, y, x) that fits the box, or of ``diameter`` boxes, its edge a tenth of the radius wide.

    The correction for the interpolation kernel raises noise towards the corners, where no particle is.
    """
    radius = diameter * box_size / 2
    return make_sphere_mask(box_size, 1.0, 0.9 * radius, edge=0.1 * radius).values.float()


def cut_mask(mask: Tensor, box_size: int) -> Tensor:
    """A mask (z, y, x) on fewer voxels over the same length."""
    if mask.shape[-1] == box_size:
        return mask
    return fourier_crop(mask, box_size, dimensions=3).clamp(0, 1)


def stack_spectra(volumes: Tensor) -> FourierVolume:
    """Volumes (k, z, y, x) ready for slicing, interleaved, transformed one by one."""
    values: Tensor | None = None
    for index, volume in enumerate(volumes):
        spectrum = volume_to_fourier(volume)
        if values is None:
            values = spectrum.values.new_empty(*spectrum.values.shape, len(volumes))
        values[..., index] = spectrum.values
    if values is None:
        raise ValueError("there are no volumes.")
    return FourierVolume(values, volumes.shape[-1], 1, "trilinear")


def solve_volumes(sums: SliceAccumulator, tau_fudge: float, mask: Tensor) -> tuple[Tensor, np.ndarray]:
    """Regularised, masked volumes (k, z, y, x) of sums of K classes, and their leverage (r + 1, k)."""
    n_classes = len(sums.sums[0])
    volumes: Tensor | None = None
    leverage = []
    for index in range(n_classes):
        numerator, weight = sums.totals_of(index)
        inverse = invert_weight(numerator, weight, tau_fudge=tau_fudge)
        volume = fourier_to_volume(numerator.with_values(numerator.values * inverse.values)) * mask
        if volumes is None:
            volumes = volume.new_empty(n_classes, *volume.shape)
        volumes[index] = volume
        leverage.append(_average_shells(inverse))
    if volumes is None:
        raise ValueError("there are no classes.")
    return volumes, float(mask.mean()) * np.stack(leverage, axis=1)


def _average_shells(volume_ft: FourierVolume) -> np.ndarray:
    """Mean over each shell of real values on the grid, (r + 1,)."""
    shells, counts, number = _shells_of(volume_ft.box_size)
    sums = np.bincount(shells, weights=counts * volume_ft.values.flatten().cpu().numpy(), minlength=len(number))
    return sums[: volume_ft.layout.max_radius + 1] / number[: volume_ft.layout.max_radius + 1]


@lru_cache(maxsize=8)
def _shells_of(box_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shell and multiplicity of each entry of the grid of a box, and the number of entries in each shell."""
    grid = FourierVolume(torch.zeros(GridLayout(box_size, 1, "trilinear").shape), box_size)
    shells = grid.shell_indices().flatten().numpy()
    counts = grid.multiplicities().flatten().double().numpy()
    return shells, counts, np.maximum(np.bincount(shells, weights=counts), 1)
