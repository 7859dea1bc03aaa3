"""What a classification may use: the mask of its volumes, and the memory they take."""

import torch
from torch import Tensor

from cryobench.data import Particles
from cryobench.imaging.layout import GridLayout
from cryobench.methods.classification_3d.settings import Classification3DSettings
from cryobench.methods.classification_3d.volumes import largest_sphere


def choose_mask(particles: Particles, settings: Classification3DSettings, device: str) -> tuple[Tensor, list[str]]:
    """Mask (z, y, x) of the volumes, and what there is to say about it.

    ValueError if a sphere larger than the box is asked for.
    """
    length = particles.box_size * particles.pixel_size
    diameter = length if settings.mask_diameter is None else settings.mask_diameter
    if diameter > length * 1.001:
        raise ValueError(f"mask_diameter of {diameter:g} Å is larger than the box of {length:g} Å.")
    mask = largest_sphere(particles.box_size, min(diameter / length, 1.0))
    notes = []
    if particles.mask is None:
        notes.append(f"the data set has no mask: volumes are kept within a sphere of {diameter:.0f} Å.")
    elif settings.solvent_mask:
        mask = mask * torch.tensor(particles.mask)
    return mask.to(device), notes


def count_class_bytes(box_size: int, *, online: bool) -> int:
    """Bytes that a class takes at the widest radius: former and new volume, its spectrum, its sums.

    With mini-batches (``online``) the sums of those before are kept as well.
    """
    planes, rows, columns = GridLayout(box_size, 1, "trilinear").shape
    grid = planes * rows * columns
    return 2 * 4 * box_size**3 + (8 + 12 * (2 if online else 1)) * grid


def check_memory(box_size: int, settings: Classification3DSettings, *, online: bool) -> float:
    """Bytes that the volumes leave for images. ValueError, saying how many classes fit, if they leave none."""
    each = count_class_bytes(box_size, online=online)
    left = settings.memory_gb * 1e9 - settings.n_classes * each
    if left < 0:
        fit = int(settings.memory_gb * 1e9 // each)
        raise ValueError(
            f"{settings.n_classes} classes of {box_size} pixels take {settings.n_classes * each / 1e9:.3g} GB, "
            f"memory_gb is {settings.memory_gb:g}: "
            + (f"{fit} classes fit. " if fit else "not even one class fits. ")
            + "Raise memory_gb, lower n_classes, or use smaller images."
        )
    return left
