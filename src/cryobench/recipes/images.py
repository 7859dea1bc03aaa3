"""From one state's atoms to its images: the work of one process, in chunks that fit in memory.

image = −(CTF · shift · slice of the truth volume + white noise), in the form −1 (protein bright) of published stacks.

The truth volume is what the images hold: atoms rendered on a finer grid and Fourier-cropped, so band-limited. Slices
are taken with the wide kernel, whose error (docs/interpolation.md) is far below that of the trilinear kernel methods
reconstruct with: what is simulated is not what is assumed. Noise has the variance the SNR asks for at
``snr_pixel_size``; where that is finer than the images', as in the published sets, it is what binning leaves of it.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float

from cryobench._types import ImageArray, Volume
from cryobench.fourier import fourier_crop, ifft_images
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.grid import FourierVolume, volume_to_fourier
from cryobench.imaging.noise import draw_white_noise, expected_signal_variance
from cryobench.imaging.slices import extract_slices
from cryobench.imaging.transfer import apply_transfer
from cryobench.io.atomic import write_json
from cryobench.io.mrc import StackWriter, write_volume
from cryobench.recipes.draws import draw_ctf, draw_poses
from cryobench.recipes.recipe import Ensemble, SimulationSettings
from cryobench.volumes.render import render

FineVolume: TypeAlias = Float[torch.Tensor, "fine_z fine_y fine_x"]
SIGN = -1
"""Protein is bright in the stacks written, the usual form on disk."""


@dataclass(frozen=True)
class StateResult:
    """What making one state's images told: kept in a small file that marks the state as finished."""

    state: int
    n_images: int
    mass: float
    signal_variance: float
    noise_variance: float
    stack_sha256: str


def stack_path(state: int) -> Path:
    """Stack of one state within the data set."""
    return Path("particles", f"{state:03d}.mrcs")


def volume_path(state: int) -> Path:
    """True volume of one state within the data set."""
    return Path("truth", "volumes", f"{state:03d}.mrc")


def result_path(state: int) -> Path:
    """Mark of a finished state, within the folder of a simulation under way."""
    return Path("simulation", f"{state:03d}.json")


def make_state(
    ensemble: Ensemble, settings: SimulationSettings, seed: int, state: int, folder: Path, chunk: int
) -> StateResult:
    """Render one state, write its volume and all its images, then the mark that it is finished.

    The bytes depend on the settings, the seed and the state alone. Memory: one volume on the fine grid with its
    spectrum, and ``chunk`` images.
    """
    counts = np.asarray(ensemble.counts)
    first = int(counts[:state].sum())
    particles = np.arange(first, first + int(counts[state]))
    model = ensemble.model(state)
    fine, volume = render_state(ensemble, settings, state)
    variance = _signal_variance(fine, volume, settings, draw_ctf(settings, seed, particles))
    del fine
    noise_variance = variance / settings.snr * _binning(settings)
    write_volume(folder / volume_path(state), volume.numpy(), settings.pixel_size)
    volume_ft = volume_to_fourier(volume, kernel="wide")
    with StackWriter(folder / stack_path(state), len(particles), settings.box_size, settings.pixel_size) as stack:
        for part in _split(particles, chunk):
            images = draw_white_noise(seed, part, settings.box_size)
            images *= np.float32(np.sqrt(noise_variance))
            images += make_clean_images(volume_ft, settings, seed, part)
            images *= np.float32(SIGN)
            stack.append(images)
    result = StateResult(
        state=state,
        n_images=len(particles),
        mass=model.mass_with_hydrogens,
        signal_variance=variance,
        noise_variance=noise_variance,
        stack_sha256=stack.sha256,
    )
    write_json(folder / result_path(state), asdict(result))
    return result


def render_state(ensemble: Ensemble, settings: SimulationSettings, state: int) -> tuple[FineVolume, Volume]:
    """Density of a state on the fine grid, and the truth volume: the same cropped to the images' grid."""
    fine = render(
        ensemble.model(state),
        settings.box_size * settings.oversampling,
        settings.pixel_size / settings.oversampling,
        settings.resolution,
    )
    return fine, fourier_crop(fine, settings.box_size, dimensions=3)


def make_clean_images(
    volume_ft: FourierVolume, settings: SimulationSettings, seed: int, particles: np.ndarray
) -> ImageArray:
    """Noise-free images (n, y, x): +CTF x projection at the particles' own poses, protein dark."""
    rotations, shifts = draw_poses(settings, seed, particles)
    slices = extract_slices(volume_ft, torch.from_numpy(rotations.astype(np.float32)))
    displacements = torch.from_numpy(-shifts.astype(np.float32))
    spectra = apply_transfer(
        slices, draw_ctf(settings, seed, particles), displacements, pixel_size=settings.pixel_size
    )
    return ifft_images(spectra, settings.box_size).numpy()


def _signal_variance(fine: FineVolume, volume: Volume, settings: SimulationSettings, ctf: Ctf) -> float:
    """Signal variance at ``snr_pixel_size``, in the unit of the images delivered (a projection sums over voxels)."""
    pixel_size = settings.snr_pixel_size
    if pixel_size is None:
        return expected_signal_variance(volume, ctf, pixel_size=settings.pixel_size)
    size = round(settings.box_size * settings.pixel_size / pixel_size)
    sampled = fourier_crop(fine, size, dimensions=3)
    return expected_signal_variance(sampled, ctf, pixel_size=pixel_size) * (pixel_size / settings.pixel_size) ** 2


def _binning(settings: SimulationSettings) -> float:
    """Fraction of the variance of white noise at ``snr_pixel_size`` that Fourier-cropping to the images leaves."""
    return 1.0 if settings.snr_pixel_size is None else (settings.snr_pixel_size / settings.pixel_size) ** 2


def _split(particles: np.ndarray, chunk: int) -> Iterator[np.ndarray]:
    for start in range(0, len(particles), chunk):
        yield particles[start : start + chunk]
