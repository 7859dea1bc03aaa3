"""Template decoder: a volume as a stack of transposed convolutions of a latent.

    z → Linear 512 → Linear C → C channels at 1³ → 2³ → 4³ → … → (2^f)³, channels halved each time
      → trilinear to (t / 2^d)³ → d doublings, channels halved each time, the last one to 1 → t³

with f = d = 4 as published. The first two doublings have kernels of 2³, all others of 4³; between layers is a
LeakyReLU of slope 0.2. Each kernel starts with equal values in its eight phases, the taps that meet in one sample:
the first volumes have no checkerboard.

A second head maps the latents of a rigid correction to a rotation, the quaternion (4, a, b, c) normalised, and a
translation in px; it starts as the identity.

Source: Luo, Ni, Wang & Ma, Nature Methods 20 (2023) 1729 (OPUS-DSD), and the authors' program.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from cryobench.reconstruction.networks.doubling import double_grid

SLOPE = 0.2
"""Slope of LeakyReLU."""
_HIDDEN = 512
_POINTWISE = 2
"""Doublings whose kernels do not overlap."""
_LAST_GAIN = 1 / 16
_SCALAR = 4.0
"""Scalar part of the quaternion before normalisation."""


@dataclass(frozen=True)
class TemplateShape:
    """Sizes of a template decoder.

    Raises
    ------
    ValueError
        If the side is not a multiple of 2^doublings, or the channels cannot be halved that often.
    """

    z_dim: int
    """K, latent dimensions."""
    side: int = 224
    """t, side of the volume."""
    width: int = 2048
    """C, channels at 1³."""
    seed_doublings: int = 4
    """f, doublings before the resampling."""
    doublings: int = 4
    """d, doublings after it."""
    affine_dim: int = 4
    """Latents of the rigid correction."""

    def __post_init__(self) -> None:
        if self.side % 2**self.doublings:
            raise ValueError(
                f"a template of {self.side} voxels a side cannot result from {self.doublings} doublings: "
                f"give a multiple of {2**self.doublings}."
            )
        halvings = self.seed_doublings + self.doublings - 1
        if self.width % 2**halvings:
            raise ValueError(
                f"{self.width} channels cannot be halved {halvings} times: give a multiple of {2**halvings}."
            )

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the grids from 1³ to t³."""
        count = self.seed_doublings + self.doublings
        return (*(self.width >> number for number in range(count)), 1)


class TemplateDecoder(nn.Module):
    """Maps latents to volumes and rigid corrections. Weights are drawn from PyTorch's generator."""

    def __init__(self, shape: TemplateShape) -> None:
        super().__init__()
        self.shape = shape
        channels = shape.channels
        self.first = nn.Linear(shape.z_dim, _HIDDEN)
        self.second = nn.Linear(_HIDDEN, shape.width)
        self.doublings = nn.ModuleList(
            nn.ConvTranspose3d(before, after, 2, 2)
            if number < _POINTWISE
            else nn.ConvTranspose3d(before, after, 4, stride=2, padding=1)
            for number, (before, after) in enumerate(pairwise(channels))
        )
        self.affine = nn.ModuleList([nn.Linear(shape.affine_dim, _HIDDEN), nn.Linear(_HIDDEN, 6)])
        self._initialise()

    def forward(self, latents: Float[Tensor, "b k"]) -> Float[Tensor, "b t t t"]:
        """Volumes, float32."""
        hidden = _leak(self.second(_leak(self.first(latents))))
        values = hidden[..., None, None, None]
        for number, layer in enumerate(self.doublings):
            if number == self.shape.seed_doublings:
                side = self.shape.side >> self.shape.doublings
                values = functional.interpolate(values.float(), size=(side,) * 3, mode="trilinear")
            assert isinstance(layer, nn.ConvTranspose3d)
            values = double_grid(layer, values)
            if number < len(self.doublings) - 1:
                values = _leak(values)
        return values[:, 0].float()

    def correct(self, latents: Float[Tensor, "b a"]) -> tuple[Float[Tensor, "b 3 3"], Float[Tensor, "b 3"]]:
        """Rotation matrices and translations (x, y, z) in px."""
        found = self.affine[1](_leak(self.affine[0](latents))).float()
        axis, translation = found.chunk(2, dim=1)
        return _rotate(axis), translation

    def _initialise(self) -> None:
        gain = nn.init.calculate_gain("leaky_relu", SLOPE)
        for layer in (self.first, self.second, self.affine[0]):
            nn.init.xavier_uniform_(layer.weight, gain)  # pyright: ignore[reportArgumentType]
        for number, layer in enumerate(self.doublings):
            weight = layer.weight
            assert isinstance(weight, nn.Parameter)
            taps = weight.shape[-1] // 2
            phase = torch.empty(*weight.shape[:2], taps, taps, taps)
            last = number == len(self.doublings) - 1
            nn.init.xavier_uniform_(phase, _LAST_GAIN if last else gain)
            with torch.no_grad():
                weight.copy_(phase.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4))
        for layer in (self.first, self.second, *self.doublings, self.affine[0]):
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
        for values in self.affine[1].parameters():
            nn.init.zeros_(values)


def _leak(values: Float[Tensor, "b *n"]) -> Float[Tensor, "b *n"]:
    return functional.leaky_relu(values, SLOPE, inplace=True)


def _rotate(axis: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """Matrices of the quaternions (4, a, b, c), normalised."""
    whole = torch.cat([torch.full_like(axis[:, :1], _SCALAR), axis], dim=1)
    w, x, y, z = (whole / whole.norm(dim=1, keepdim=True)).unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=1)
