"""What is settled before the first iteration: filter resolution, mask and whether the work fits in memory."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryobench.data import Particles
from cryobench.fourier import fourier_crop
from cryobench.imaging.layout import GridLayout
from cryobench.methods._shared.half_sets import find_resolution
from cryobench.volumes.mask import make_soft_mask, make_sphere_mask

_SMALLEST_RADIUS = 4
_BATCH_BYTES = 5e8


@dataclass(frozen=True)
class Band:
    """The frequencies that are compared, and the small box that holds them."""

    radius: int
    """Highest |k|, in index units."""
    lowest: float
    """Lowest |k| that components have."""
    box_size: int
    """Voxels an axis of a box that just holds the radius."""

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest |k|."""
        return self.lowest, float(self.radius)


def choose_band(
    particles: Particles,
    filter_resolution: float | None,
    highpass_resolution: float | None,
    half_set_fsc: np.ndarray,
    notes: list[str],
) -> Band:
    """Band of the components. Notes what was chosen where no filter resolution was given.

    Raises
    ------
    ValueError
        If a resolution lies beyond what the images hold, or the band is empty.
    """
    size, length = particles.box_size, particles.box_size * particles.pixel_size
    largest = (size - 1) // 2
    if filter_resolution is None:
        agreed = find_resolution(half_set_fsc, length)
        radius = int(np.clip(length / agreed, min(_SMALLEST_RADIUS, largest), largest))
        notes.append(
            f"No filter resolution was given: {length / radius:.2f} Å was chosen, the resolution of the mean "
            f"({agreed:.2f} Å) as far as the images hold it. Set filter_resolution to change it."
        )
    else:
        radius = _radius_of("filter_resolution", filter_resolution, particles)
    lowest = 0.0
    if highpass_resolution is not None:
        lowest = length / highpass_resolution
        if lowest >= radius:
            raise ValueError(
                f"highpass_resolution of {highpass_resolution:g} Å leaves nothing below the filter resolution of "
                f"{length / radius:.2f} Å: give a larger one, or none."
            )
    return Band(radius, lowest, min(size, 2 * radius + 2))


def check_resolution(particles: Particles, filter_resolution: float | None) -> None:
    """ValueError if the images do not hold this resolution."""
    if filter_resolution is not None:
        _radius_of("filter_resolution", filter_resolution, particles)


def _radius_of(name: str, resolution: float, particles: Particles) -> int:
    length, largest = particles.box_size * particles.pixel_size, (particles.box_size - 1) // 2
    radius = int(np.floor(length / resolution + 1e-6))
    if not 1 <= radius <= largest:
        raise ValueError(
            f"{name} of {resolution:g} Å is outside what a box of {particles.box_size} pixels of "
            f"{particles.pixel_size:g} Å holds, {length / largest:.2f} to {length:.1f} Å."
        )
    return radius


def choose_mask(particles: Particles, dilation: float, notes: list[str]) -> Tensor:
    """(z, y, x) where components may be: the data set's mask, grown by ``dilation`` Å, or a sphere with a note."""
    if particles.mask is None:
        notes.append("The data set has no mask: components were sought in the largest sphere in the box.")
        return largest_sphere(particles.box_size)
    mask = torch.tensor(particles.mask)
    if not mask.any():
        raise ValueError("the mask of the data set is empty: there is nowhere for the components to be.")
    if dilation == 0:
        return mask
    grown = make_soft_mask(
        mask, particles.pixel_size, threshold=0.5, dilation=dilation, edge=3 * particles.pixel_size
    )
    return grown.values * largest_sphere(particles.box_size)


def largest_sphere(box_size: int) -> Tensor:
    """Soft sphere (z, y, x) that fits the box: beyond it, the grid's correction raises noise and nothing else."""
    return make_sphere_mask(box_size, 1.0, 0.45 * box_size, edge=0.05 * box_size).values.float()


def shrink_mask(mask: Tensor, box_size: int) -> Tensor:
    """The mask in a smaller box of the same length."""
    return fourier_crop(mask, box_size, dimensions=3).clamp(0, 1)


def check_memory(particles: Particles, n_components: int, box_size: int, memory_gb: float) -> float:
    """Bytes that remain of ``memory_gb`` for keeping images, once the sums of K components have theirs.

    Raises
    ------
    ValueError
        If they do not fit; the message says how many components would.
    """
    needed = _working_bytes(particles.box_size, n_components, box_size)
    if needed <= memory_gb * 1e9:
        return memory_gb * 1e9 - needed
    fitting = [
        k for k in range(1, n_components) if _working_bytes(particles.box_size, k, box_size) <= memory_gb * 1e9
    ]
    advice = f"n_components={fitting[-1]} would fit" if fitting else "not even one component would fit"
    raise ValueError(
        f"{n_components} components in a box of {box_size} voxels need about {needed / 1e9:.2f} GB, more than "
        f"memory_gb={memory_gb:g}: {advice}; or raise memory_gb, or give a lower filter resolution."
    )


def _working_bytes(full_size: int, n_components: int, box_size: int) -> float:
    """Sums and their solution in the small box, volumes in the full one, and a batch of images."""
    voxels = np.prod(GridLayout(box_size, 1, "trilinear").shape, dtype=float)
    channels = 2 * n_components + n_components * (n_components + 1) // 2
    return 16 * channels * voxels + 8 * (n_components + 6) * full_size**3 + min(_BATCH_BYTES, 2e4 * full_size**2)
