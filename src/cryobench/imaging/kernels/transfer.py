"""CPU body of the fused transfer step: one pass over each image multiplies by CTF and shift phases.

Every image is computed alone and in a fixed order, so the bits depend neither on the number of threads nor on
which images share a call.
"""

import math

import numba
import numpy as np


@numba.njit(parallel=True, cache=True)
def apply_transfer(
    spectra: np.ndarray,  # (n, y, h) complex64, overwritten
    squared: np.ndarray,  # (y, h) |s|² in 1/Å²
    cos_double: np.ndarray,  # (y, h) cos 2∠s
    sin_double: np.ndarray,  # (y, h) sin 2∠s
    quartic: np.ndarray,  # (n,) coefficient of |s|⁴ in γ
    mean: np.ndarray,  # (n,) coefficient of |s|² in −γ, isotropic part
    astigmatic_cos: np.ndarray,  # (n,) idem, times cos 2∠s
    astigmatic_sin: np.ndarray,  # (n,) idem, times sin 2∠s
    offset: np.ndarray,  # (n,) phase shift + arcsin w
    envelope: np.ndarray,  # (n,) B / 4
    radians: np.ndarray,  # (n, 2) shift in radian per frequency index, (x, y)
) -> None:
    n, rows, columns = spectra.shape
    for i in numba.prange(n):
        has_envelope = envelope[i] != 0.0
        along_x = np.empty(columns, np.complex64)
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
            for x in range(columns):
                s2 = squared[y, x]
                defocus = mean[i] + astigmatic_cos[i] * cos_double[y, x] + astigmatic_sin[i] * sin_double[y, x]
                value = math.sin((quartic[i] * s2 - defocus) * s2 - offset[i])
                if has_envelope:
                    value *= math.exp(-envelope[i] * s2)
                spectra[i, y, x] *= along_y * along_x[x] * value
