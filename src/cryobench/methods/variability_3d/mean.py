"""The mean volume from all particles, its half-sets, and the power of the noise from what it leaves over."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.imaging.slices import extract_slices
from cryobench.methods._shared.backprojection import invert_weight, regularise
from cryobench.methods._shared.half_sets import volume_fsc
from cryobench.methods._shared.passes import Passes, Rows, Sums
from cryobench.methods._shared.spectra import ParticleSpectra

_IDENTICAL = 1e-6
_LEAST_NOISE = 1e-3


@dataclass(frozen=True)
class Mean:
    """What is known before anything varies."""

    volume: Tensor
    """(z, y, x) float32, inside the mask it was estimated in."""
    noise: np.ndarray
    """(radius + 1,) power of the noise: of what the mean leaves over, per degree of freedom."""
    residual: np.ndarray
    """(radius + 1,) mean |y − C μ|² of each shell."""
    fitted: np.ndarray
    """(radius + 1,) real degrees of freedom that the mean took of each shell."""
    half_set_fsc: np.ndarray
    """(s,) FSC of the volumes from two halves of the particles."""


def estimate_mean(passes: Passes, halves: np.ndarray, mask: Tensor) -> Mean:
    """Regularised back-projection of all particles and of each half, in a mask; and the noise.

    Raises
    ------
    ValueError
        If all particles are the same image.
    """
    sums, rows = passes.run(sum_halves, passes.mean_power, own=[halves])
    powers = rows["powers"]
    if (powers.std(axis=0) <= _IDENTICAL * powers.mean(axis=0)).all():
        raise ValueError(
            f"all {len(passes)} particles hold the same image up to a shift: nothing varies, and there is no noise "
            "to compare by. Is the stack what it should be?"
        )
    numerator, weight = sums["halves"].totals()
    halved = fourier_to_volume(regularise(numerator, weight)) * mask
    numerator, weight = (
        FourierVolume(part.values.sum(-1).contiguous(), part.box_size) for part in (numerator, weight)
    )
    inverse = invert_weight(numerator, weight)
    solved = numerator.values * inverse.values
    volume = fourier_to_volume(numerator.with_values(solved)) * mask
    # F / W is exact only where weights vary slowly: at low frequencies, what it leaves over is put back once.
    sums, _ = passes.run(sum_residuals, volume_to_fourier(volume), passes.mean_power)
    left = sums["left"].totals()[0].values * inverse.values - (1 - weight.values * inverse.values) * solved
    volume = volume + fourier_to_volume(numerator.with_values(left)) * mask
    sums, _ = passes.run(sum_residuals, volume_to_fourier(volume), None)
    residual = sums["power"] / (len(passes) * passes.disc.shell_weights)
    residual = np.maximum(residual, _LEAST_NOISE * passes.mean_power)
    fitted = _sum_shells(weight.values * inverse.values, weight, len(residual)) * float(mask.mean())
    return Mean(
        volume,
        correct_noise(residual, np.zeros_like(residual), fitted, passes),
        residual,
        fitted,
        volume_fsc(halved[0], halved[1]),
    )


def correct_noise(residual: np.ndarray, leverage: np.ndarray, fitted: np.ndarray, passes: Passes) -> np.ndarray:
    """Power of the noise (r,) from the mean residual power of each shell.

    Each real degree of freedom that was fitted, of latents (``leverage``) or of volumes (``fitted``), has taken half
    a σ² of the weighted sum. Never less than a thousandth of the images' power.
    """
    entries = len(passes) * passes.disc.shell_weights[: len(residual)]
    left = 1 - (leverage + fitted) / (2 * entries)
    # Where nearly all there is was fitted, nothing is known of the noise but what is left.
    return np.maximum(residual / np.maximum(left, 0.25), _LEAST_NOISE * passes.mean_power[: len(residual)])


def sum_halves(spectra: ParticleSpectra, noise: np.ndarray, halves: np.ndarray) -> tuple[Sums, Rows]:
    """Sums of each half of a share, in units of the noise, and the power (n, radius + 1) of every image."""
    disc = spectra.disc
    sums = SliceAccumulator(disc.box_size, n_volumes=2, radius=disc.radius, device=spectra.device)
    inverse = torch.from_numpy((1 / noise)[disc.shells]).float().to(spectra.device)
    powers = np.empty((len(spectra), disc.radius + 1))
    for packed in spectra.batches():
        scaled = packed.ctf * inverse
        own = torch.from_numpy(np.eye(2, dtype=np.float32)[halves[packed.indices]])
        sums.add(
            disc.unpack(scaled * packed.data),
            disc.unpack(scaled * packed.ctf),
            packed.rotations,
            class_weights=own.to(spectra.device),
        )
        powers[packed.indices] = packed.power.cpu().numpy()
    return {"halves": sums}, {"powers": powers}


def sum_residuals(spectra: ParticleSpectra, volume_ft: FourierVolume, noise: np.ndarray | None) -> tuple[Sums, Rows]:
    """Weighted power of what a volume leaves over, shell by shell; with the noise, also its back-projection."""
    disc, total = spectra.disc, np.zeros(spectra.disc.radius + 1)
    index = torch.from_numpy(disc.index).to(spectra.device)
    sums = SliceAccumulator(disc.box_size, radius=disc.radius, device=spectra.device)
    for packed in spectra.batches():
        slices = extract_slices(volume_ft, packed.rotations, radius=disc.radius).flatten(1)[:, index]
        left = packed.data - packed.ctf * slices
        total += disc.sum_shells(left.abs().square()).sum(0).cpu().numpy()
        if noise is not None:
            scaled = packed.ctf * torch.from_numpy((1 / noise)[disc.shells]).float().to(spectra.device)
            sums.add(disc.unpack(scaled * left), disc.unpack(scaled * packed.ctf), packed.rotations)
    return {"power": total, "left": sums}, {}


def _sum_shells(values: Tensor, volume_ft: FourierVolume, shells: int) -> np.ndarray:
    """Sums (shells,) over the full spectrum of real values on the grid of a volume."""
    total = torch.zeros(shells + 1, dtype=torch.float64, device=values.device)
    index = volume_ft.shell_indices().clamp(max=shells).flatten()
    counted = (values * volume_ft.multiplicities()).flatten().double()
    return total.index_add_(0, index, counted)[:-1].cpu().numpy()
