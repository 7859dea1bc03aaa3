"""From one state's atoms to its images: the work of one process, in chunks that fit in memory.

image = −(CTF · shift · slice of the truth volume + white noise), in the form −1 (protein bright) of published stacks.

The truth volume is what the images hold: atoms rendered on a finer grid and Fourier-cropped, so band-limited. Slices
are taken with the wide kernel, whose error (docs/interpolation.md) is far below that of the trilinear kernel methods
reconstruct with: what is simulated is not what is assumed. Noise has the variance the SNR asks for at
``snr_pixel_size``; where that is finer than the images', as in the published sets, it is what binning leaves of it.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from cryobench._types import ImageArray, Volume
from cryobench.atoms.model import AtomicModel
from cryobench.fourier import crop_with_power, ifft_images
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
    volume, power = render_state(model, settings)
    variance = _signal_variance(volume, power, settings, draw_ctf(settings, seed, particles))
    noise_variance = variance / settings.snr * _binning(settings)
    write_volume(folder / volume_path(state), volume.numpy(), settings.pixel_size)
    volume_ft = volume_to_fourier(volume, kernel="wide")
    with (
        StackWriter(folder / stack_path(state), len(particles), settings.box_size, settings.pixel_size) as stack,
        ThreadPoolExecutor(1) as writer,
    ):

        def write(images: ImageArray) -> None:
            stack.append(images)
            stack.sync()

        written = None
        for start in range(0, len(particles), chunk):
            part = particles[start : start + chunk]
            images = draw_white_noise(seed, part, settings.box_size)
            images *= np.float32(np.sqrt(noise_variance))
            images += make_clean_images(volume_ft, settings, seed, part)
            images *= np.float32(SIGN)
            # One chunk is written while the next is made.
            if written is not None:
                written.result()
            written = writer.submit(write, images)
        if written is not None:
            written.result()
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


def render_state(model: AtomicModel, settings: SimulationSettings) -> tuple[Volume, np.ndarray]:
    """Truth volume of a state, and the power its shells had on the fine grid it was cropped from."""
    fine = render(
        model,
        settings.box_size * settings.oversampling,
        settings.pixel_size / settings.oversampling,
        settings.resolution,
    )
    return crop_with_power(fine, settings.box_size)


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


def _signal_variance(volume: Volume, power: np.ndarray, settings: SimulationSettings, ctf: Ctf) -> float:
    """Signal variance on the grid of ``snr_pixel_size``, in the unit of the images delivered."""
    beyond = None
    if settings.snr_pixel_size is not None:
        size = round(settings.box_size * settings.pixel_size / settings.snr_pixel_size)
        beyond = power[(settings.box_size + 1) // 2 : (size + 1) // 2]
    return expected_signal_variance(volume, ctf, pixel_size=settings.pixel_size, power_beyond=beyond)


def _binning(settings: SimulationSettings) -> float:
    """Fraction of the variance of white noise at ``snr_pixel_size`` that Fourier-cropping to the images leaves."""
    return 1.0 if settings.snr_pixel_size is None else (settings.snr_pixel_size / settings.pixel_size) ** 2
