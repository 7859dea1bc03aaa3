"""A volume as a network over frequencies: k and a latent in, the spectrum at k out.

    x_0 = ReLU(W_k [sin φ ; cos φ] + W_z z + b)        φ the encoding of k, see ``encoding``
    x_i = ReLU(W_i x_{i−1} + b_i + x_{i−1})             ``depth`` residual blocks, the ReLU after the sum
    out = W x + b

Two domains. *fourier*: two outputs, the real and imaginary part; a point with k_z > 0 is evaluated at −k and
conjugated, so one evaluation serves a Friedel pair. *hartley*: one output H = Re − Im; k and −k are evaluated
separately, since any real H is a real volume. Source: Zhong et al., Nature Methods 18 (2021) 176; Levy et al.,
Nature Methods 2025 (hypervolume).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryobench.imaging.half_disc import HalfDisc
from cryobench.reconstruction.networks.encoding import SliceEncoder, draw_frequencies

Domain = Literal["fourier", "hartley"]


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of a coordinate network."""

    box_size: int
    """D, box size of the images."""
    z_dim: int
    """K, latent dimensions."""
    width: int = 256
    depth: int = 3
    """Residual blocks."""
    domain: Domain = "fourier"
    n_frequencies: int | None = None
    """P: the encoding has 3 P frequencies; None for D / 2."""
    deviation: float = 0.5
    """σ of the encoding."""

    @property
    def encoding_size(self) -> int:
        """Frequencies of the encoding."""
        return 3 * (self.n_frequencies or self.box_size // 2)


class ResidualBlock(nn.Linear):
    """y = ReLU(W x + b + x)."""

    def forward(self, input: Float[Tensor, "*n w"]) -> Float[Tensor, "*n w"]:
        """(..., width)."""
        return torch.relu_(super().forward(input).add_(input))


class CoordinateNetwork(nn.Module):
    """The network, in units in which images have a standard deviation of about one.

    Parameters
    ----------
    shape
        Sizes.
    seed
        For the encoding; weights are drawn from PyTorch's generator, uniform in ±1 / √fan-in.
    """

    frequencies: Tensor

    def __init__(self, shape: NetworkShape, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        count = shape.n_frequencies or shape.box_size // 2
        self.register_buffer("frequencies", draw_frequencies(shape.box_size, count, seed, deviation=shape.deviation))
        self.first = nn.Linear(2 * shape.encoding_size + shape.z_dim, shape.width)
        self.blocks = nn.ModuleList(ResidualBlock(shape.width, shape.width) for _ in range(shape.depth))
        self.last = nn.Linear(shape.width, 2 if shape.domain == "fourier" else 1)

    def slices(
        self, encoder: SliceEncoder, rotations: Float[Tensor, "b 3 3"], latents: Float[Tensor, "b k"]
    ) -> Float[Tensor, "b p 2"]:
        """Real and imaginary part of slices at every entry of the encoder's half-disc, float32."""
        sine, cosine = encoder.encode(rotations)
        if self.shape.domain == "fourier":
            flips = torch.where(encoder.depths(rotations) > 0, -1.0, 1.0)[..., None]
            found = self._evaluate(torch.cat([sine * flips, cosine], dim=-1), latents[:, None])
            return torch.cat([found[..., :1], found[..., 1:] * flips], dim=-1)
        both = torch.cat([torch.cat([sine, cosine], dim=-1), torch.cat([-sine, cosine], dim=-1)], dim=1)
        one, other = self._evaluate(both, latents[:, None]).chunk(2, dim=1)
        return torch.cat([(one + other) / 2, (other - one) / 2], dim=-1)

    def _evaluate(self, features: Float[Tensor, "#b p e"], latents: Float[Tensor, "b 1 k"]) -> Float[Tensor, "b p o"]:
        """Outputs, in the precision of the weights, for features, of all images or each its own, and latents."""
        split = features.shape[-1]
        weight = self.first.weight
        # The latent's contribution to the first layer is the same for all points of an image.
        values = nn.functional.linear(features, weight[:, :split])
        values = torch.relu(values + nn.functional.linear(latents, weight[:, split:], self.first.bias))
        for block in self.blocks:
            values = block(values)
        return self.last(values).to(weight.dtype)


def make_slice_encoder(network: CoordinateNetwork, disc: HalfDisc) -> SliceEncoder:
    """Encoder of slices for a network, on its device."""
    return SliceEncoder(network.frequencies, disc)
