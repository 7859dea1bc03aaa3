"""Where the molecule can be: the mask, for volumes, and its dilated copy for images and noise (step c)."""

import torch
from torch import Tensor

from cryobench.data import Particles
from cryobench.methods.recovar.settings import RecovarSettings
from cryobench.volumes.mask import make_soft_mask, make_sphere_mask

SPHERE, SPHERE_EDGE = 0.45, 0.05
"""Radius and edge of the largest sphere, in boxes."""

_EDGE_PX = 3.0
_DILATION_PER_PX = 6 / 128


def make_sphere(particles: Particles) -> Tensor:
    """The largest soft sphere (z, y, x) in the box."""
    size = particles.box_size
    return make_sphere_mask(size, 1.0, SPHERE * size, edge=SPHERE_EDGE * size).values.float()


def choose_masks(particles: Particles, settings: RecovarSettings, mean: Tensor) -> tuple[Tensor, Tensor, list[str]]:
    """Mask and dilated mask (z, y, x) in [0, 1], soft over 3 px, and what a user should know of them.

    ``mean`` is the mean volume, around which a mask is drawn if the settings ask for that.
    """
    sphere = make_sphere(particles)
    if settings.mask == "half-maps":
        region = make_soft_mask(mean.cpu(), 1.0, dilation=2.0, edge=0.0).values
    elif settings.mask == "given" and particles.mask is not None:
        region = (torch.tensor(particles.mask) > 0.5).float()
    else:
        notes = []
        if settings.mask == "given":
            diameter = 2 * SPHERE * particles.box_size * particles.pixel_size
            notes.append(
                f"the data set has no mask: a sphere of {diameter:.0f} Å is used. A mask around the molecule finds "
                "more; --set mask=half-maps draws one."
            )
        return sphere, sphere, notes
    if not (region * sphere).any():
        raise ValueError("the mask holds no voxel inside the largest sphere of the box: check how it is centred.")
    dilation = settings.dilation
    if dilation is None:
        dilation = round(_DILATION_PER_PX * particles.box_size)
    mask, dilated = (
        make_soft_mask(region, 1.0, threshold=0.5, dilation=float(px), edge=_EDGE_PX).values.float() * sphere
        for px in (0, dilation)
    )
    return mask, dilated, []
