"""Frequency grids of half-spectra, and the weight each of their entries carries in a full-spectrum sum."""

import torch
from jaxtyping import Float
from torch import Tensor


def frequency_grid(
    box_size: int, dimensions: int, *, pixel_size: float = 1.0, device: torch.device | str = "cpu"
) -> Float[Tensor, "*shape d"]:
    """Frequency of every entry of a half-spectrum, last axis ordered (x, y) or (x, y, z).

    Parameters
    ----------
    box_size
        Real-space size n of every axis, even or odd.
    dimensions
        2 for images, result (n, n // 2 + 1, 2); 3 for volumes, result (n, n, n // 2 + 1, 3).
    pixel_size
        Å per pixel: the result is in 1/Å. With the default 1 it is in cycles per pixel.
    """
    full = torch.fft.fftfreq(box_size, d=pixel_size, device=device)
    half = torch.fft.rfftfreq(box_size, d=pixel_size, device=device)
    axes = torch.meshgrid(*[full] * (dimensions - 1), half, indexing="ij")
    return torch.stack(axes[::-1], dim=-1)


def hermitian_weights(box_size: int, *, device: torch.device | str = "cpu") -> Float[Tensor, "h"]:
    """How often each x column of a half-spectrum occurs in the full one: 1 for x = 0 and an even Nyquist, else 2.

    ``(hermitian_weights(n) * |F|²).sum()`` over a half-spectrum equals the sum of |F|² over the full spectrum.
    """
    weights = torch.full((box_size // 2 + 1,), 2.0, device=device)
    weights[0] = 1.0
    if box_size % 2 == 0:
        weights[-1] = 1.0
    return weights


def frequency_axis(box_size: int, *, half: bool, device: torch.device | str = "cpu") -> Float[Tensor, "n"]:
    """Frequencies of one axis in cycles per pixel, native order: the non-negative ``half`` or all of them."""
    make = torch.fft.rfftfreq if half else torch.fft.fftfreq
    return make(box_size, device=device)
