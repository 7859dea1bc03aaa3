"""Centred transforms between real space and native-order half-spectra, for even and odd sizes.

Leading dimensions are free; the last two (images) or three (volumes) are transformed. The result of a single
item does not depend on the batch it came in.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryobench.fourier.raw import forward, inverse


def _forward(values: Tensor, dims: tuple[int, ...]) -> Tensor:
    return forward(torch.fft.ifftshift(values, dim=dims), dims)


def _inverse(spectrum: Tensor, size: int, dims: tuple[int, ...]) -> Tensor:
    _check_half(spectrum, size, len(dims))
    return torch.fft.fftshift(inverse(spectrum, size, dims), dim=dims)


def _check_half(spectrum: Tensor, size: int, rank: int) -> None:
    expected = (size,) * (rank - 1) + (size // 2 + 1,)
    if tuple(spectrum.shape[-rank:]) != expected:
        raise ValueError(
            f"a half-spectrum of size {size} has shape (..., {', '.join(map(str, expected))}), "
            f"got {tuple(spectrum.shape)}."
        )


def fft_images(images: Float[Tensor, "*batch y x"]) -> Complex[Tensor, "*batch y h"]:
    """Half-spectra (..., y, x // 2 + 1) of images centred on ``n // 2``."""
    return _forward(images, (-2, -1))


def ifft_images(spectra: Complex[Tensor, "*batch y h"], box_size: int) -> Float[Tensor, "*batch y x"]:
    """Images of ``box_size`` px from their half-spectra. ValueError if the shape belongs to another size."""
    return _inverse(spectra, box_size, (-2, -1))


def fft_volume(volume: Float[Tensor, "*batch z y x"]) -> Complex[Tensor, "*batch z y h"]:
    """Half-spectrum (..., z, y, x // 2 + 1) of volumes centred on ``n // 2``."""
    return _forward(volume, (-3, -2, -1))


def fft_volume_from_corner(volume: Float[Tensor, "*batch z y x"]) -> Complex[Tensor, "*batch z y h"]:
    """Half-spectrum (..., z, y, x // 2 + 1) about voxel 0: ``fft_volume`` times a phase, without moving the voxels.

    For products of two spectra (power, correlation), from which the phase cancels.
    """
    return forward(volume, (-3, -2, -1))


def ifft_volume(spectrum: Complex[Tensor, "*batch z y h"], box_size: int) -> Float[Tensor, "*batch z y x"]:
    """Volumes of ``box_size`` voxels from their half-spectra. ValueError if the shape is of another size."""
    return _inverse(spectrum, box_size, (-3, -2, -1))
