"""The two halves of an iteration: posteriors of the particles, and what the posteriors make of the volumes.

A particle's own noise is part of the volume it was added to, so that volume explains it better than it should:
by a_p = γ c² / σ² · ⟨mask⟩ / (W + 1/Tτ²) of the noise at every entry p, since a wave that was inserted comes back
masked. Its squared residual is short of 2 a_p σ² to first order. Adding that back gives the score the particle
would have under the volume made without it; without that correction particles stay in whatever class they start.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume, fourier_to_volume, volume_to_fourier
from cryobench.methods._shared.backprojection import invert_weight
from cryobench.methods._shared.class_scores import score_classes
from cryobench.methods._shared.spectra import Packed, ParticleSpectra


@dataclass(frozen=True)
class Model:
    """K volumes with their populations, and the noise."""

    volumes: Tensor
    """(k, z, y, x) float32."""
    populations: np.ndarray
    """(k,) sum to 1."""
    noise: np.ndarray
    """(radius + 1,) power of the noise in each shell, of the unnormalised transform."""
    leverage: np.ndarray
    """(radius + 1, k) share of a particle's own noise in the volumes, per CTF²: ⟨mask⟩ · mean of 1 / (W + 1/Tτ²)."""


@dataclass(frozen=True)
class Outcome:
    """What one iteration found."""

    model: Model
    posteriors: np.ndarray
    """(n, k) float32 under the model the iteration started from."""
    objective: float
    """Leave-one-out log-likelihood of that model minus that of noise alone, up to the likelihood radius."""


class VolumeSums:
    """Running sums of posterior-weighted particles for K volumes."""

    def __init__(self, spectra: ParticleSpectra, n_classes: int, noise: np.ndarray, radius: int, device: str) -> None:
        self._disc = spectra.disc
        self._sums = SliceAccumulator(spectra.disc.box_size, n_volumes=n_classes, radius=radius, device=device)
        self._inverse = torch.from_numpy((1 / noise)[spectra.disc.shells]).float().to(device)

    def add(self, packed: Packed, posteriors: Tensor, threshold: float) -> None:
        """Add particles with class probabilities (m, k); those below ``threshold`` are left out."""
        scaled = packed.ctf * self._inverse
        self._sums.add(
            self._disc.unpack(scaled * packed.data),
            self._disc.unpack(scaled * packed.ctf),
            packed.rotations,
            class_weights=posteriors.to(packed.data.device),
            threshold=threshold,
        )

    def solve(self, tau_fudge: float, mask: Tensor) -> tuple[Tensor, np.ndarray]:
        """Regularised, masked volumes (k, z, y, x), and the leverage (radius + 1, k)."""
        numerator, weight = self._sums.totals()
        inverse = invert_weight(numerator, weight, tau_fudge=tau_fudge)
        volumes = fourier_to_volume(numerator.with_values(numerator.values * inverse.values)) * mask
        return volumes, float(mask.mean()) * _average_shells(inverse, self._disc.radius)


def _average_shells(volume_ft: FourierVolume, radius: int) -> np.ndarray:
    """Mean over each shell up to ``radius`` of real values on the grid, (radius + 1, k)."""
    shells = volume_ft.shell_indices().clamp(max=radius + 1).flatten()
    counts = volume_ft.multiplicities().flatten()[:, None].double()
    sums = torch.zeros(radius + 2, volume_ft.n_volumes, dtype=torch.float64, device=counts.device)
    totals = sums.index_add(0, shells, counts * volume_ft.values.flatten(0, 2))
    number = sums.index_add(0, shells, counts.expand(-1, volume_ft.n_volumes))
    return (totals / number.clamp(min=1))[:-1].cpu().numpy()


def estimate_volumes(
    spectra: ParticleSpectra,
    posteriors: np.ndarray,
    noise: np.ndarray,
    *,
    radius: int,
    tau_fudge: float,
    threshold: float,
    mask: Tensor,
    device: str = "cpu",
) -> Model:
    """Model of particles divided by class probabilities (n, k), its volumes up to ``radius``."""
    sums = VolumeSums(spectra, posteriors.shape[1], noise, radius, device)
    for packed in spectra.batches():
        sums.add(packed, torch.from_numpy(posteriors[packed.indices]), threshold)
    volumes, leverage = sums.solve(tau_fudge, mask)
    populations = posteriors.mean(axis=0, dtype=np.float64)
    return Model(volumes, populations / populations.sum(), noise, leverage)


def iterate(
    spectra: ParticleSpectra,
    model: Model,
    former: np.ndarray,
    *,
    radius: int,
    next_radius: int,
    tau_fudge: float,
    threshold: float,
    mask: Tensor,
    device: str = "cpu",
) -> Outcome:
    """One pass over the particles: posteriors with likelihood radius ``radius``, volumes up to ``next_radius``.

    ``former`` are the posteriors (n, k) that the model's volumes were made with.
    """
    disc, n_classes = spectra.disc, len(model.populations)
    volume_ft = volume_to_fourier(model.volumes)
    sums = VolumeSums(spectra, n_classes, model.noise, next_radius, device)
    posteriors = np.empty((len(spectra), n_classes), dtype=np.float32)
    inverse = torch.from_numpy(1 / model.noise[: radius + 1]).to(device)
    log_populations = torch.from_numpy(np.log(np.maximum(model.populations, 1e-30))).to(device)
    leverage = torch.from_numpy(2 * model.leverage[: radius + 1]).to(device)
    likelihood, power, change = 0.0, np.zeros(radius + 1), np.zeros(radius + 1)
    for packed in spectra.batches():
        scores = score_classes(volume_ft, packed, disc, radius).double()
        belonged = torch.from_numpy(former[packed.indices]).to(device).double()
        belonged = torch.where(belonged >= threshold, belonged, 0)
        scores += packed.ctf_power[:, : radius + 1, None] * leverage * belonged[:, None, :]
        logits = log_populations - torch.einsum("nsk,s->nk", scores, inverse)
        likelihood += float(torch.logsumexp(logits, dim=1).sum())
        own = torch.softmax(logits, dim=1)
        change += torch.einsum("nsk,nk->s", scores, own).cpu().numpy()
        power += packed.power[:, : radius + 1].sum(0).cpu().numpy()
        own = own.float()
        posteriors[packed.indices] = own.cpu().numpy()
        sums.add(packed, own, threshold)

    weights = len(spectra) * disc.shell_weights[: radius + 1]
    alone = spectra.mean_power[: radius + 1]
    noise, used = spectra.mean_power.copy(), model.noise[: radius + 1]
    # The noise is never estimated to be less than a thousandth of the power: data without noise stay finite.
    noise[: radius + 1] = np.maximum((power + change) / weights, 1e-3 * alone)
    objective = likelihood - float((power * (1 / used - 1 / alone) + weights * np.log(used / alone)).sum())
    populations = posteriors.mean(axis=0, dtype=np.float64)
    volumes, own_share = sums.solve(tau_fudge, mask)
    updated = Model(volumes, populations / populations.sum(), noise, own_share)
    return Outcome(updated, posteriors, objective)
