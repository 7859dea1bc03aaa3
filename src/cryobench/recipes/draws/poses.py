"""True poses, uniform or preferred, and the inexact ones given to methods."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from cryobench._types import RotationArray, ShiftArray
from cryobench.recipes.settings import SimulationSettings
from cryobench.rng import IndexedStream
from cryobench.rotations import rotations_from_euler, rotations_from_quaternions

_TABLE = 20_001
"""Points of the cosine at which a preferred distribution is tabulated."""


def draw_poses(
    settings: SimulationSettings, seed: int, particles: Sequence[int] | Int[np.ndarray, "n"]
) -> tuple[RotationArray, ShiftArray]:
    """True rotations and shifts, in Å, of these particles.

    Rotations are uniform over SO(3), or have viewing directions d (in the frame of the structure) with density
    ∝ exp(κ a·d) (von Mises-Fisher) or exp(κ (a·d)²) (Watson) about the axis a, and a uniform in-plane angle.
    Shifts are uniform in a square. Source: Mardia & Jupp, Directional Statistics (2000), 9.3 and 9.4.
    """
    uniform = settings.orientation == "uniform"
    drawn = np.empty((len(particles), 4 if uniform else 3))
    unit = np.empty((len(particles), 2))
    rotation_stream, shift_stream = IndexedStream(seed, "rotations"), IndexedStream(seed, "shifts")
    for row, particle in enumerate(particles):
        generator = rotation_stream.at(int(particle))
        if uniform:
            generator.standard_normal(out=drawn[row])
        else:
            generator.random(out=drawn[row])
        shift_stream.at(int(particle)).random(out=unit[row])
    # A Gaussian quaternion of any norm is a rotation from the uniform measure.
    rotations = rotations_from_quaternions(drawn) if uniform else _prefer(drawn, settings)
    return rotations, (2 * unit - 1) * settings.shift_extent


def draw_given_poses(
    settings: SimulationSettings, seed: int, particles: Sequence[int] | Int[np.ndarray, "n"]
) -> tuple[RotationArray, ShiftArray]:
    """Poses as given to methods: the true ones with normal errors about each axis of each particle."""
    rotations, shifts = draw_poses(settings, seed, particles)
    if settings.rotation_error_deg == 0 and settings.shift_error == 0:
        return rotations, shifts
    errors = np.empty((len(particles), 5))
    streams = IndexedStream(seed, "pose errors")
    for row, particle in enumerate(particles):
        errors[row] = streams.at(int(particle)).standard_normal(5)
    turns = Rotation.from_rotvec(np.deg2rad(settings.rotation_error_deg) * errors[:, :3]).as_matrix()
    return turns @ rotations, shifts + settings.shift_error * errors[:, 3:]


def _prefer(unit: Float[np.ndarray, "n 3"], settings: SimulationSettings) -> RotationArray:
    """Rotations from three uniform numbers: the cosine to the axis, the angle about it, the in-plane angle."""
    cosine = np.linspace(-1, 1, _TABLE)
    power = 1 if settings.orientation == "von Mises-Fisher" else 2
    exponent = settings.orientation_concentration * cosine**power
    density = np.exp(exponent - exponent.max())
    cumulative = np.append(0.0, np.cumsum(density[1:] + density[:-1]))
    drawn = np.interp(unit[:, 0], cumulative / cumulative[-1], cosine)
    angles = np.stack([2 * np.pi * unit[:, 1], np.arccos(drawn), 2 * np.pi * unit[:, 2]], axis=1)
    to_axis = Rotation.align_vectors(np.asarray([settings.orientation_axis]), np.array([[0.0, 0.0, 1.0]]))[0]
    # The third row of a rotation is the viewing direction in the frame of the structure.
    return rotations_from_euler(angles) @ to_axis.as_matrix().T
