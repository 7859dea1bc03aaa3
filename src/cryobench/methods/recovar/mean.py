"""Half-set means, the mean, and the prior that their agreement gives (step b).

F_h = Σ_{i in h} A_i*(C y / σ²),   W_h = Σ_{i in h} A_i*(C² / σ²)     inserted on a grid padded twice
SSNR = FSC / (1 − FSC) of the unregularised halves,   1 / τ² = ⟨W⟩ / SSNR shell by shell
μ = (F_0 + F_1) / (W_0 + W_1 + 1 / τ²)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.methods._shared.half_sets import volume_fsc
from cryobench.methods._shared.passes import Passes
from cryobench.methods._shared.spectra import ParticleSpectra

PADDING = 2
_FLOOR = 1e-3
LEAST_FSC, MOST_FSC = 0.001, 0.999


@dataclass(frozen=True)
class Mean:
    """The mean volume and what the half-sets say of it."""

    volume: Tensor
    """(z, y, x), regularised, inside the sphere."""
    halves: Tensor
    """(2, z, y, x), unregularised."""
    fsc: np.ndarray
    """(n // 2 + 1,) of the two halves inside the sphere."""
    weight: np.ndarray
    """(n // 2 + 1,) mean of W_0 + W_1 in each shell, in units of 1/σ²."""

    def spectrum(self) -> FourierVolume:
        """The mean ready for slicing, on a padded grid: what its slices lack would look like heterogeneity."""
        return volume_to_fourier(self.volume, padding=PADDING)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For keeping."""
        return {
            "volume": self.volume.cpu().numpy(),
            "halves": self.halves.cpu().numpy(),
            "fsc": self.fsc,
            "weight": self.weight,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> "Mean":
        """Back from what ``to_arrays`` gave."""
        volume, halves = torch.from_numpy(arrays["volume"]), torch.from_numpy(arrays["halves"])
        return Mean(volume, halves, arrays["fsc"], arrays["weight"])

    @property
    def prior(self) -> np.ndarray:
        """(n // 2 + 1,) power τ² of the mean in each shell, in the volumes' unit."""
        return ssnr(self.fsc) / np.maximum(self.weight / 2, 1e-30)


def ssnr(fsc: np.ndarray) -> np.ndarray:
    """FSC / (1 − FSC) with the FSC kept within [0.001, 0.999]."""
    kept = np.clip(fsc, LEAST_FSC, MOST_FSC)
    return kept / (1 - kept)


def estimate_mean(passes: Passes, halves: np.ndarray, noise: np.ndarray, sphere: Tensor) -> Mean:
    """Mean of particles in half-sets (n,) 0 or 1 with noise power (radius + 1,); volumes times ``sphere``."""
    sums, _ = passes.run(_insert, noise, own=(halves,))
    numerator, weight = (total.to("cpu") for total in sums["sums"].totals())
    shells = weight.shell_indices().clamp(max=passes.disc.box_size // 2)
    floor = (_FLOOR * _shell_means(weight, shells))[shells]
    inverse = 1 / torch.maximum(weight.values, floor).clamp(min=1e-30)
    within = (weight.shell_indices() <= passes.disc.radius)[..., None]
    volumes = fourier_to_volume(numerator.with_values(numerator.values * inverse * within)) * sphere
    fsc = volume_fsc(volumes[0], volumes[1])
    per_shell = _shell_means(weight, shells)
    both = weight.values.sum(-1)
    damping = torch.from_numpy(per_shell.mean(-1).cpu().numpy() / ssnr(fsc)).to(both)[shells]
    total = numerator.values.sum(-1) / (both + damping).clamp(min=1e-30) * within[..., 0]
    volume = fourier_to_volume(FourierVolume(total, numerator.box_size, numerator.padding)) * sphere
    return Mean(volume, volumes, fsc, per_shell.sum(-1).cpu().numpy())


def _insert(spectra: ParticleSpectra, noise: np.ndarray, halves: np.ndarray) -> tuple[dict, dict]:
    disc, device = spectra.disc, spectra.device
    sums = SliceAccumulator(disc.box_size, padding=PADDING, n_volumes=2, radius=disc.radius, device=device)
    inverse = torch.from_numpy(1 / noise[disc.shells]).float().to(device)
    for packed in spectra.batches():
        scaled = packed.ctf * inverse
        own = torch.nn.functional.one_hot(torch.from_numpy(halves[packed.indices]).long(), 2).float().to(device)
        sums.add(
            disc.unpack(scaled * packed.data), disc.unpack(scaled * packed.ctf), packed.rotations, class_weights=own
        )
    return {"sums": sums}, {}


def _shell_means(weight: FourierVolume, shells: Tensor) -> Tensor:
    """(s, k) mean of each volume's weights over each shell of the full spectrum."""
    counts = weight.multiplicities()[..., None]
    flat = shells.flatten()
    size = int(flat.max()) + 1
    totals = torch.zeros(size, weight.n_volumes, device=counts.device)
    totals.index_add_(0, flat, (weight.values * counts).flatten(0, 2))
    number = torch.zeros(size, 1, device=counts.device).index_add_(0, flat, counts.flatten(0, 2))
    return totals / number.clamp(min=1)
