"""CPU bodies of the fused transfer step and of a shift only: one pass over each image applies the factors.

Every image is computed separately and in a fixed order, so the bits depend neither on the number of threads nor on
the other images of a call.
"""

import math

import numba
import numpy as np

from cryobench.imaging.kernels.sine import sine_of_turns, wrap_turns


@numba.njit(nogil=True, cache=True)
def apply_transfer(
    spectra: np.ndarray,  # (n, y, h) complex64, overwritten
    squared: np.ndarray,  # (y, h) |s|² in 1/Å²
    cos_double: np.ndarray,  # (y, h) cos 2∠s
    sin_double: np.ndarray,  # (y, h) sin 2∠s
    quartic: np.ndarray,  # (n,) coefficient of |s|⁴ in γ / 2π
    mean: np.ndarray,  # (n,) coefficient of |s|² in −γ / 2π, isotropic part
    astigmatic_cos: np.ndarray,  # (n,) idem, times cos 2∠s
    astigmatic_sin: np.ndarray,  # (n,) idem, times sin 2∠s
    offset: np.ndarray,  # (n,) phase shift + arcsin w, in turns
    envelope: np.ndarray,  # (n,) B / 4
    radians: np.ndarray,  # (n, 2) shift in radian per frequency index, (x, y)
    first: int,  # of the images to work on
    last: int,
) -> None:
    rows, columns = spectra.shape[1:]
    for i in range(first, last):
        has_envelope = envelope[i] != 0.0
        along_x = np.empty(columns, np.complex64)
        ctf = np.empty(columns, np.float32)
        for x in range(columns):
            angle = radians[i, 0] * x
            along_x[x] = complex(math.cos(angle), -math.sin(angle))
        if rows % 2 == 0:
            along_x[columns - 1] = along_x[columns - 1].real
        for y in range(rows):
            signed = y if y < (rows + 1) // 2 else y - rows
            angle = radians[i, 1] * signed
            along_y = np.complex64(complex(math.cos(angle), -math.sin(angle)))
            if 2 * y == rows:
                along_y = np.complex64(along_y.real)
            s2, cosine, sine = squared[y], cos_double[y], sin_double[y]
            for x in range(columns):
                defocus = mean[i] + astigmatic_cos[i] * cosine[x] + astigmatic_sin[i] * sine[x]
                ctf[x] = sine_of_turns(wrap_turns((quartic[i] * s2[x] - defocus) * s2[x] - offset[i]))
            if has_envelope:
                for x in range(columns):
                    ctf[x] *= math.exp(-envelope[i] * s2[x])
            line = spectra[i, y]
            for x in range(columns):
                line[x] *= along_y * along_x[x] * ctf[x]


@numba.njit(nogil=True, cache=True)
def turn_phases(
    spectra: np.ndarray,  # (n, y, h) complex64, overwritten
    along_y: np.ndarray,  # (n, y) complex64 factors of each image's rows
    along_x: np.ndarray,  # (n, h) and of its columns
    first: int,  # of the images to work on
    last: int,
) -> None:
    rows, columns = spectra.shape[1:]
    for i in range(first, last):
        for y in range(rows):
            line, factor = spectra[i, y], along_y[i, y]
            for x in range(columns):
                line[x] *= factor * along_x[i, x]


@numba.njit(cache=True)
def sum_squared_ctf(
    squared: np.ndarray,  # (m,) |s|² in 1/Å²
    quartic: np.ndarray,  # (n,) coefficient of |s|⁴ in γ / 2π
    defocus: np.ndarray,  # (d, n) coefficient of |s|² in −γ / 2π, along d directions
    offset: np.ndarray,  # (n,) in turns
    b_factor: np.ndarray,  # (n,)
) -> np.ndarray:
    """CTF² at m radii, summed over directions and particles."""
    total = np.zeros(len(squared))
    for i in range(len(quartic)):
        envelope = np.exp(-b_factor[i] / 2 * squared)
        for direction in range(len(defocus)):
            for m in range(len(squared)):
                turns = (quartic[i] * squared[m] - defocus[direction, i]) * squared[m] - offset[i]
                value = sine_of_turns(wrap_turns(np.float32(turns)))
                total[m] += np.float64(value * value) * envelope[m]
    return total
