"""Rotations: matrices, Euler angles, uniform sampling, distance.

A rotation matrix R takes the reference to the particle, ``x_particle = R x_reference``, and acts on (x, y, z).
Euler angles are RELION's: (rot, tilt, psi) = (φ, θ, ψ), intrinsic ZYZ, and R = (Rz(φ) Ry(θ) Rz(ψ))ᵀ with active
right-handed elementary rotations. In radians here; files in degrees are converted in ``io``.
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from cryobench._types import RotationArray


def rotations_from_euler(angles: Float[np.ndarray, "n 3"]) -> RotationArray:
    """Matrices (n, 3, 3) from (rot, tilt, psi) in radians."""
    return Rotation.from_euler("ZYZ", angles).as_matrix().swapaxes(-1, -2)


def euler_from_rotations(rotations: RotationArray) -> Float[np.ndarray, "n 3"]:
    """(rot, tilt, psi) in radians, tilt in [0, π]; where tilt is 0 or π only a sum is defined and rot = 0.

    The third row of R is (sin θ cos φ, sin θ sin φ, cos θ).
    """
    rotations = np.asarray(rotations, dtype=np.float64)
    sin_tilt = np.hypot(rotations[:, 2, 0], rotations[:, 2, 1])
    tilt = np.arctan2(sin_tilt, rotations[:, 2, 2])
    rot = np.where(sin_tilt < 1e-7, 0.0, np.arctan2(rotations[:, 2, 1], rotations[:, 2, 0]))
    # psi is what is left once rot is undone, so that near the poles, where rot is ill-defined, errors cancel.
    cos_rot, sin_rot = np.cos(rot), np.sin(rot)
    psi = np.arctan2(
        cos_rot * rotations[:, 0, 1] - sin_rot * rotations[:, 0, 0],
        cos_rot * rotations[:, 1, 1] - sin_rot * rotations[:, 1, 0],
    )
    return np.stack([rot, tilt, psi], axis=1)


def rotations_from_quaternions(quaternions: Float[np.ndarray, "n 4"]) -> RotationArray:
    """Matrices (n, 3, 3) from quaternions (n, 4), scalar last, of any non-zero norm."""
    return Rotation.from_quat(quaternions).as_matrix()


def sample_uniform_rotation(generator: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """One rotation from the uniform (Haar) measure on SO(3): a normalised Gaussian quaternion (Shoemake 1992)."""
    x, y, z, w = generator.standard_normal(4)
    s = 2.0 / (x * x + y * y + z * z + w * w)
    return np.array(
        [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
    )


def geodesic_distance(first: RotationArray, second: RotationArray) -> Float[np.ndarray, "n"]:
    """Angle in radians, in [0, π], of the rotation that takes each of ``first`` to its partner in ``second``.

    2 arcsin(‖A − B‖_F / (2√2)): accurate for small angles, where arccos of the trace is not.
    """
    difference = np.linalg.norm(np.asarray(first, np.float64) - np.asarray(second, np.float64), axis=(-2, -1))
    return 2 * np.arcsin(np.clip(difference / (2 * np.sqrt(2)), 0, 1))


def healpix_directions(n_side: int, n_rings: int | None = None) -> Float[np.ndarray, "p 3"]:
    """Unit vectors (12 n_side², 3) to the centres of the pixels of a HEALPix grid, ring by ring from +z to −z.

    All pixels have the same area. ``n_rings`` cuts off all but the first rings; None for all of them.
    Source: Górski et al., ApJ 622 (2005) 759, equations 4 to 9. ValueError if ``n_side`` is not positive.
    """
    if n_side < 1:
        raise ValueError(f"a HEALPix grid needs n_side of 1 at least, got {n_side}.")
    heights, angles = [], []
    last = 4 * n_side - 1 if n_rings is None else n_rings
    for ring in range(1, last + 1):
        cap = min(ring, 4 * n_side - ring)  # counted from the nearer pole
        if cap < n_side:
            height = np.copysign(1 - cap**2 / (3 * n_side**2), 2 * n_side - ring)
            count, first = 4 * cap, 0.5
        else:
            height = 4 / 3 - 2 * ring / (3 * n_side)
            count, first = 4 * n_side, 0.5 if (ring - n_side) % 2 == 0 else 0.0
        heights.append(np.full(count, height))
        angles.append(2 * np.pi / count * (np.arange(count) + first))
    z, phi = np.concatenate(heights), np.concatenate(angles)
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(phi), across * np.sin(phi), z], axis=1)
