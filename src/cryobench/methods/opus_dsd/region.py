"""Region of the molecule: the data set's mask, or one made from the consensus of the images."""

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from cryobench._progress import Progress
from cryobench.data import Particles
from cryobench.fourier import fourier_pad
from cryobench.reconstruction.statistics import cut_mask, draw_consensus
from cryobench.volumes.mask import make_largest_sphere, make_soft_mask

_LEAST_AGREEMENT = 0.3
"""Correlation of two half-maps below which they show no molecule."""
_NOISES = 4.0
"""Standard deviations of the noise above which a voxel of the consensus belongs to the molecule."""
_DILATION, _EDGE = 2.0, 3.0
"""Voxels by which the molecule is dilated, and the width of its soft edge."""


def find_region(
    particles: Particles, progress: Progress | None = None
) -> tuple[Float[np.ndarray, "z y x"], tuple[str, ...]]:
    """Mask (z, y, x) in [0, 1] on the grid of the particles, and notes for the user.

    ValueError as ``draw_consensus``.
    """
    if particles.mask is not None:
        return particles.mask, ()
    first, second = draw_consensus(particles, progress)
    length = particles.box_size * particles.pixel_size
    sphere = make_largest_sphere(len(first)).numpy()
    inside = sphere > 0.5
    agreement = float(np.corrcoef(first[inside], second[inside])[0, 1])
    mean, noise = (first + second) / 2, float((first - second)[inside].std() / 2)
    blobs, count = ndimage.label((mean > _NOISES * noise) & inside)  # pyright: ignore[reportGeneralTypeIssues]
    if not count or not agreement > _LEAST_AGREEMENT:
        note = (
            "No mask is given, and a consensus of the images shows no molecule: the largest sphere in the box is "
            "used as mask. A mask around the molecule (--mask) gives better results."
        )
        return make_largest_sphere(particles.box_size).numpy(), (note,)
    largest = 1 + int(np.argmax(np.bincount(blobs.ravel())[1:]))
    drawn = make_soft_mask(
        torch.from_numpy((blobs == largest).astype(np.float32)), 1.0, threshold=0.5, dilation=_DILATION, edge=_EDGE
    ).values
    note = (
        f"No mask is given: one was drawn around the consensus of the images, {_NOISES:g} standard deviations of its "
        f"noise above zero and {(_DILATION + _EDGE) * length / len(first):.0f} Å wider. It may cut off rare "
        "density: give a mask (--mask) if one is known."
    )
    return _on_grid(drawn.float(), particles.box_size), (note,)


def _on_grid(mask: Float[torch.Tensor, "z y x"], box_size: int) -> Float[np.ndarray, "z2 y2 x2"]:
    if box_size > mask.shape[-1]:
        return fourier_pad(mask, box_size, dimensions=3).clamp(0, 1).numpy()
    return cut_mask(mask, box_size).numpy()
