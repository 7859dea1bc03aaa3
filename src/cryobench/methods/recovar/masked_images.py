"""The part of each image in which the molecule can be: the volume mask seen from its direction.

``MaskedImages`` projects the (dilated) mask at each pose and multiplies images by it in real space, which takes away
the noise of the solvent. In Fourier space the noise of neighbouring entries then is no longer independent: for noise
whose power σ² varies slowly,

    E ε_p conj(ε_q) = σ_p σ_q M₂(p − q) / n²,    M₂ the transform of the squared image mask.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cryobench.fourier import fft_images, ifft_images
from cryobench.imaging.grid import FourierVolume, volume_to_fourier
from cryobench.imaging.slices import extract_slices
from cryobench.methods._shared.spectra import HalfDisc

_FULL_DEPTH = 3.0
"""Voxels of mask along the line of sight from which on a pixel counts as inside; below, in proportion."""


@dataclass(frozen=True)
class MaskedImages:
    """Image masks of particles at their poses, and images multiplied by them."""

    mask_ft: FourierVolume
    """Of the dilated mask, ready for slicing."""
    disc: HalfDisc

    @staticmethod
    def of(mask: Tensor, disc: HalfDisc) -> "MaskedImages":
        """From a mask (z, y, x) in [0, 1]."""
        return MaskedImages(volume_to_fourier(mask), disc)

    def project(self, rotations: Tensor) -> Tensor:
        """Image masks (m, y, x) in [0, 1]."""
        depth = ifft_images(extract_slices(self.mask_ft, rotations), self.disc.box_size)
        return (depth / _FULL_DEPTH).clamp(0, 1)

    def apply(self, packed: Tensor, masks: Tensor) -> Tensor:
        """Packed spectra (m, p) of the images multiplied by masks (m, y, x)."""
        return to_packed(to_images(packed, self.disc) * masks, self.disc)


def to_images(packed: Tensor, disc: HalfDisc) -> Tensor:
    """Images (m, y, x) whose spectra are the packed entries (m, p), zero beyond the disc."""
    size, half = disc.box_size, disc.box_size // 2 + 1
    dense = packed.new_zeros(len(packed), size * half)
    dense[:, torch.from_numpy(disc.index).to(packed.device)] = packed
    dense = dense.reshape(-1, size, half)
    # The x = 0 column is stored for one of each pair of mates.
    rows = torch.arange(1, (size - 1) // 2 + 1, device=packed.device)
    dense[:, size - rows, 0] = dense[:, rows, 0].conj()
    return ifft_images(dense, size)


def to_packed(images: Tensor, disc: HalfDisc) -> Tensor:
    """Packed spectra (m, p) of images (m, y, x)."""
    return fft_images(images).flatten(1)[:, torch.from_numpy(disc.index).to(images.device)]
