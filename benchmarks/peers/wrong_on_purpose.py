"""Poses and CTFs of a data set with one wrong convention at a time, to show that a check of conventions can fail."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cryobench.data import Dataset
from cryobench.imaging.ctf import electron_wavelength
from cryobench.io.programs.cryodrgn import write_ctf, write_poses

MIRROR = np.array([[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
"""Elementwise: a rotation seen in the mirror z -> -z."""


@dataclass(frozen=True)
class Mistake:
    """One convention wrong: the file that replaces the right one, or the sign that is claimed of the images."""

    name: str
    sign: int
    poses: Path | None = None
    ctf: Path | None = None


def make_mistakes(dataset: Dataset, folder: Path) -> list[Mistake]:
    """Write the wrong files to ``folder``. A mistake that these data would not show is left out."""
    particles = dataset.particles
    rotations, shifts, ctf = particles.rotations, particles.shifts, particles.ctf
    if rotations is None or shifts is None:
        raise ValueError("the particles have no poses to make mistakes in.")
    geometry = {"box_size": particles.box_size, "pixel_size": particles.pixel_size}
    poses = {
        "rotations transposed": (rotations.swapaxes(1, 2), shifts),
        "other hand": (rotations * MIRROR, shifts),
        "shifts negated": (rotations, -shifts),
        "shifts x and y swapped": (rotations, shifts[:, ::-1]),
    }
    mistakes = [Mistake("contrast inverted", -particles.sign)]
    for name, pose in poses.items():
        path = folder / f"{name.replace(' ', '-')}.pkl"
        write_poses(path, *pose, **geometry)
        mistakes.append(Mistake(name, particles.sign, poses=path))
    wrong = {}
    # The phase that astigmatism adds at a third of Nyquist, radian; a small one, turned, would not show.
    wavelength = electron_wavelength(ctf.voltage_kv)
    added = np.pi * wavelength * np.abs(ctf.defocus_u - ctf.defocus_v) / (6 * particles.pixel_size) ** 2
    if added.mean() > 1:
        wrong["defocus angle negated"] = replace(ctf, defocus_angle=-ctf.defocus_angle)
    if np.abs(ctf.phase_shift).mean() > 0.2:
        wrong["phase shift negated"] = replace(ctf, phase_shift=-ctf.phase_shift)
    for name, values in wrong.items():
        path = folder / f"{name.replace(' ', '-')}.pkl"
        write_ctf(path, values, **geometry)
        mistakes.append(Mistake(name, particles.sign, ctf=path))
    return mistakes
