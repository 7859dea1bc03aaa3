"""The noise of the images: its spectrum, and the fraction that remains after binning.

Noise starts white in real space (stream "noise"), so white noise costs no transform; coloured noise
is that multiplied in Fourier space by the square root of a spectrum whose mean over all frequencies is 1.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from cryobench._errors import FormatError
from cryobench._types import ImageArray, ImagesFT
from cryobench.fourier import fft_images, frequency_grid, hermitian_weights
from cryobench.io.digest import stamp_file
from cryobench.recipes.settings import SimulationSettings


def is_white(settings: SimulationSettings) -> bool:
    """Whether all frequencies have the same noise power."""
    return settings.noise_exponent == 0 and settings.noise_spectrum is None


def noise_power(settings: SimulationSettings, frequencies: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Relative power of the noise at spatial frequencies in 1/Å, from the user's table or the formula.

    The table is interpolated linearly and extrapolated with its end values.
    """
    if settings.noise_spectrum is not None:
        table = _read_spectrum(settings.noise_spectrum, stamp_file(settings.noise_spectrum))
        return np.interp(frequencies, table[:, 0], table[:, 1])
    return (1 + (frequencies / settings.noise_corner) ** 2) ** (-settings.noise_exponent / 2)


def kept_by_binning(settings: SimulationSettings) -> float:
    """Fraction of the noise variance at ``snr_pixel_size`` that remains after Fourier cropping to the images."""
    if settings.snr_pixel_size is None:
        return 1.0
    fine = round(settings.box_size * settings.pixel_size / settings.snr_pixel_size)
    if is_white(settings):
        return (settings.box_size / fine) ** 2
    coarse_power = _total_power(settings, settings.box_size, settings.pixel_size)
    # An image of fine x fine pixels has more frequencies, over which its variance is spread.
    return coarse_power / _total_power(settings, fine, settings.box_size * settings.pixel_size / fine)


def colour_noise(settings: SimulationSettings, white: ImageArray) -> ImagesFT:
    """Half-spectra (n, y, h) of noise with the settings' spectrum and the variance of ``white`` (n, y, x)."""
    return fft_images(torch.from_numpy(white)) * _amplitude(settings)


def _amplitude(settings: SimulationSettings) -> Float[torch.Tensor, "y h"]:
    """Factor of white noise; its square has mean 1 over the full grid."""
    power = noise_power(settings, _radii(settings.box_size, settings.pixel_size))
    mean = _total_power(settings, settings.box_size, settings.pixel_size) / settings.box_size**2
    return torch.from_numpy(np.sqrt(power / mean).astype(np.float32))


def _total_power(settings: SimulationSettings, box_size: int, pixel_size: float) -> float:
    power = noise_power(settings, _radii(box_size, pixel_size))
    return float((power * hermitian_weights(box_size).numpy()).sum())


def _radii(box_size: int, pixel_size: float) -> Float[np.ndarray, "y h"]:
    return frequency_grid(box_size, 2, pixel_size=pixel_size).double().norm(dim=-1).numpy()


@lru_cache(maxsize=2)
def _read_spectrum(path: Path, _: tuple[int, int, int]) -> Float[np.ndarray, "m 2"]:
    """Frequencies and powers of a text file with this stamp. FormatError unless it is a valid noise spectrum."""
    try:
        table = np.loadtxt(path, ndmin=2, delimiter="," if path.suffix == ".csv" else None)
    except ValueError as error:
        raise FormatError(
            f"{path} is not a table of numbers ({error}): expected frequency (1/Å) and power."
        ) from error
    if table.shape[1] != 2 or len(table) < 2:
        raise FormatError(f"{path} has {len(table)} rows of {table.shape[1]} numbers, expected 2 or more rows of 2.")
    frequencies, powers = table.T
    if not (np.diff(frequencies) > 0).all() or frequencies[0] < 0:
        raise FormatError(f"{path}: frequencies (first column, 1/Å) must increase from 0 or above.")
    if not np.isfinite(table).all() or (powers < 0).any() or not powers.any():
        raise FormatError(f"{path}: powers (second column) must be finite and not negative, and not all 0.")
    return table
