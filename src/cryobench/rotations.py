"""Rotations: matrices, Euler angles, uniform sampling, distance, point groups.

A rotation matrix R takes the reference to the particle, ``x_particle = R x_reference``, and acts on (x, y, z).
Euler angles are RELION's: (rot, tilt, psi) = (φ, θ, ψ), intrinsic ZYZ, and R = (Rz(φ) Ry(θ) Rz(ψ))ᵀ with active
right-handed elementary rotations. In radians here; files in degrees are converted in ``io``.
"""

import re
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from cryobench._types import RotationArray

_POINT_GROUP = re.compile(r"[CD][1-9][0-9]*|T|O|I")
_HILBERT_LEVELS = 12


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
    # psi is the angle left after undoing rot, so that near the poles, where rot is ill-defined, errors cancel.
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


def spread_orientations(n: int) -> RotationArray:
    """Matrices (n, 3, 3) of evenly spaced orientations.

    Viewing directions are on a Fibonacci spiral, in-plane angles follow the golden ratio's two-dimensional analogue.
    """
    index = np.arange(n) + 0.5
    rot = np.pi * (1 + np.sqrt(5)) * index
    psi = 2 * np.pi * 0.7548776662466927 * index
    return rotations_from_euler(np.stack([rot, np.arccos(1 - 2 * index / n), psi], axis=1))


def geodesic_distance(
    first: Float[np.ndarray, "#n 3 3"], second: Float[np.ndarray, "#n 3 3"]
) -> Float[np.ndarray, "n"]:
    """Angle in radians, in [0, π], of the rotation from each of ``first`` to its partner in ``second``.

    Either may be a single one, (1, 3, 3), for all of the other.

    2 arcsin(‖A − B‖_F / (2√2)): accurate for small angles, where arccos of the trace is not.
    """
    difference = np.linalg.norm(np.asarray(first, np.float64) - np.asarray(second, np.float64), axis=(-2, -1))
    return 2 * np.arcsin(np.clip(difference / (2 * np.sqrt(2)), 0, 1))


def healpix_directions(
    n_side: int, *, order: Literal["ring", "nested"] = "ring", first: int | None = None
) -> Float[np.ndarray, "p 3"]:
    """Unit vectors (12 n_side², 3) to the centres of the pixels of a HEALPix grid, or of its ``first`` ones.

    All have the same area. They are ordered by ring from +z to −z, or nested, where pixels 4 p … 4 p + 3 of twice the
    ``n_side`` are within pixel p. Source: Górski et al., ApJ 622 (2005) 759. ValueError if ``n_side`` is not a power
    of two.
    """
    if n_side < 1 or n_side & (n_side - 1):
        raise ValueError(f"n_side of a HEALPix grid must be a power of two, got {n_side}.")
    from astropy_healpix.core import healpix_to_lonlat  # imports astropy: half a second

    longitude, latitude = healpix_to_lonlat(np.arange(first or 12 * n_side**2), n_side, order=order)
    phi, elevation = np.asarray(longitude.rad), np.asarray(latitude.rad)
    return np.stack([np.cos(elevation) * np.cos(phi), np.cos(elevation) * np.sin(phi), np.sin(elevation)], axis=1)


def order_directions(directions: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, "n"]:
    """Order of viewing directions (n, 3) in which neighbours are near each other; opposite directions are the same.

    The half sphere is mapped to a disc of equal area, and that is followed along a Hilbert curve.
    """
    directions = np.asarray(directions, dtype=np.float64)
    upper = directions * np.where(directions[:, 2:] < 0, -1.0, 1.0)
    plane = upper[:, :2] / np.sqrt(1 + upper[:, 2:])  # Lambert's projection: a disc of radius 1
    side = 1 << _HILBERT_LEVELS
    x, y = np.clip(((plane + 1) / 2 * side).astype(np.int64), 0, side - 1).T
    position = np.zeros(len(directions), dtype=np.int64)
    for level in reversed(range(_HILBERT_LEVELS)):
        right, top = (x >> level) & 1, (y >> level) & 1
        position = 4 * position + (3 * right ^ top)
        # Within the lower quadrants the curve is transposed, and in the right one also turned around.
        turned = (top == 0) & (right == 1)
        x, y = np.where(turned, side - 1 - x, x), np.where(turned, side - 1 - y, y)
        x, y = np.where(top == 0, y, x), np.where(top == 0, x, y)
    return np.argsort(position, kind="stable")


@lru_cache(maxsize=64)
def point_group(name: str) -> RotationArray:
    """Rotations (g, 3, 3) under which a particle of that point group is unchanged, the identity first; read-only.

    The main axis is z; the twofold axes of a dihedral group are in the plane x, y, one of them along x, those of the
    icosahedral group along x, y and z.

    Parameters
    ----------
    name
        "C1", "C2", ..., "D2", "D3", ..., "T", "O" or "I".

    Raises
    ------
    ValueError
        If the group is unknown.
    """
    if not _POINT_GROUP.fullmatch(name) or name == "D1":
        raise ValueError(f"a point group is named C1, C2, ..., D2, D3, ..., T, O or I; got {name!r}.")
    group = Rotation.create_group(name, axis="Z")
    # Rotations by the same angle stay in SciPy's order, regardless of the last bits of their angles.
    rotations = group.as_matrix()[np.argsort(np.round(group.magnitude(), 6), kind="stable")]
    rotations.setflags(write=False)
    return rotations
