"""The mean volume from all particles, its half-sets, and the power of the noise from its residuals."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import PosedSpectra, subtract_volume
from cryobench.reconstruction.statistics import ClassSums, invert_weight, solve_volumes, sum_classes, volume_fsc

_LEAST_NOISE = 1e-3


@dataclass(frozen=True)
class VariabilityMean:
    """Estimates before any component."""

    volume: Tensor
    """(z, y, x) float32, inside the mask it was estimated in."""
    noise: np.ndarray
    """(radius + 1,) power of the noise: of the residuals from the mean, per degree of freedom."""
    residual: np.ndarray
    """(radius + 1,) mean |y − C μ|² of each shell."""
    fitted: np.ndarray
    """(radius + 1,) real degrees of freedom of the mean in each shell."""
    half_set_fsc: np.ndarray
    """(s,) FSC of the volumes from two halves of the particles."""


def estimate_mean(passes: Passes, halves: Int[np.ndarray, "n"], mask: Float[Tensor, "z y x"]) -> VariabilityMean:
    """Regularised back-projection of all particles and of each half, 0 or 1, in a mask; and the noise."""
    sums = sum_classes(passes, np.eye(2, dtype=np.float32)[halves], passes.mean_power)
    halved, _ = solve_volumes(sums, mask=mask)
    numerator, weight = (
        one.with_values(one.values + other.values)
        for one, other in zip(sums.totals_of(0), sums.totals_of(1), strict=True)
    )
    inverse = invert_weight(numerator, weight)
    solved = numerator.values * inverse.values
    volume = fourier_to_volume(numerator.with_values(solved)) * mask
    # F / W is exact only where weights vary slowly: at low frequencies, its residual is added once.
    sums = passes.run(_sum_left_over, volume_to_fourier(volume), passes.mean_power)[0]["sums"]
    left = sums.totals_of(0)[0].values * inverse.values - (1 - weight.values * inverse.values) * solved
    volume = volume + fourier_to_volume(numerator.with_values(left)) * mask
    power = passes.run(_sum_residual_power, volume_to_fourier(volume))[0]["power"]
    residual = np.maximum(power / (len(passes) * passes.disc.shell_weights), _LEAST_NOISE * passes.mean_power)
    fitted = weight.shell_sums(weight.values * inverse.values)[: len(residual)].cpu().numpy() * float(mask.mean())
    return VariabilityMean(
        volume,
        correct_noise(residual, np.zeros_like(residual), fitted, passes),
        residual,
        fitted,
        volume_fsc(halved[0], halved[1]),
    )


def correct_noise(
    residual: Float[np.ndarray, "s"], leverage: Float[np.ndarray, "s"], fitted: Float[np.ndarray, "s"], passes: Passes
) -> Float[np.ndarray, "s"]:
    """Power of the noise (r,) from the mean residual power of each shell.

    Each fitted real degree of freedom, of latents (``leverage``) or of volumes (``fitted``), has absorbed half
    a σ² of the weighted sum. At least a thousandth of the images' power.
    """
    entries = len(passes) * passes.disc.shell_weights[: len(residual)]
    left = 1 - (leverage + fitted) / (2 * entries)
    # Where nearly everything was fitted, only the residual bounds the noise.
    return np.maximum(residual / np.maximum(left, 0.25), _LEAST_NOISE * passes.mean_power[: len(residual)])


def _sum_left_over(
    spectra: PosedSpectra, volume_ft: FourierVolume, noise: Float[np.ndarray, "s"]
) -> tuple[Sums, Rows]:
    """Back-projection of the residuals from a volume, in units of the noise."""
    sums = ClassSums(spectra, 1, noise)
    for batch in spectra.batches():
        left = subtract_volume(batch, volume_ft, spectra.disc)
        sums.add(left, torch.ones(len(left), 1, device=spectra.device))
    return {"sums": sums.sums}, {}


def _sum_residual_power(spectra: PosedSpectra, volume_ft: FourierVolume) -> tuple[Sums, Rows]:
    """Weighted power (radius + 1,) of the residuals from a volume."""
    total = np.zeros(spectra.disc.radius + 1)
    for batch in spectra.batches():
        left = subtract_volume(batch, volume_ft, spectra.disc)
        total += spectra.disc.shell_power(left.data).sum(0).cpu().numpy()
    return {"power": total}, {}
