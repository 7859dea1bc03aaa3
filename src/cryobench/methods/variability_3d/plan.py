"""Plan before the first iteration: the band, the region of the components, and their memory."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryobench.compute import Compute
from cryobench.compute.memory import reserve
from cryobench.data import Particles
from cryobench.imaging.layout import GridLayout
from cryobench.methods.variability_3d.settings import Variability3DSettings
from cryobench.reconstruction.statistics import find_masks, find_resolution
from cryobench.volumes.mask import make_soft_mask

_SMALLEST_RADIUS = 4
_BATCH_BYTES = 5e8


@dataclass(frozen=True)
class Band:
    """Frequencies that are compared, and the small box that holds them."""

    radius: int
    """Highest |k|, in index units."""
    lowest: float
    """Lowest |k| that components have."""
    box_size: int
    """Voxels per axis of the smallest box that holds the radius."""

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest |k|."""
        return self.lowest, float(self.radius)


def choose_band(
    particles: Particles, settings: Variability3DSettings, half_set_fsc: Float[np.ndarray, "s"] | None = None
) -> tuple[Band, tuple[str, ...]]:
    """Band of the components, and a note where no filter resolution was given.

    Without one it extends to the resolution of the mean by half-sets; before that is known, to that of the images.
    ValueError if a resolution is beyond that of the images, or the band is empty.
    """
    size, length = particles.box_size, particles.box_size * particles.pixel_size
    radius = largest = (size - 1) // 2
    filter_resolution, highpass_resolution = settings.filter_resolution, settings.highpass_resolution
    notes: tuple[str, ...] = ()
    if filter_resolution is not None:
        radius = int(np.floor(length / filter_resolution + 1e-6))
        if not 1 <= radius <= largest:
            raise ValueError(
                f"filter_resolution of {filter_resolution:g} Å is outside the range of a box of {size} pixels of "
                f"{particles.pixel_size:g} Å, {length / largest:.2f} to {length:.1f} Å."
            )
    elif half_set_fsc is not None:
        agreed = find_resolution(half_set_fsc, length)
        radius = int(np.clip(length / agreed, min(_SMALLEST_RADIUS, largest), largest))
        notes = (
            f"No filter resolution was given: {length / radius:.2f} Å was chosen, the resolution of the mean "
            f"({agreed:.2f} Å) limited to that of the images. Set filter_resolution to change it.",
        )
    lowest = 0.0 if highpass_resolution is None else length / highpass_resolution
    if lowest >= radius:
        raise ValueError(
            f"highpass_resolution of {highpass_resolution:g} Å leaves nothing below the filter resolution of "
            f"{length / radius:.2f} Å: give a larger one, or none."
        )
    return Band(radius, lowest, min(size, 2 * radius + 2)), notes


def find_regions(
    particles: Particles, dilation: float, device: str
) -> tuple[Float[Tensor, "z y x"], Float[Tensor, "z y x"], tuple[str, ...]]:
    """Soft masks of the mean and of the components on a device, with notes.

    The mean is kept within the largest sphere of the box, components within the data set's mask, dilated by
    ``dilation`` Å. ValueError if that mask is empty.
    """
    sphere, mask, notes = find_masks(particles)
    if mask is None:
        mask = sphere
    elif dilation > 0:
        edge = 3 * particles.pixel_size
        grown = make_soft_mask(mask, particles.pixel_size, threshold=0.5, dilation=dilation, edge=edge)
        mask = grown.values * sphere
    return sphere.to(device), mask.to(device), notes


def reserve_components(particles: Particles, n_components: int, box_size: int, compute: Compute) -> float:
    """Bytes of all processes left to keep images, after K components up to a band in its box.

    MemoryShortage if they do not fit; the message says how many would.
    """
    full, voxels = particles.box_size, GridLayout(box_size).n_entries

    def needed(k: int) -> float:
        """Sums and their solution in the small box, volumes in the full one, and a batch of images."""
        channels = 2 * k + k * (k + 1) // 2
        return 16 * channels * voxels + 8 * (k + 6) * full**3 + min(_BATCH_BYTES, 2e4 * full**2)

    left = reserve(
        compute.memory_per_worker,
        needed,
        n_components,
        items=f"components in a box of {box_size} px",
        setting="n_components",
        advice="A coarser filter_resolution also needs less.",
        n_workers=compute.n_workers,
    )
    return left * compute.n_workers
