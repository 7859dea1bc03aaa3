"""Volumes in real space: densities from atoms, masks, rigid motions and alignment."""

from cryobench.volumes.alignment import Alignment, align, align_all
from cryobench.volumes.mask import Mask, find_enclosing_level, make_soft_mask, make_sphere_mask
from cryobench.volumes.render import render, render_band_limited
from cryobench.volumes.rotate import mirror_volume, rotate_volume

__all__ = [
    "Alignment",
    "Mask",
    "align",
    "align_all",
    "find_enclosing_level",
    "make_soft_mask",
    "make_sphere_mask",
    "mirror_volume",
    "render",
    "render_band_limited",
    "rotate_volume",
]
