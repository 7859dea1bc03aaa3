"""Spectrum of a coordinate network at many points, without gradients: for latents at common points, or slice by
slice.

Equal to ``CoordinateNetwork.slices`` up to rounding. The layers of a few points at a time run forward in two buffers
that stay in cache. A residual block is one product, ReLU((W + 1) x + b). Products are made for one latent at a
time, so that its values are bit-identical whatever other latents are requested. Points common to all latents
are encoded once, and so is the first layer's product with their features.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.reconstruction.networks.coordinate_network import CoordinateNetwork
from cryobench.reconstruction.networks.encoding import SliceEncoder, encode_points

_AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 27}
"""Outputs of a layer computed at once: fit a cache, or fill a device."""


def evaluate_spectrum(
    network: CoordinateNetwork, points: Float[Tensor, "p 3"], latents: Float[Tensor, "b k"]
) -> Iterator[tuple[slice, Float[Tensor, "b c 2"]]]:
    """Real and imaginary part at points in cycles per pixel, for each latent, a range of points at a time.

    In the precision of the weights. Each range comes with its slice of the points.
    """
    layers = _Layers(network)
    offsets = layers.offsets(latents)
    for start in range(0, len(points), layers.at_once):
        part = slice(start, start + layers.at_once)
        sine, cosine = encode_points(network.frequencies, points[part]).chunk(2, dim=1)
        signs = _signs(points[part, 2]) if layers.is_fourier else None
        common = layers.common(sine, cosine, signs)
        yield part, torch.stack([layers.forth(common, offset, signs) for offset in offsets])


@torch.no_grad()
def evaluate_slices(
    network: CoordinateNetwork,
    encoder: SliceEncoder,
    rotations: Float[Tensor, "n 3 3"],
    latents: Float[Tensor, "n k"],
) -> Float[Tensor, "n p 2"]:
    """``CoordinateNetwork.slices``, some at a time: each at its own rotation and latent."""
    layers, n_points = _Layers(network), encoder.n_points
    offsets, found = layers.offsets(latents), latents.new_empty(len(latents), n_points, 2)
    at_once = max(1, layers.at_once // n_points)
    for first in range(0, len(latents), at_once):
        turned, target = rotations[first : first + at_once], found[first : first + at_once].view(-1, 2)
        sine, cosine = (each.flatten(0, 1) for each in encoder.encode(turned))
        signs = _signs(encoder.depths(turned).flatten()) if layers.is_fourier else None
        for start in range(0, len(target), layers.at_once):
            part = slice(start, start + layers.at_once)
            each = None if signs is None else signs[part]
            images = first + torch.arange(start, min(part.stop, len(target)), device=found.device) // n_points
            target[part] = layers.forth(layers.common(sine[part], cosine[part], each), offsets[images], each)
    return found


def _signs(depths: Float[Tensor, "p"]) -> Float[Tensor, "p 1"]:
    """−1 for points evaluated at −k, since k_z > 0; else 1."""
    return torch.where(depths > 0, -1.0, 1.0).to(depths.dtype)[:, None]


class _Layers:
    """Matrices and buffers."""

    @torch.no_grad()
    def __init__(self, network: CoordinateNetwork) -> None:
        self.is_fourier = network.shape.domain == "fourier"
        weight, split = network.first.weight, network.shape.encoding_size
        sine, cosine, self._code = weight.split([split, split, network.shape.z_dim], dim=1)
        self._sine, self._cosine, self._bias = sine.T, cosine.T, network.first.bias
        identity = torch.eye(network.shape.width, dtype=weight.dtype, device=weight.device)
        blocks: list[tuple[Tensor, Tensor]] = [(block.bias, block.weight) for block in network.blocks]  # pyright: ignore
        self._blocks = [(bias, (weight + identity).T) for bias, weight in blocks]
        self._last = network.last.bias, network.last.weight.T
        signs = 1 if self.is_fourier else 2
        width = network.shape.width
        self.at_once = max(1, _AT_ONCE[weight.device.type] // (signs * width))
        """Points."""
        self._buffers = [weight.new_empty(signs * self.at_once * width) for _ in range(2)]

    @torch.no_grad()
    def offsets(self, latents: Float[Tensor, "b k"]) -> Float[Tensor, "b h"]:
        """Contribution of the latents to the first layer, with its bias."""
        return torch.stack([torch.addmv(self._bias, self._code, latent) for latent in latents])

    @torch.no_grad()
    def common(
        self, sine: Float[Tensor, "p m"], cosine: Float[Tensor, "p m"], signs: Float[Tensor, "p 1"] | None
    ) -> Float[Tensor, "_ p h"]:
        """Contribution of the points to the first layer, for 1 or 2 signs, from the encoding at k."""
        odd, even = sine @ self._sine, cosine @ self._cosine
        if signs is not None:
            return odd.mul_(signs).add_(even)[None]
        return torch.stack([even + odd, even - odd])

    @torch.no_grad()
    def forth(
        self, common: Float[Tensor, "_ p h"], offset: Float[Tensor, "*n h"], signs: Float[Tensor, "p 1"] | None
    ) -> Float[Tensor, "p 2"]:
        """Real and imaginary part at some points, for one offset or for one each."""
        values, other = (buffer[: common.numel()].view_as(common) for buffer in self._buffers)
        torch.add(offset, common, out=values).relu_()
        values, other = values.flatten(0, 1), other.flatten(0, 1)
        for bias, matrix in self._blocks:
            torch.addmm(bias, values, matrix, out=other).relu_()
            values, other = other, values
        found = torch.addmm(self._last[0], values, self._last[1])
        if signs is not None:
            return torch.cat([found[:, :1], found[:, 1:] * signs], dim=1)
        here, there = found.view(2, -1)
        return torch.stack([(here + there) / 2, (there - here) / 2], dim=-1)
