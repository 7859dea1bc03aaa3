"""Correlation of functions on spheres for all rotations at once, by spherical harmonics.

A function on concentric shells is f(r, s) = Σ f_lm(r) Y_lm(s). Turned by R = Rz(α) Ry(β) Rz(γ) its coefficients are
Σ_m' D_l[m, m'](R) f_lm', with D_l[m, m'] = exp(-i m α) d_l[m, m'](β) exp(-i m' γ). So the overlap with w is

    C(R) = Re Σ_{m, m'} exp(-i m α) exp(-i m' γ) Σ_l d_l[m, m'](β) Σ_r conj(w_lm(r)) f_lm'(r),

a small matrix product for every β of a grid. l = 0 is left out: it does not depend on R.

Source: Kostelec & Rockmore, "FFTs on the rotation group", J. Fourier Anal. Appl. 14 (2008); for volumes Kovacs &
Wriggers, Acta Cryst. D58 (2002) 1282. At this size matrix products replace their FFT.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float
from scipy.special import sph_harm_y

ORDER = 16
"""Largest l."""
STEPS = 60
"""Angles α and γ per full turn; β has half as many steps, both poles included."""


def expand(values: Complex[np.ndarray, "r p"] | Float[np.ndarray, "r p"]) -> Complex[np.ndarray, "r c"]:
    """Coefficients (shells, (ORDER + 1)²), l after l, of values in the directions of ``sphere_directions``."""
    return values @ _analysis()


@lru_cache(maxsize=1)
def sphere_directions() -> Float[np.ndarray, "p 3"]:
    """Unit vectors (x, y, z) of the quadrature: Gauss-Legendre in cos θ, equal steps in φ."""
    theta, phi, _ = _quadrature()
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)


def flip(coefficients: Complex[np.ndarray, "r c"]) -> Complex[np.ndarray, "r c"]:
    """Coefficients of the function with z reversed: Y_lm gets the sign (-1)^(l + m)."""
    signs = [(-1.0) ** (degree + order) for degree in range(ORDER + 1) for order in range(-degree, degree + 1)]
    return coefficients * np.array(signs)


def correlate_rotations(
    volume: Complex[np.ndarray, "r c"], reference: Complex[np.ndarray, "r c"]
) -> Float[np.ndarray, "b a g"]:
    """Overlap of the reference with the volume rotated by each of ``grid_rotations``, [β, α, γ]."""
    phases = _phases()
    mixed = [reference[:, window].conj().T @ volume[:, window] for window in map(_window, range(ORDER + 1))]
    overlap = np.empty((STEPS // 2 + 1, STEPS, STEPS), dtype=np.float32)
    for index, matrices in enumerate(_wigner_matrices()):
        total = np.zeros((2 * ORDER + 1,) * 2, dtype=np.complex64)
        for degree in range(1, ORDER + 1):
            window = slice(ORDER - degree, ORDER + degree + 1)
            total[window, window] += mixed[degree] * matrices[degree]
        overlap[index] = (phases.T @ total @ phases).real
    return overlap


def grid_rotations(indices: np.ndarray) -> Float[np.ndarray, "n 3 3"]:
    """Rotations Rz(α) Ry(β) Rz(γ) of flat indices into the result of ``correlate_rotations``."""
    tilt, first, second = np.unravel_index(indices, (STEPS // 2 + 1, STEPS, STEPS))
    step = 2 * np.pi / STEPS
    return _turn_z(first * step) @ _turn_y(tilt * step) @ _turn_z(second * step)


def _turn_z(angle: np.ndarray) -> np.ndarray:
    cosine, sine, zero, one = np.cos(angle), np.sin(angle), np.zeros(len(angle)), np.ones(len(angle))
    return np.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], axis=1).reshape(-1, 3, 3)


def _turn_y(angle: np.ndarray) -> np.ndarray:
    cosine, sine, zero, one = np.cos(angle), np.sin(angle), np.zeros(len(angle)), np.ones(len(angle))
    return np.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], axis=1).reshape(-1, 3, 3)


def _window(degree: int) -> slice:
    return slice(degree**2, (degree + 1) ** 2)


@lru_cache(maxsize=1)
def _quadrature() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """θ, φ and weight of directions that integrate products of harmonics up to ORDER exactly."""
    nodes, weights = np.polynomial.legendre.leggauss(ORDER + 1)
    count = 2 * ORDER + 2
    theta = np.repeat(np.arccos(nodes), count)
    phi = np.tile(2 * np.pi * np.arange(count) / count, len(nodes))
    return theta, phi, np.repeat(weights, count) * 2 * np.pi / count


@lru_cache(maxsize=1)
def _analysis() -> np.ndarray:
    theta, phi, weight = _quadrature()
    harmonics = [
        sph_harm_y(degree, order, theta, phi) for degree in range(ORDER + 1) for order in range(-degree, degree + 1)
    ]
    return (np.stack(harmonics, axis=1).conj() * weight[:, None]).astype(np.complex64)


@lru_cache(maxsize=1)
def _phases() -> np.ndarray:
    angles = 2 * np.pi * np.arange(STEPS) / STEPS
    return np.exp(-1j * np.outer(np.arange(-ORDER, ORDER + 1), angles)).astype(np.complex64)


@lru_cache(maxsize=1)
def _wigner_matrices() -> list[list[np.ndarray]]:
    """For each β the d_l: exp(-i β J_y) in the basis of orders -l to l, J_y by its eigenvectors."""
    systems = []
    for degree in range(ORDER + 1):
        order = np.arange(-degree, degree)
        raising = np.diag(np.sqrt(degree * (degree + 1) - order * (order + 1)), -1)
        systems.append(np.linalg.eigh((raising - raising.T) / 2j))
    return [
        [
            ((vectors * np.exp(-1j * angle * values)) @ vectors.conj().T).real.astype(np.float32)
            for values, vectors in systems
        ]
        for angle in 2 * np.pi * np.arange(STEPS // 2 + 1) / STEPS
    ]
