"""Greatest correlation of two volumes over all rotations, by spherical harmonics.

About the centre of mass a volume is f(r, x) = sum of f_lm(r) Y_lm(x). Rotating it mixes the f_lm of one l by a Wigner
matrix, so that the overlap of two volumes is, with M_l[m, m'] the integral over r of conj(f_lm) g_lm',

    C(R) = sum over l, m, m' of M_l[m, m'] D_l[m, m'](R),
    D_l[m, m'] = exp(-i m alpha) d_l[m, m'](beta) exp(-i m' gamma),

which is evaluated on a grid of Euler angles. As every D_l is unitary, the sum of the nuclear norms of the M_l is
an upper bound for all rotations, whatever the grid; the sum over l and r of the products of the two norms of
f_lm(r) over m is a coarser one, quick to find. What lies beyond the greatest l adds at most the product of
what the two volumes have there.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.special import sph_harm_y

ORDER = 14
"""Greatest l."""
STEP = 7.5
"""Of the Euler angles, degrees."""


@dataclass(frozen=True, eq=False)
class Expansion:
    """Coefficients (shells, (ORDER + 1)²) of a volume of unit norm, l after l, and what they leave out."""

    values: np.ndarray
    left_out: float

    @property
    def power(self):
        """(shells, ORDER + 1) norm over m."""
        squares = np.abs(self.values) ** 2
        return np.sqrt(np.stack([squares[:, _window(degree)].sum(axis=1) for degree in range(ORDER + 1)], axis=1))


def _window(degree):
    return slice(degree**2, (degree + 1) ** 2)


@lru_cache(maxsize=1)
def _sphere():
    """Directions (p, 3) of a quadrature of the sphere, and its weighted, conjugate harmonics."""
    nodes, weights = np.polynomial.legendre.leggauss(2 * ORDER + 2)
    count = 4 * ORDER
    theta = np.repeat(np.arccos(nodes), count)
    phi = np.tile(2 * np.pi * np.arange(count) / count, len(nodes))
    directions = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    weight = np.repeat(weights, count) * 2 * np.pi / count
    harmonics = [sph_harm_y(l, m, theta, phi) for l in range(ORDER + 1) for m in range(-l, l + 1)]  # noqa: E741
    return directions, weight, np.stack(harmonics, axis=1).conj() * weight[:, None]


def expand(volume, pixel_size):
    """Expansion of a volume about its voxel n // 2."""
    n = volume.shape[0]
    step = pixel_size / 2
    radii = np.arange(step / 2, (n // 2 - 2) * pixel_size, step)
    directions, weight, harmonics = _sphere()
    points = radii[:, None, None] * directions / pixel_size + n // 2
    values = map_coordinates(volume.astype(np.float64), points[..., ::-1].reshape(-1, 3).T, order=3)
    values = values.reshape(len(radii), -1) * (radii * np.sqrt(step))[:, None]
    values /= np.sqrt((values**2 @ weight).sum())
    coefficients = values @ harmonics
    return Expansion(coefficients, float(np.sqrt(max(1 - (np.abs(coefficients) ** 2).sum(), 0.0))))


def bound_by_power(one, others):
    """Upper bound of the correlation with each of others, by the power of each shell and degree."""
    own = one.power
    return np.array([(own * other.power).sum() + one.left_out * other.left_out for other in others])


def bound_by_norms(one, other):
    """Upper bound of the correlation of two volumes over all rotations, by the nuclear norms of the M_l."""
    total = one.left_out * other.left_out
    for degree in range(ORDER + 1):
        window = _window(degree)
        mixed = one.values[:, window].conj().T @ other.values[:, window]
        total += np.linalg.svd(mixed, compute_uv=False).sum()
    return float(total)


def correlate(one, other, *, least_angle=0.0):
    """Greatest correlation of two volumes over the grid of rotations by ``least_angle`` (radian) or more."""
    turn = _turns()
    angles = np.deg2rad(np.arange(0, 360, STEP))
    cosine = np.cos(angles[:, None] + angles)
    mixed = [
        one.values[:, _window(degree)].conj().T @ other.values[:, _window(degree)] for degree in range(ORDER + 1)
    ]
    best = -np.inf
    for tilt, matrices in zip(_tilts(), _wigner_matrices(), strict=True):
        total = np.zeros((2 * ORDER + 1,) * 2, dtype=np.complex64)
        for degree, matrix in enumerate(matrices):
            window = slice(ORDER - degree, ORDER + degree + 1)
            total[window, window] += mixed[degree] * matrix
        # Of the rotation by Euler angles the trace is 1 + 2 cos(angle).
        far = (1 + np.cos(tilt)) * (1 + cosine) - 2 <= 2 * np.cos(least_angle) + 1e-9
        best = max(best, float(np.where(far, (turn.T @ total @ turn).real, -np.inf).max()))
    return best


@lru_cache(maxsize=1)
def _turns():
    angles = np.deg2rad(np.arange(0, 360, STEP))
    return np.exp(-1j * np.outer(np.arange(-ORDER, ORDER + 1), angles)).astype(np.complex64)


@lru_cache(maxsize=1)
def _wigner_matrices():
    """For each beta the matrices d_l: exp(-i beta J_y) in the basis of orders -l to l."""
    systems = []
    for degree in range(ORDER + 1):
        order = np.arange(-degree, degree)
        raising = np.diag(np.sqrt(degree * (degree + 1) - order * (order + 1)), -1)
        systems.append(np.linalg.eigh((raising - raising.T) / 2j))
    return [
        [((vectors * np.exp(-1j * tilt * values)) @ vectors.conj().T).real for values, vectors in systems]
        for tilt in _tilts()
    ]


def _tilts():
    return np.deg2rad(np.arange(0, 180 + STEP / 2, STEP))


def find_alike(expansions, threshold):
    """Pairs that may correlate above ``threshold``: {(i, j): (upper bound, greatest on the grid)}.

    All others correlate less, however they are turned.
    """
    alike = {}
    for i, one in enumerate(expansions[:-1]):
        coarse = bound_by_power(one, expansions[i + 1 :])
        for j in np.flatnonzero(coarse >= threshold) + i + 1:
            bound = bound_by_norms(one, expansions[j])
            if bound >= threshold:
                alike[i, int(j)] = bound, correlate(one, expansions[j])
    return alike
