"""Volumes of the ascent: random starts, and constraints applied after every step."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.fourier import fft_volume, ifft_volume, shell_indices
from cryobench.rng import stream

_WIDTH = 0.5
"""Width of the Gaussian by which random starts are multiplied, in radii of the sphere."""


def draw_starts(
    count: int,
    sphere: Float[Tensor, "z y x"],
    radius: float,
    power: Float[np.ndarray, "s"],
    seed: int,
    start: int = 0,
) -> Float[Tensor, "k z y x"]:
    """Random volumes, float32, dense near the centre, smooth up to a radius in index units.

    Parameters
    ----------
    sphere
        Support of the volumes.
    power
        (radius + 1,) mean power of an entry of their slices in each shell, without CTF: sets their scale.
    seed, start
        Each volume of each start has its own stream.
    """
    size = sphere.shape[-1]
    distance = _distance(size)
    entries = shell_indices(size, 3)
    inner = float(np.sqrt(3 / 5) * (3 / (4 * np.pi) * float(sphere.sum())) ** (1 / 3))
    envelope = torch.exp(-0.5 * (distance / (_WIDTH * inner)) ** 2)
    volumes = []
    for index in range(count):
        noise = torch.from_numpy(stream(seed, f"random start {start}", index).standard_normal((size,) * 3)).float()
        smooth = ifft_volume(fft_volume(noise) * (entries <= radius), size)
        volumes.append((smooth - smooth.min()) * envelope * sphere)
    drawn = torch.stack(volumes)
    shells = min(int(radius), len(power) - 1)
    chosen = (entries >= 1) & (entries <= shells)
    present = torch.stack([fft_volume(volume)[chosen].abs().square().mean() for volume in drawn]).mean()
    return drawn * float(np.sqrt(power[1 : shells + 1].mean() / float(present)))


@dataclass(frozen=True)
class Constraints:
    """Constraints on a volume, applied after every step."""

    sphere: Tensor
    """(z, y, x) window, 1 inside."""
    non_negative: bool
    recentre: bool

    def apply(self, volume: Float[Tensor, "z y x"]) -> Float[Tensor, "z y x"]:
        """Volume with solvent at zero, centre of mass at the centre, and zero outside the sphere.

        The zero frequency is not compared with the images, so the solvent's level is free: it is taken as the median
        within the sphere.
        """
        inside = self.sphere > 0.5
        kept = (volume - volume[inside].median()) * self.sphere
        if self.non_negative:
            kept = kept.clamp(min=0)
        if not self.recentre:
            return kept
        mass = kept.clamp(min=0)
        total = float(mass.sum())
        if total <= 0:
            return kept
        axis = torch.arange(volume.shape[-1], dtype=mass.dtype, device=mass.device) - volume.shape[-1] // 2
        offset = [float((mass.sum(dim=dims) * axis).sum()) / total for dims in ((0, 1), (0, 2), (1, 2))]
        steps = [-round(each) for each in offset]
        if not any(steps):
            return kept
        return torch.roll(kept, steps, dims=(2, 1, 0))


def _distance(size: int) -> Float[Tensor, "z y x"]:
    axis = torch.arange(size).float() - size // 2
    return (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2).sqrt()
