"""The two interpolation kernels: their taps, their Fourier transforms, and the grid correction.

Interpolating a spectrum with a kernel φ multiplies the real-space volume by φ's transform φ̂ and adds aliases.
The first is undone exactly by dividing the volume by φ̂ beforehand (the grid correction); the aliases
remain as an error that falls with padding.

* ``"trilinear"``: 2 taps per axis, φ̂ = sinc². Non-negative weights that sum to 1: for reconstruction.
* ``"wide"``: Kaiser–Bessel, 4 taps per axis, its β tuned to the padding. Ten to a hundred times more exact: for
  simulation. Evaluated as a polynomial in the fractional coordinate, no Bessel function per pixel.

Source: Jackson et al., IEEE Trans. Med. Imaging 10 (1991) 473, doi:10.1109/42.97598 (Kaiser–Bessel gridding).
"""

from functools import lru_cache
from typing import Literal

import numpy as np

Kernel = Literal["trilinear", "wide"]

SUPPORT = 0.7
"""Diameter of the molecule, relative to the box, for which β is tuned."""

CORRECTION_REACH = 0.4
"""Distance from the centre beyond which grid correction is constant, in padded boxes per axis (wide kernel)."""

_DEGREE = 7


def count_taps(kernel: Kernel) -> int:
    """Taps per axis: 2 or 4. ValueError for an unknown kernel."""
    taps = {"trilinear": 2, "wide": 4}.get(kernel)
    if taps is None:
        raise ValueError(f"kernel must be 'trilinear' or 'wide', got {kernel!r}.")
    return taps


def _kaiser_bessel(distance: np.ndarray, beta: float) -> np.ndarray:
    """Kaiser–Bessel window of half-width 2, 1 at the centre."""
    return np.i0(beta * np.sqrt(np.clip(1 - (distance / 2) ** 2, 0, None))) / np.i0(beta)


def _kaiser_bessel_transform(position: np.ndarray, beta: float) -> np.ndarray:
    """Its Fourier transform at ``position`` (in padded boxes), up to a constant factor."""
    root = np.sqrt((beta**2 - (4 * np.pi * position) ** 2).astype(complex))
    return np.real(np.where(np.abs(root) < 1e-9, 1.0, np.sinh(root) / np.where(root == 0, 1, root)))


@lru_cache(maxsize=16)
def tune_beta(padding: int) -> float:
    """Kaiser–Bessel β with the least alias power for a ball of diameter 0.7 boxes at this padding.

    The alias of a point at ξ (in padded boxes, per axis) has relative power Σ_{m≠0} φ̂(ξ+m)² / φ̂(ξ)²; it is
    averaged over the ball's marginal density 1 − (ξ/ξ_max)².
    """
    reach = SUPPORT / 2 / padding
    position = np.linspace(0, reach, 101)
    density = 1 - (position / reach) ** 2
    aliases = position + np.array([-4, -3, -2, -1, 1, 2, 3, 4])[:, None]
    betas = np.arange(4.0, 13.0, 0.01)
    errors = [
        np.sum(
            density
            * (_kaiser_bessel_transform(aliases, beta) ** 2).sum(0)
            / _kaiser_bessel_transform(position, beta) ** 2
        )
        for beta in betas
    ]
    return float(betas[int(np.argmin(errors))])


@lru_cache(maxsize=16)
def tap_polynomials(kernel: Kernel, padding: int) -> np.ndarray:
    """Coefficients (taps, degree + 1), highest power first, of each tap's weight as a polynomial of t = f − ½.

    ``f`` in [0, 1) is the fractional coordinate; tap ``j`` sits at ``floor(u) + j − taps // 2 + 1``. The fit of
    the Kaiser–Bessel window is exact to 1e-6 of its peak and keeps the mirror symmetry of the taps.
    """
    if kernel == "trilinear":
        return np.array([[-1.0, 0.5], [1.0, 0.5]])
    count_taps(kernel)
    beta = tune_beta(padding)
    angles = np.pi * (np.arange(64) + 0.5) / 64
    nodes = np.cos(angles) / 2
    fits = []
    for tap in range(2):
        distance = np.abs(nodes + 0.5 - (tap - 1))
        # At Chebyshev nodes the least-squares fit is one sum per degree, without a linear system.
        waves = np.cos(np.arange(_DEGREE + 1)[:, None] * angles)
        sums = (waves * _kaiser_bessel(distance, beta)).sum(axis=1) / len(nodes)
        sums[1:] *= 2
        series = np.polynomial.Chebyshev(sums, domain=[-0.5, 0.5])
        fits.append(series.convert(kind=np.polynomial.Polynomial, domain=[-1, 1]).coef[::-1])
    mirror = (-1.0) ** np.arange(_DEGREE, -1, -1)
    coefficients = np.array([fits[0], fits[1], fits[1] * mirror, fits[0] * mirror])
    coefficients.flags.writeable = False
    return coefficients


def kernel_transform(kernel: Kernel, box_size: int, padding: int) -> np.ndarray:
    """φ̂ along one axis of the box, (box_size,) float64, centred on ``box_size // 2``.

    Scaled like the interpolation, so that dividing by the outer product over z, y, x corrects the grid. For the
    wide kernel it is constant beyond 0.4 padded boxes from the centre: at padding 1,
    where aliasing dominates the outer tenth of the box, this bounds the correction.
    """
    position = (np.arange(box_size) - box_size // 2) / (box_size * padding)
    if kernel == "trilinear":
        return np.sinc(position) ** 2
    beta = tune_beta(padding)
    clamped = np.minimum(np.abs(position), CORRECTION_REACH)
    # ∫φ over its support [−2, 2]: the window's transform at 0 is 4 sinh(β) / (β I0(β)).
    return 4 / np.i0(beta) * _kaiser_bessel_transform(clamped, beta)
