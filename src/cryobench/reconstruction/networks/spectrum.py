"""A coordinate network's spectrum at many points for some latents, without gradients.

The numbers of ``CoordinateNetwork.slices``, to rounding, for points that all latents share: they are encoded once,
the first layer's product with their features is shared too, and the layers of a few points at a time go forth in two
buffers that stay in the cache. A residual block is one product, ReLU((W + 1) x + b). Products are made for one latent
at a time, so that its numbers have the same bits whatever latents are asked for beside it.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.reconstruction.networks.coordinate_network import CoordinateNetwork
from cryobench.reconstruction.networks.encoding import encode_points

_AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 27}
"""Outputs of a layer made at a time: what stays in a cache, or what fills a device."""


def evaluate_spectrum(
    network: CoordinateNetwork, points: Float[Tensor, "p 3"], latents: Float[Tensor, "b k"]
) -> Iterator[tuple[slice, Float[Tensor, "b c 2"]]]:
    """Real and imaginary part at points in cycles per pixel, for each latent, a stretch of the points at a time.

    In the precision of the weights. Each stretch comes with its place among the points.
    """
    layers = _Layers(network, latents)
    for start in range(0, len(points), layers.at_once):
        part = slice(start, start + layers.at_once)
        yield part, layers.evaluate(points[part])


class _Layers:
    """Matrices, buffers, and the latents' part of the first layer."""

    @torch.no_grad()
    def __init__(self, network: CoordinateNetwork, latents: Tensor) -> None:
        self._is_fourier = network.shape.domain == "fourier"
        self._frequencies = network.frequencies
        self._split = network.shape.encoding_size
        weight = network.first.weight
        self._sine, self._cosine, code = weight.split([self._split, self._split, network.shape.z_dim], dim=1)
        self._offsets = [torch.addmv(network.first.bias, code, latent) for latent in latents]
        identity = torch.eye(network.shape.width, dtype=weight.dtype, device=weight.device)
        blocks: list[tuple[Tensor, Tensor]] = [(block.bias, block.weight) for block in network.blocks]  # pyright: ignore
        self._blocks = [(bias, (weight + identity).T) for bias, weight in blocks]
        self._last = network.last.bias, network.last.weight.T
        signs = 1 if self._is_fourier else 2
        width = network.shape.width
        self.at_once = max(1, _AT_ONCE[weight.device.type] // (signs * width))
        self._buffers = [weight.new_empty(signs, self.at_once, width) for _ in range(2)]

    @torch.no_grad()
    def evaluate(self, points: Tensor) -> Tensor:
        """(b, p, 2)."""
        flips = points[:, 2] > 0 if self._is_fourier else torch.zeros_like(points[:, 2], dtype=torch.bool)
        features = encode_points(self._frequencies, torch.where(flips[:, None], -points, points))
        odd = features[:, : self._split] @ self._sine.T
        even = features[:, self._split :] @ self._cosine.T
        shared = (even + odd)[None] if self._is_fourier else torch.stack([even + odd, even - odd])
        found = torch.stack([self._evaluate_one(shared, offset) for offset in self._offsets])
        if self._is_fourier:
            return found[:, 0] * torch.stack([torch.ones_like(points[:, 2]), torch.where(flips, -1.0, 1.0)], dim=1)
        here, there = found[:, 0, :, 0], found[:, 1, :, 0]
        return torch.stack([(here + there) / 2, (there - here) / 2], dim=-1)

    def _evaluate_one(self, shared: Tensor, offset: Tensor) -> Tensor:
        """(signs, p, outputs) of one latent, from the points' part of the first layer."""
        values, other = (buffer[:, : shared.shape[1]] for buffer in self._buffers)
        torch.add(offset, shared, out=values)
        width = shared.shape[-1]
        values, other = values.reshape(-1, width), other.reshape(-1, width)
        values.relu_()
        for bias, matrix in self._blocks:
            torch.addmm(bias, values, matrix, out=other).relu_()
            values, other = other, values
        return torch.addmm(self._last[0], values, self._last[1]).reshape(*shared.shape[:2], -1)
