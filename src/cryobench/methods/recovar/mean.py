"""Half-set means, the mean, and the prior from their agreement (step b).

F_h = Σ_{i in h} A_i*(C y / σ²),   W_h = Σ_{i in h} A_i*(C² / σ²)     inserted on a grid padded twice
SSNR = FSC / (1 − FSC) of the unregularised halves,   1 / τ² = ⟨W⟩ / SSNR shell by shell
μ = (F_0 + F_1) / (W_0 + W_1 + 1 / τ²)
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.reconstruction.engine import Passes
from cryobench.reconstruction.statistics import signal_to_noise, sum_classes, volume_fsc

PADDING = 2
_FLOOR = 1e-3


@dataclass(frozen=True)
class HalfSetMean:
    """The mean volume, with half-set statistics."""

    volume: Tensor
    """(z, y, x), regularised, inside the sphere."""
    halves: Tensor
    """(2, z, y, x), unregularised."""
    fsc: np.ndarray
    """(n // 2 + 1,) of the two halves inside the sphere."""
    weight: np.ndarray
    """(n // 2 + 1,) mean of W_0 + W_1 in each shell, in units of 1/σ²."""

    def spectrum(self) -> FourierVolume:
        """The mean, ready for slicing, on a padded grid: interpolation errors would look like heterogeneity."""
        return volume_to_fourier(self.volume, padding=PADDING)

    @property
    def prior(self) -> Float[np.ndarray, "s"]:
        """(n // 2 + 1,) power τ² of the mean in each shell, in the volumes' unit."""
        return signal_to_noise(self.fsc) / np.maximum(self.weight / 2, 1e-30)


def estimate_mean(
    passes: Passes, halves: Int[np.ndarray, "n"], noise: Float[np.ndarray, "s"], sphere: Float[Tensor, "z y x"]
) -> HalfSetMean:
    """Mean of particles in half-sets, 0 or 1, with noise power (radius + 1,); volumes times ``sphere``."""
    own = np.eye(2, dtype=np.float32)[halves]
    sums = sum_classes(passes, own, noise, threshold=0.5, padding=PADDING)
    volumes, means = torch.empty(2, *sphere.shape), []
    for half in (0, 1):  # one grid at a time: of a large box each is large
        numerator, weight = (total.to("cpu") for total in sums.totals_of(half))
        means.append(weight.shell_means())
        weight.values.clamp_(min=weight.spread_shells(_FLOOR * means[half]))
        volumes[half] = _divide(numerator, weight, passes.disc.radius) * sphere
        del numerator, weight  # before the next ones are allocated
    fsc, per_shell = volume_fsc(volumes[0], volumes[1]), torch.stack(means, dim=-1)
    for first, second in sums.sums:
        first += second
    numerator, weight = (total.to("cpu") for total in sums.totals_of(0))
    del sums
    weight.values.add_(weight.spread_shells(per_shell.mean(-1) / torch.from_numpy(signal_to_noise(fsc))))
    volume = _divide(numerator, weight, passes.disc.radius) * sphere
    return HalfSetMean(volume, volumes, fsc, per_shell.sum(-1).numpy())


def _divide(numerator: FourierVolume, weight: FourierVolume, radius: int) -> Float[Tensor, "z y x"]:
    """Volume of a quotient within a radius; both are overwritten."""
    beyond = weight.shell_indices() > radius
    numerator.values.div_(weight.values.clamp_(min=1e-30)).masked_fill_(beyond, 0)
    return fourier_to_volume(numerator)
