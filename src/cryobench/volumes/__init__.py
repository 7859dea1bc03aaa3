"""Volumes in real space: densities from atoms, and masks."""

from cryobench.volumes.mask import Mask, find_enclosing_level, make_soft_mask, make_sphere_mask
from cryobench.volumes.render import render, render_band_limited

__all__ = [
    "Mask",
    "find_enclosing_level",
    "make_soft_mask",
    "make_sphere_mask",
    "render",
    "render_band_limited",
]
