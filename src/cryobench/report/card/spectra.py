"""Power of images, noise and signal at each spatial frequency, and the signal-to-noise ratios that follow.

All powers are means of |F|² over a shell of the unnormalised transform of an n x n image, so white noise of
variance σ² has power n² σ² in every shell.

- images: a few hundred whole images;
- noise: the same images outside the disc that molecules reach, divided by the power of that window;
- signal: by the projection-slice theorem, the power of a projection at k is on average that of the volume on the
  shell |k|; this is multiplied by the mean CTF² of the same images. Without true volumes it is images minus noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cryobench._sampling import spread_indices
from cryobench.data import Dataset, Particles
from cryobench.fourier import fft_images, frequency_grid, shell_average, shell_indices, shell_sum
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.report.card.states import StateView

MOST_IMAGES = 300
"""Images read, evenly spaced over the particles."""
_CHUNK = 64


@dataclass(frozen=True)
class MeasuredSnr:
    """A signal-to-noise ratio and its standard error over images; NaN if the background is constant, as in a mask."""

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class Spectra:
    """Powers by shell and signal-to-noise ratios from some images of a data set."""

    table: pd.DataFrame
    """Columns shell, frequency (1/Å), images, noise, signal, snr; shells 1 to n // 2 − 1."""
    n_images: int
    from_truth: bool
    """Whether the signal is from the true volumes; otherwise it is images minus noise."""
    all_pixels: MeasuredSnr
    """SNR from the images alone: (variance over all pixels − variance outside the molecule) / the latter."""
    inside_disc: MeasuredSnr
    """The same over the disc that the mask can reach in any view."""
    expected: float | None
    """SNR over all pixels, from the true volumes' signal and the noise outside the molecule, if there is any."""


def measure_spectra(dataset: Dataset, states: Sequence[StateView]) -> Spectra:
    """Spectra of at most ``MOST_IMAGES`` images; ``states`` hold the power of true volumes, and may be empty."""
    particles = dataset.particles
    size = particles.box_size
    chosen = spread_indices(len(particles), MOST_IMAGES, nearest=True)
    disc, reach = molecule_radius(particles), _shifted_radius(particles)
    whole, corners, rows = _add_up(particles, chosen, disc, outside_window(size, reach))
    shells = np.arange(1, max(size // 2, 2))
    signal, from_truth = np.clip(whole - corners, 0, None), bool(states)
    if states:
        weights = np.array([max(view.particles, 0) for view in states], dtype=np.float64)
        weights = weights / weights.sum() if weights.sum() else np.full(len(states), 1 / len(states))
        volume_power = np.tensordot(weights, np.stack([view.power for view in states]), axes=1)
        signal = signal_power(volume_power, particles.ctf[chosen], size, particles.pixel_size)
    noise_variance = rows[:, 2].mean()
    expected = None
    if states:
        indices = shell_indices(size, 2)
        counts = shell_sum(torch.ones(indices.shape), indices, len(signal), box_size=size).numpy()
        expected = float((signal[1:] * counts[1:]).sum() / size**4 / noise_variance) if noise_variance > 0 else None
    table = pd.DataFrame(
        {
            "shell": shells,
            "frequency": shells / (size * particles.pixel_size),
            "images": whole[shells],
            "noise": corners[shells],
            "signal": signal[shells],
            "snr": signal[shells] / np.where(corners[shells] > 0, corners[shells], np.nan),
        }
    )
    return Spectra(
        table, len(chosen), from_truth, _ratio(rows[:, 0], rows[:, 2]), _ratio(rows[:, 1], rows[:, 2]), expected
    )


def molecule_radius(particles: Particles) -> float:
    """Radius (px) of the disc that the mask can reach in any view; half the box without a mask."""
    size, mask = particles.box_size, particles.mask
    if mask is None or not (mask > 0.5).any():
        return 0.5 * size
    axis = np.arange(size) - size // 2
    return float(np.linalg.norm(axis[np.argwhere(mask > 0.5)], axis=1).max())


def _shifted_radius(particles: Particles) -> float:
    """Radius (px) that hardly any molecule, with its shift, extends beyond; some corners are always outside."""
    shifts = particles.shifts
    shift = 0.0 if shifts is None else float(np.sqrt(np.square(shifts).mean())) / particles.pixel_size
    return float(np.clip(molecule_radius(particles) + shift, 0.35 * particles.box_size, 0.5 * particles.box_size))


def outside_window(size: int, radius: float) -> Tensor:
    """Window (y, x): 0 within a disc about the centre, rising to 1 over a twelfth of the box beyond it."""
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    distance = (axis[:, None] ** 2 + axis**2).sqrt()
    edge = max(1.0, size / 12)
    return 0.5 - 0.5 * torch.cos(torch.pi * ((distance - radius) / edge).clamp(0, 1))


def image_power(images: Tensor) -> np.ndarray:
    """Mean |F|² of images (m, y, x) in each shell (n // 2 + 1,), after subtracting their common mean."""
    return window_power(images, torch.ones(images.shape[-2:], dtype=torch.float64))


def window_power(images: Tensor, window: Tensor) -> np.ndarray:
    """Mean |F|² of windowed images in each shell, scaled to that of noise filling the image without a window."""
    size = images.shape[-1]
    images = images.double()
    # One mean for all: each image's own would also remove noise at the lowest frequencies.
    mean = (images * window).sum() / (window.sum() * len(images))
    spectra = fft_images((images - mean) * window)
    power = spectra.abs().square().mean(dim=0)
    indices = shell_indices(size, 2)
    return (shell_average(power, indices, size // 2 + 1, box_size=size) * size**2 / window.square().sum()).numpy()


def signal_power(volume_power: np.ndarray, ctf: Ctf, size: int, pixel_size: float) -> np.ndarray:
    """Mean |CTF F|² of projections in each shell, (n // 2 + 1,), from the mean power of the volume's shells.

    Both vary within a shell, so their product is taken element by element, with the volume's power interpolated
    between shells on a logarithmic scale because it falls steeply.
    """
    grid = frequency_grid(size, 2, pixel_size=pixel_size)
    transfer = torch.zeros(grid.shape[:-1], dtype=torch.float64)
    for start in range(0, len(ctf), _CHUNK):
        transfer += evaluate_ctf(ctf[slice(start, start + _CHUNK)], grid).double().square().sum(dim=0)
    radius = grid.double().square().sum(dim=-1).sqrt().numpy() * size * pixel_size
    shells = np.arange(len(volume_power))
    mean_radius = shells * (shells**2 + 1 / 4) / (shells**2 + 1 / 12)  # of the spherical layer s − ½ to s + ½
    logarithm = np.log(np.maximum(volume_power, 1e-300))
    power = np.where(radius <= shells[-1], np.exp(np.interp(radius, mean_radius, logarithm)), 0.0)
    product = torch.from_numpy(power) * transfer / len(ctf)
    return shell_average(product, shell_indices(size, 2), size // 2 + 1, box_size=size).numpy()


def _add_up(
    particles: Particles, chosen: np.ndarray, disc: float, window: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power of whole and of windowed images; variances of all pixels, of the disc's and of the window's."""
    size = particles.box_size
    whole, corners = np.zeros(size // 2 + 1), np.zeros(size // 2 + 1)
    axis = np.arange(size) - size // 2
    outside, inside = window.numpy() > 0.5, axis[:, None] ** 2 + axis**2 <= disc**2
    rows = []
    for start in range(0, len(chosen), _CHUNK):
        images = torch.as_tensor(np.ascontiguousarray(particles.read(chosen[start : start + _CHUNK])))
        fraction = len(images) / len(chosen)
        whole += fraction * image_power(images)
        corners += fraction * window_power(images, window)
        pixels = images.numpy().astype(np.float64)
        rows.append(
            np.stack([pixels.var(axis=(1, 2)), pixels[:, inside].var(axis=1), pixels[:, outside].var(axis=1)], axis=1)
        )
    return whole, corners, np.concatenate(rows)


def _ratio(variance: np.ndarray, noise: np.ndarray) -> MeasuredSnr:
    """(mean variance − mean noise) / mean noise over images, with its standard error by the delta method."""
    level = noise.mean()
    if not level > 0:
        return MeasuredSnr(np.nan, np.nan)
    ratio = variance.mean() / level - 1
    deviation = (variance - (ratio + 1) * noise) / level
    return MeasuredSnr(float(ratio), float(deviation.std() / np.sqrt(len(noise))))
