"""Weighted back-projection of particles at given poses into one or K volumes, with a Wiener-type regularisation.

With whitened data the least-squares volume of class k is F_k / W_k, F_k = Σ_i γ_ik A_i*(C_i y_i / σ²) and
W_k = Σ_i γ_ik A_i*(C_i² / σ²), A* the insertion of a slice. It is regularised by the power τ² that each shell of F
shows beyond that of noise, V = F / (W + 1 / (T τ²)) (Scheres, J. Mol. Biol. 415 (2012) 406, eq. 12, with T the
tau2 fudge), τ² being estimated from F itself:

    E|F|² = W² τ² + κ W   =>   τ² = Σ max(|F|² − κ W, 0 in sum) / Σ W²   over a shell,

κ = 8/27 being the mean squared weight of the trilinear kernel over its mean weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryobench._progress import Progress, Silent
from cryobench.data import CHUNK, Particles
from cryobench.fourier import fft_images, frequency_grid, shell_average, shell_indices
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.ctf import evaluate_ctf
from cryobench.imaging.grid import FourierVolume, fourier_to_volume
from cryobench.imaging.transfer import apply_transfer
from cryobench.methods.method import require_poses

NOISE_GAIN = 8 / 27
_SAMPLE = 2000
_LEAST_SNR = 1e-3


@dataclass(frozen=True)
class Batch:
    """Some particles, transformed: centred, multiplied by their CTF and divided by the noise power."""

    indices: np.ndarray
    data: Tensor
    """(n, y, h) CTF · shifted spectrum / σ²."""
    weight: Tensor
    """(n, y, h) CTF² / σ²."""
    rotations: Tensor
    """(n, 3, 3)."""


def estimate_noise(particles: Particles, *, device: str = "cpu") -> Tensor:
    """Power of the images per shell, (n // 2 + 1,), from at most 2,000 of them spread over the set.

    At cryo-EM's signal-to-noise ratios this is the power of the noise, larger by 1 + SNR at the lowest frequencies.
    """
    size = particles.box_size
    chosen = np.unique(np.linspace(0, len(particles) - 1, min(len(particles), _SAMPLE)).astype(int))
    indices = shell_indices(size, 2, device=device)
    total = torch.zeros(size // 2 + 1, dtype=torch.float64, device=device)
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        power = fft_images(torch.from_numpy(particles.read(part)).to(device)).abs().square()
        total += shell_average(power, indices, size // 2 + 1, box_size=size).sum(0)
    total /= len(chosen)
    if not (total[1:] > 0).all():
        raise ValueError("the images hold no power at some frequencies: all pixels equal, or a blank stack.")
    total[0] = total[1]
    return total.float()


def spread_shells(values: Tensor, box_size: int) -> Tensor:
    """Radial values (n // 2 + 1,) on a half-spectrum (y, h); beyond the last shell, the last value."""
    return values[shell_indices(box_size, 2, device=values.device).clamp(max=len(values) - 1)]


def prepared_batches(
    particles: Particles, noise: Tensor, *, device: str = "cpu", indices: np.ndarray | None = None
) -> Iterator[Batch]:
    """All particles (or some) in batches ready for insertion. ValueError if poses are withheld."""
    rotations, shifts = require_poses(particles, "back-projection")
    size, pixel_size = particles.box_size, particles.pixel_size
    frequencies = frequency_grid(size, 2, pixel_size=pixel_size, device=device)
    inverse = 1 / spread_shells(noise, size)
    chosen = np.arange(len(particles)) if indices is None else indices
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        spectra = fft_images(torch.from_numpy(particles.read(part)).to(device))
        moves = torch.tensor(shifts[part], dtype=torch.float32, device=device)
        ctf = particles.ctf[part]
        yield Batch(
            part,
            apply_transfer(spectra, ctf, moves, pixel_size=pixel_size) * inverse,
            evaluate_ctf(ctf, frequencies) ** 2 * inverse,
            torch.tensor(rotations[part], dtype=torch.float32, device=device),
        )


def backproject(
    particles: Particles,
    labels: np.ndarray,
    n_volumes: int,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> np.ndarray:
    """Volumes (k, z, y, x) of particles divided by labels (n,) in 0 … k − 1; −1 leaves a particle out."""
    noise = estimate_noise(particles, device=device)
    sums = SliceAccumulator(particles.box_size, n_volumes=n_volumes, device=device)
    classes = torch.arange(n_volumes, device=device)
    with (progress or Silent()).task("back-projection", total=len(particles)) as task:
        for batch in prepared_batches(particles, noise, device=device):
            own = torch.from_numpy(labels[batch.indices]).to(device)
            gamma = (own[:, None] == classes).float()
            sums.add(batch.data, batch.weight, batch.rotations, class_weights=gamma)
            task.advance(len(batch.indices))
    return fourier_to_volume(regularise(*sums.totals())).cpu().numpy()


def backproject_weighted(
    particles: Particles,
    weights: np.ndarray,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    memory_bytes: float = 1e9,
) -> Iterator[np.ndarray]:
    """Volumes (z, y, x) one after the other, each of all particles by its column of weights (n, k), none negative.

    Sums of as many volumes are made in one pass over the images as fit in ``memory_bytes``.
    """
    noise = estimate_noise(particles, device=device)
    at_once = max(1, int(memory_bytes / (8 * particles.box_size**3)))
    n_volumes = weights.shape[1]
    total = len(particles) * -(-n_volumes // at_once)
    with (progress or Silent()).task("back-projection", total=total) as task:
        for first in range(0, n_volumes, at_once):
            own = weights[:, first : first + at_once]
            sums = SliceAccumulator(particles.box_size, n_volumes=own.shape[1], device=device)
            for batch in prepared_batches(particles, noise, device=device):
                gamma = torch.from_numpy(own[batch.indices]).float().to(device)
                sums.add(batch.data, batch.weight, batch.rotations, class_weights=gamma)
                task.advance(len(batch.indices))
            yield from fourier_to_volume(regularise(*sums.totals())).cpu().numpy()


def regularise(numerator: FourierVolume, weight: FourierVolume, *, tau_fudge: float = 1.0) -> FourierVolume:
    """F / (W + 1 / (T τ²)) of whitened sums, τ² estimated shell by shell and volume by volume (see above).

    Where a shell shows no signal at all it is damped to a thousandth, not set to zero.
    """
    return numerator.with_values(numerator.values * invert_weight(numerator, weight, tau_fudge=tau_fudge).values)


def invert_weight(numerator: FourierVolume, weight: FourierVolume, *, tau_fudge: float = 1.0) -> FourierVolume:
    """1 / (W + 1 / (T τ²)), the factor of ``regularise``; 0 beyond the last shell and where nothing was inserted."""
    shells = numerator.shell_indices()
    last = int((numerator.box_size - 1) // 2)
    flat = shells.clamp(max=last + 1).flatten()
    multiplicity = numerator.multiplicities()[..., None] if numerator.is_stack else numerator.multiplicities()
    volumes = numerator.n_volumes

    def over_shells(values: Tensor) -> Tensor:
        rows = (values.double() * multiplicity).reshape(len(flat), -1)
        return torch.zeros(last + 2, rows.shape[1], dtype=torch.float64, device=rows.device).index_add_(0, flat, rows)

    power = over_shells(numerator.values.abs().square() - NOISE_GAIN * weight.values)
    squared = over_shells(weight.values**2)
    mean_weight = over_shells(weight.values) / over_shells(torch.ones_like(weight.values)).clamp(min=1)
    tau = (power / squared.clamp(min=1e-30)).clamp(min=0)
    prior = 1 / torch.maximum(tau_fudge * tau, _LEAST_SNR / mean_weight.clamp(min=1e-30))
    prior = prior[flat].reshape(*shells.shape, volumes).float()
    denominator = weight.values + (prior if numerator.is_stack else prior[..., 0])
    inverse = torch.where(denominator > 0, 1 / denominator.clamp(min=1e-30), 0)
    within = shells <= last
    return numerator.with_values(inverse * (within[..., None] if numerator.is_stack else within))
