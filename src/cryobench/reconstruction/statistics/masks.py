"""Masks of volumes: the data set's mask, and the largest sphere in the box."""

import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.data import Particles
from cryobench.volumes.mask import make_largest_sphere


def find_masks(
    particles: Particles, diameter: float | None = None
) -> tuple[Float[Tensor, "z y x"], Float[Tensor, "z y x"] | None, tuple[str, ...]]:
    """Soft sphere (z, y, x), the data set's mask (z, y, x) if it has one, and notes for the user.

    Parameters
    ----------
    diameter
        Diameter of the sphere, in Å; None for the largest in the box.

    Raises
    ------
    ValueError
        If the sphere is larger than the box, or the mask is empty.
    """
    length = particles.box_size * particles.pixel_size
    diameter = length if diameter is None else diameter
    if diameter > length * 1.001:
        raise ValueError(f"mask_diameter of {diameter:g} Å is larger than the box of {length:g} Å.")
    sphere = make_largest_sphere(particles.box_size, min(diameter / length, 1.0))
    if particles.mask is None:
        note = f"No mask is given: volumes are kept within a sphere of {diameter:.0f} Å."
        return sphere, None, (note,)
    mask = torch.tensor(particles.mask)
    if not (mask * sphere).any():
        raise ValueError(
            "the data set's mask is zero within the largest sphere of the box: check that it is centred."
        )
    return sphere, mask, ()
