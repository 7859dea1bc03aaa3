"""From states to images, part by part: the work of one process, in chunks that fit in memory.

image = −(CTF · shift · (a · projection + structural noise) + b · noise), with sign −1 (protein bright) as in
published stacks; a is the particle's contrast and b its noise level.

The truth volume is exactly what the images show: atoms rendered on a finer grid and Fourier-cropped, so band-limited.
Slices use the wide kernel, whose error (docs/interpolation.md) is far below that of the trilinear kernel of the
methods: simulation and reconstruction make different assumptions. The noise gives the requested SNR at
``snr_pixel_size``; where that is finer than the images' pixel, as in the published sets, binning then reduces it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int

from cryobench._types import ImageArray, ImagesFT, Rotations, Shifts, Volume
from cryobench.atoms.model import AtomicModel
from cryobench.atoms.procedural.complexes import procedural_contaminant
from cryobench.fourier import crop_with_power, fft_images, ifft_images
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.ctf_and_shift import apply_transfer
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.noise import draw_white_noise, expected_signal_variance
from cryobench.imaging.shift import shift_images
from cryobench.io.atomic import write_json
from cryobench.io.folders.trajectory_volumes import write_trajectory_part
from cryobench.io.formats.mrc import begin_stack, write_volume
from cryobench.recipes.draws import (
    Junk,
    draw_contrast,
    draw_ctf,
    draw_junk,
    draw_neighbours,
    draw_noise_level,
    draw_poses,
)
from cryobench.recipes.imaging.job import Job, PartResult, StateResult
from cryobench.recipes.imaging.noise import colour_noise, is_white, kept_by_binning
from cryobench.recipes.imaging.projectors import AtomProjector, FrameProjector, Projector, SliceProjector
from cryobench.recipes.recipe import FrameEnsemble
from cryobench.recipes.rounding import round_level, round_positions
from cryobench.recipes.settings import SimulationSettings
from cryobench.volumes.render import render

SIGN = -1
"""Protein is bright in the stacks written, as is usual on disk."""


def make_part(job: Job, part: int) -> PartResult:
    """Make the truth and all images of a part's states, then mark the part as finished.

    The bytes depend on the settings, the seed and the part alone. Memory: one volume on the fine grid with its
    spectrum, or the positions of a part's frames, and a chunk of images.
    """
    projector, made = _prepare_states(job, part)
    particles = job.particles_of(part)
    hashed = None
    if len(particles):
        noise_variance = {result.state: result.noise_variance for result in made}
        with (
            begin_stack(
                job.folder / job.stack_path(part), len(particles), job.settings.box_size, job.settings.pixel_size
            ) as stack,
            ThreadPoolExecutor(1) as writer,
        ):

            def write(images: ImageArray) -> None:
                stack.append(images)
                stack.sync()

            written = None
            for images in _make_images(job, projector, particles, noise_variance):
                # One chunk is written while the next is made.
                if written is not None:
                    written.result()
                written = writer.submit(write, images)
            if written is not None:
                written.result()
        hashed = stack.sha256
    result = PartResult(part, len(particles), hashed, made)
    write_json(job.folder / job.mark_path(part), asdict(result))
    return result


def _make_images(
    job: Job, projector: Projector, particles: Int[np.ndarray, "n"], noise_variance: dict[int, float]
) -> Iterator[ImageArray]:
    microscope = Microscope(job)
    for start in range(0, len(particles), job.chunk):
        chosen = particles[start : start + job.chunk]
        deviation = np.sqrt([noise_variance[int(state)] for state in job.states[chosen]])
        deviation = (deviation * draw_noise_level(job.settings, job.seed, chosen)).astype(np.float32)
        noise = draw_white_noise(job.seed, chosen, job.settings.box_size)
        spectra = microscope.image(projector, chosen)
        if is_white(job.settings):
            images = noise
            images *= deviation[:, None, None]
            images += ifft_images(spectra, job.settings.box_size).numpy()
        else:
            spectra += colour_noise(job.settings, noise * deviation[:, None, None])
            images = ifft_images(spectra, job.settings.box_size).numpy()
        images *= np.float32(SIGN)
        yield images


class Microscope:
    """Noise-free images of particles, junk included, as spectra: all steps between projection and noise."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @cached_property
    def _contaminant(self) -> AtomProjector:
        """Another molecule of about the mass of the first state."""
        mass = self._job.model(0).mass_with_hydrogens
        return AtomProjector(self._job.settings, [round_positions(procedural_contaminant(round(mass / 1000)))])

    def image(self, projector: Projector, particles: Int[np.ndarray, "n"]) -> ImagesFT:
        """CTF x shift x (contrast x projection + structural noise), protein dark."""
        settings, seed = self._job.settings, self._job.seed
        rotations, shifts = draw_poses(settings, seed, particles)
        spectra = self._project(projector, particles, torch.from_numpy(rotations.astype(np.float32)))
        contrast = draw_contrast(settings, seed, particles)
        if settings.contrast_deviation:
            spectra *= torch.from_numpy(contrast.astype(np.float32))[:, None, None]
        if settings.structural_snr is not None:
            white = draw_white_noise(seed, particles, settings.box_size, purpose="structural noise")
            spectra += fft_images(torch.from_numpy(white * np.float32(self._job.structural_deviation)))
        displacements = torch.from_numpy(-shifts.astype(np.float32))
        return apply_transfer(
            spectra, draw_ctf(settings, seed, particles), displacements, pixel_size=settings.pixel_size
        )

    def _project(self, projector: Projector, particles: Int[np.ndarray, "n"], rotations: Rotations) -> ImagesFT:
        """Centred projections, or the content of junk images."""
        settings, seed = self._job.settings, self._job.seed
        states = self._job.states[particles]
        junk = draw_junk(settings, seed, particles)
        spectra = projector.project(states, rotations)
        if not junk.any():
            return spectra
        spectra[torch.from_numpy(junk == Junk.NOISE)] = 0
        for row in np.flatnonzero(junk == Junk.WRONG):
            spectra[row] = self._contaminant.project(np.zeros(1, dtype=np.int64), rotations[row : row + 1])[0]
        pairs = np.flatnonzero(junk == Junk.PAIR)
        if len(pairs) == 0:
            return spectra
        turned, apart = draw_neighbours(settings, seed, particles[pairs])
        second = projector.project(states[pairs], torch.from_numpy(turned.astype(np.float32)))
        spectra[pairs] += _move_out(second, torch.from_numpy(apart.astype(np.float32)), settings)
        return spectra


def _move_out(spectra: ImagesFT, displacements: Shifts, settings: SimulationSettings) -> ImagesFT:
    """Images shifted so far that parts may leave the box: those are lost, as on a detector, not wrapped around."""
    size = settings.box_size
    margin = size // 2
    wide = torch.nn.functional.pad(ifft_images(spectra, size), (margin,) * 4)
    full = size + 2 * margin
    moved = shift_images(fft_images(wide), displacements, full, pixel_size=settings.pixel_size)
    return fft_images(ifft_images(moved, full)[:, margin : margin + size, margin : margin + size].contiguous())


def _prepare_states(job: Job, part: int) -> tuple[Projector, list[StateResult]]:
    """The part's projector and the results of its states; their truth is on disk when it returns."""
    states = job.states_of(part)
    if isinstance(job.ensemble, FrameEnsemble):
        frames = job.ensemble.positions(states.start, states.stop)
        positions = write_trajectory_part(job.folder, part, frames)  # as rounded there, so that images match the file
        topology = job.ensemble.topology
        projector = FrameProjector(job.settings, topology, positions, first_state=states.start)
        return projector, [_result(job, state, topology) for state in states]
    models = [job.model(state) for state in states]
    results, volume = [], torch.empty(0)
    for state, model in zip(states, models, strict=True):
        volume, power = render_state(model, job.settings)
        write_volume(job.folder / job.volume_path(state), volume.numpy(), job.settings.pixel_size)
        results.append(_result(job, state, model, volume, power))
    if job.projection == "atoms":
        return AtomProjector(job.settings, models, first_state=states.start), results
    return SliceProjector(volume_to_fourier(volume, kernel="wide")), results


def _result(
    job: Job,
    state: int,
    model: AtomicModel,
    volume: Volume | None = None,
    power: Float[np.ndarray, "s"] | None = None,
) -> StateResult:
    variance = job.signal_variance
    if job.settings.noise_level == "structure" and volume is not None and power is not None:
        ctf = draw_ctf(job.settings, job.seed, job.all_particles_of(state))
        variance = round_level(_expected_variance(volume, power, job.settings, ctf))
    noise_variance = variance / job.settings.snr * kept_by_binning(job.settings)
    return StateResult(state, int(job.counts[state]), model.mass_with_hydrogens, variance, noise_variance)


def render_state(model: AtomicModel, settings: SimulationSettings) -> tuple[Volume, Float[np.ndarray, "s"]]:
    """Truth volume of a state, and the shell powers on the fine grid before cropping."""
    fine = render(
        model,
        settings.fine_box_size,
        settings.fine_pixel_size,
        settings.resolution,
        solvent_density=settings.solvent_density,
    )
    return crop_with_power(fine, settings.box_size)


def _expected_variance(
    volume: Volume, power: Float[np.ndarray, "s"], settings: SimulationSettings, ctf: Ctf
) -> float:
    """Signal variance on the grid of ``snr_pixel_size``, in the unit of the written images."""
    beyond = None
    if settings.snr_pixel_size is not None:
        size = round(settings.box_size * settings.pixel_size / settings.snr_pixel_size)
        beyond = power[(settings.box_size + 1) // 2 : (size + 1) // 2]
    return expected_signal_variance(volume, ctf, pixel_size=settings.pixel_size, power_beyond=beyond)
