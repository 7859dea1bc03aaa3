"""Volume encoder: 3-D convolutions to the mean and log-deviation of a Gaussian posterior over the latent.

    1 channel → w → 2 w → 4 w, each of half the side → trilinear to m³ → 8 w → 16 w → 16 w at 1³
      → Linear 512 → two linear heads

Kernels of 4³, stride 2, padding 1; LeakyReLU of slope 0.2 after each layer except the heads. m is 12 as published,
and 8 for volumes of fewer than 64 voxels a side, which have no more than 8 to resample.
Source: Luo, Ni, Wang & Ma, Nature Methods 20 (2023) 1729 (OPUS-DSD), and the authors' program.
"""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cryobench.reconstruction.networks.template_decoder import SLOPE

LEAST_SIDE = 8
"""Voxels a side that can be halved three times."""
_MIDDLE_SIDE, _SMALL_MIDDLE_SIDE, _SMALL = 12, 8, 64
_FACTORS = (1, 2, 4, 8, 16, 16)
_HIDDEN = 512
_LARGEST_OF_ONE = 3
"""Largest side that a layer reduces to one sample."""


class VolumeEncoder(nn.Module):
    """Maps volumes to means and log-deviations of ``z_dim`` numbers. Weights are drawn from PyTorch's generator."""

    def __init__(self, z_dim: int, *, width: int = 32) -> None:
        super().__init__()
        self.z_dim, self.width = z_dim, width
        channels = [1, *(width * factor for factor in _FACTORS)]
        self.convolutions = nn.ModuleList(
            nn.Conv3d(before, after, 4, stride=2, padding=1) for before, after in pairwise(channels)
        )
        self.hidden = nn.Linear(channels[-1], _HIDDEN)
        self.mean, self.log_deviation = nn.Linear(_HIDDEN, z_dim), nn.Linear(_HIDDEN, z_dim)
        gain = nn.init.calculate_gain("leaky_relu", SLOPE)
        for layer in (*self.convolutions, self.hidden):
            nn.init.xavier_uniform_(layer.weight, gain)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, volumes: Float[Tensor, "b n n n"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
        """Mean and log-deviation, float32."""
        values = volumes[:, None]
        for number, layer in enumerate(self.convolutions):
            assert isinstance(layer, nn.Conv3d)
            if number == 3:
                values = functional.interpolate(
                    values.float(), size=(_middle_side(volumes.shape[-1]),) * 3, mode="trilinear"
                )
            values = functional.leaky_relu(_halve(layer, values), SLOPE, inplace=True)
        hidden = functional.leaky_relu(self.hidden(values.flatten(1)), SLOPE)
        return self.mean(hidden).float(), self.log_deviation(hidden).float()

    def activations(self, side: int) -> int:
        """Number of activations of the layers for one volume of ``side`` voxels."""
        first = sum(side**3 // 8**number * channels for number, channels in ((1, 1), (2, 2), (3, 4)))
        middle = _middle_side(side)
        last = sum((middle >> number) ** 3 * channels for number, channels in ((0, 4), (1, 8), (2, 16), (3, 16)))
        return side**3 + self.width * (first + last)


def _halve(layer: nn.Conv3d, values: Float[Tensor, "b c n n n"]) -> Float[Tensor, "b d m m m"]:
    """``layer(values)``; a single sample by one matrix product, since the CPU's convolution is slow there."""
    side = values.shape[-1]
    if side > _LARGEST_OF_ONE:
        return layer(values)
    met = slice(1, 1 + side)
    products = functional.linear(values.flatten(1), layer.weight[:, :, met, met, met].flatten(1), layer.bias)
    return products[..., None, None, None]


def _middle_side(side: int) -> int:
    return _SMALL_MIDDLE_SIDE if side < _SMALL else _MIDDLE_SIDE
