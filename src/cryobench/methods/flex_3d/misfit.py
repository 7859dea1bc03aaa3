"""Misfit of images on fine pixels to spectra of particles, in nats, and its gradient by the pixels.

    Σ_i Σ_k |C_i(k) F_i(k) / h(k) − Y_i(k)|² / σ²(|k|)

over one of each Friedel pair up to a radius, F_i the spectrum of a projection of moved voxels, h the response of the
kernel used in spreading it: the negative log-likelihood of the data, up to a constant.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.real_space.moved_voxels import FINENESS, BoundVoxels, kernel_response
from cryobench.reconstruction.deformation import Mesh
from cryobench.reconstruction.networks import NetworkBatch


@dataclass(frozen=True, eq=False)
class Band:
    """Entries that are compared: those of shells 1 … radius."""

    disc: HalfDisc
    """Half-disc of these entries, in the box of the fine images."""
    noise: np.ndarray
    """(s,) power of the noise in each shell, s > radius."""

    def __len__(self) -> int:
        return len(self.disc.index) - 1

    def weights(self, device: torch.device | str) -> Float[Tensor, "p"]:
        """(p,) 1 / σ²; zero for the zero frequency."""
        weights = 1 / self.noise
        weights[0] = 0
        return self.disc.spread(weights, device)

    def gain(self, ctf: Float[Tensor, "n q"]) -> Float[Tensor, "n p"]:
        """C / h, from CTFs whose first entries, including the zero frequency, are those of the band."""
        return ctf[:, : len(self.disc.index)] * _inverse_response(self.disc).to(ctf.device)

    def of_batch(self, batch: NetworkBatch) -> tuple[Float[Tensor, "b p"], Complex[Tensor, "b p"]]:
        """Gain and data (b, p) of prepared images; both are zero at the zero frequency."""
        count = len(self)
        data = torch.view_as_complex(batch.data[:, :count].contiguous())
        gain, data = (torch.nn.functional.pad(each, (1, 0)) for each in (batch.ctf[:, :count], data))
        return self.gain(gain), data

    def adjoint(self, packed: Complex[Tensor, "n p"]) -> Float[Tensor, "n s s"]:
        """Images (n, s, s): gradient by the pixels, given that by their spectra, ``packed`` (n, p); see ``misfit``.

        The zero frequency must be zero.
        """
        return self.disc.to_images(packed).mul_(self.disc.box_size**2)


def make_band(box_size: int, radius: int, noise: Float[np.ndarray, "s"]) -> Band:
    """The band up to a radius of a box, given the noise (s,) of its shells."""
    return Band(_disc(FINENESS * box_size, radius), noise)


def place_vertices(
    moved: Float[Tensor, "*n v 3"], rotations: Float[Tensor, "n 3 3"], voxels: BoundVoxels, mesh: Mesh
) -> Float[Tensor, "n v 2"]:
    """Positions in the fine images of vertices at ``moved``, in cells of the mesh, at the particles' rotations."""
    scale = FINENESS * voxels.box_size * mesh.cell / mesh.length
    return moved @ rotations[:, :2].transpose(1, 2) * scale + FINENESS * voxels.box_size // 2


def misfit(
    images: Float[Tensor, "n s s"],
    gain: Float[Tensor, "n p"],
    data: Complex[Tensor, "n p"],
    weights: Float[Tensor, "p"],
    band: Band,
) -> Float[Tensor, ""]:
    """The sum of the module, differentiable by the images.

    ``data`` (n, p) complex64.
    """
    return _Misfit.apply(images, gain, data, weights, band)  # pyright: ignore[reportReturnType]


class _Misfit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, gain: Tensor, data: Tensor, weights: Tensor, band: Band) -> Tensor:
        residual = band.disc.from_images(images).mul_(gain).sub_(data)
        weighted = residual * weights
        ctx.by_images = band.adjoint(weighted * gain)
        return (weighted.real * residual.real + weighted.imag * residual.imag).sum(dtype=torch.float64).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        return ctx.by_images * gradient, None, None, None, None


@lru_cache(maxsize=64)
def _disc(box_size: int, radius: int) -> HalfDisc:
    return HalfDisc(box_size, radius)


@lru_cache(maxsize=64)
def _inverse_response(disc: HalfDisc) -> Float[Tensor, "p"]:
    return torch.from_numpy(1 / kernel_response(disc)).float()
