"""Radial shells: sums and averages of a half-spectrum over |k|, counted as over the full spectrum."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.fourier.grids import hermitian_weights

Binning = Literal["round", "floor"]


def shell_indices(
    box_size: int, dimensions: int, *, binning: Binning = "round", device: torch.device | str = "cpu"
) -> Int[Tensor, "*shape"]:
    """Shell of every entry of a half-spectrum, from its radius |k| in index units.

    Parameters
    ----------
    box_size
        Real-space size n of every axis, even or odd.
    dimensions
        2 for images, 3 for volumes.
    binning
        ``"round"``: shell s is s − ½ ≤ |k| < s + ½ (power spectra, regularisers).
        ``"floor"``: shell s is s ≤ |k| < s + 1 (the shells of the published FSC).
    """
    full = torch.fft.fftfreq(box_size, d=1 / box_size, device=device).round().long()
    half = torch.arange(box_size // 2 + 1, device=device)
    axes = torch.meshgrid(*[full] * (dimensions - 1), half, indexing="ij")
    squared = torch.stack([axis**2 for axis in axes]).sum(0)
    # Integer squares are exact in float64, so no radius falls on the wrong side of a boundary.
    radius = squared.double().sqrt()
    return (radius + 0.5).floor().long() if binning == "round" else radius.floor().long()


def shell_sum(
    values: Float[Tensor, "*batch_shape"],
    indices: Int[Tensor, "*shape"],
    n_shells: int,
    *,
    box_size: int,
) -> Float[Tensor, "*batch s"]:
    """Sum over the *full* spectrum of real ``values`` given on a half-spectrum, shell by shell (..., n_shells).

    Entries in shells ≥ ``n_shells`` are left out. Each entry counts as often as it occurs in the full spectrum.
    Accumulated in float64.
    """
    rank = indices.ndim
    weighted = (values.double() * hermitian_weights(box_size, device=values.device).double()).flatten(-rank)
    flat = indices.flatten().clamp(max=n_shells)
    sums = torch.zeros(*weighted.shape[:-1], n_shells + 1, dtype=torch.float64, device=values.device)
    sums.index_add_(-1, flat, weighted)
    return sums[..., :n_shells]


def shell_average(
    values: Float[Tensor, "*batch_shape"],
    indices: Int[Tensor, "*shape"],
    n_shells: int,
    *,
    box_size: int,
) -> Float[Tensor, "*batch s"]:
    """Mean over the full spectrum of real ``values`` given on a half-spectrum, shell by shell (..., n_shells)."""
    counts = shell_sum(torch.ones(indices.shape, device=values.device), indices, n_shells, box_size=box_size)
    return shell_sum(values, indices, n_shells, box_size=box_size) / counts.clamp(min=1)
