"""What is drawn for each particle: pose and CTF, from named streams that know nothing of state, chunk or worker."""

from collections.abc import Sequence

import numpy as np

from cryobench._types import RotationArray, ShiftArray
from cryobench.imaging.ctf import Ctf
from cryobench.recipes.recipe import SimulationSettings
from cryobench.rng import IndexedStream
from cryobench.rotations import sample_uniform_rotation


def draw_poses(
    settings: SimulationSettings, seed: int, particles: Sequence[int] | np.ndarray
) -> tuple[RotationArray, ShiftArray]:
    """Rotations (n, 3, 3), uniform over SO(3), and shifts (n, 2) in Å, uniform in a square, of these particles."""
    rotations = np.empty((len(particles), 3, 3))
    shifts = np.empty((len(particles), 2))
    rotation_stream, shift_stream = IndexedStream(seed, "rotations"), IndexedStream(seed, "shifts")
    for row, particle in enumerate(particles):
        rotations[row] = sample_uniform_rotation(rotation_stream.at(int(particle)))
        shifts[row] = shift_stream.at(int(particle)).uniform(-1, 1, 2)
    return rotations, shifts * settings.shift_extent


def draw_ctf(settings: SimulationSettings, seed: int, particles: Sequence[int] | np.ndarray) -> Ctf:
    """CTF parameters of these particles.

    The mean defocus is normal, drawn again outside its limits; the astigmatism U − V is half-normal, its direction
    uniform; voltage, aberration, amplitude contrast and B factor are the same for all. The published sets draw
    from the table of one experiment (EMPIAR-11247); this law needs no download and covers a like range.

    Raises
    ------
    ValueError
        If the limits leave (nearly) nothing of the normal law.
    """
    low, high = settings.defocus_min, settings.defocus_max
    defocus = np.empty(len(particles))
    difference = np.empty(len(particles))
    angle = np.empty(len(particles))
    streams = IndexedStream(seed, "ctf")
    for row, particle in enumerate(particles):
        generator = streams.at(int(particle))
        angle[row] = generator.uniform(0, np.pi)
        difference[row] = abs(generator.standard_normal()) * settings.astigmatism * np.sqrt(np.pi / 2)
        for _ in range(1000):
            defocus[row] = settings.defocus_mean + settings.defocus_deviation * generator.standard_normal()
            if low <= defocus[row] <= high:
                break
        else:
            raise ValueError(
                f"no defocus of mean {settings.defocus_mean} Å and deviation {settings.defocus_deviation} Å falls "
                f"between defocus_min {low} and defocus_max {high} Å in 1000 tries: widen the limits."
            )
    return Ctf.from_columns(
        len(particles),
        defocus_u=defocus + difference / 2,
        defocus_v=defocus - difference / 2,
        defocus_angle=angle,
        voltage_kv=settings.voltage_kv,
        cs_mm=settings.cs_mm,
        amplitude_contrast=settings.amplitude_contrast,
        b_factor=settings.b_factor,
    )
