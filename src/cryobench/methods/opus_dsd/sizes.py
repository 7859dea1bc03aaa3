"""Sizes of the grids: the compared images, the crop around the molecule, and the template that covers it."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cryobench.methods.opus_dsd.settings import OpusDsdSettings
from cryobench.reconstruction.networks import LEAST_SIDE

SUPPORT = 0.1
"""Mask value from which a voxel belongs to the molecule: a Fourier-cropped mask has ripples below."""
_MARGIN_PX = 4
_MOST = 0.9
_FINENESS = 0.8


@dataclass(frozen=True)
class GridSizes:
    """Sides of the grids, px or voxels."""

    render: int
    """Compared images."""
    crop: int
    """Central crop of these."""
    template: int
    """The network's volume, which covers the crop."""


def render_size(box_size: int, downfrac: float) -> int:
    """Even number of px of the compared images. ValueError if it is too small."""
    size = _even(box_size * downfrac)
    if size * _MOST < LEAST_SIDE:
        raise ValueError(
            f"images of {box_size} px at downfrac={downfrac:g} have {size} px, too few for 3-D convolutions: set "
            "downfrac, or box, higher."
        )
    return size


def find_extent(mask: Float[np.ndarray, "z y x"]) -> float:
    """Diameter of the smallest sphere about the centre that contains a mask (z, y, x), in boxes."""
    side = mask.shape[-1]
    offsets = np.argwhere(mask > SUPPORT) - side // 2
    if not len(offsets):
        raise ValueError("the mask is empty: give one around the molecule (--mask), or none.")
    return 2 * float(np.sqrt(np.square(offsets).sum(axis=1).max())) / side


def choose_sizes(mask: Float[np.ndarray, "z y x"], box_size: int, settings: OpusDsdSettings) -> GridSizes:
    """Sizes for a mask (z, y, x) on the grid of the compared images.

    Parameters
    ----------
    box_size
        D, of the original images.

    Raises
    ------
    ValueError
        If the mask is empty, or the template of the settings is coarser than the crop.
    """
    render = mask.shape[-1]
    fraction = min(find_extent(mask) + _MARGIN_PX / box_size, _MOST)
    crop = max(_even(render * fraction), LEAST_SIDE)
    step = 2**settings.template_doublings
    least = math.ceil(crop / _FINENESS / step) * step
    template = settings.template_size or least
    if template < crop:
        raise ValueError(
            f"a template of {template} voxels is coarser than the {crop} px of the images that it covers: set "
            f"template_size to at least {least}, or None for that."
        )
    return GridSizes(render, crop, template)


def _even(size: float) -> int:
    return 2 * math.floor(size / 2 + 1e-9)
