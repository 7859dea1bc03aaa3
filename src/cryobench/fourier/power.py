"""Mean power of a volume's shells, for large grids: compiled, and the same number on any number of threads."""

import math

import numba
import numpy as np
import torch

from cryobench._types import Volume


def shell_power(volume: Volume) -> np.ndarray:
    """Mean of |F(k)|² over each shell s − ½ ≤ |k| < s + ½ of the full spectrum, (n + 1) // 2 shells, float64."""
    size = volume.shape[-1]
    # Power knows nothing of the phase origin, so the volume need not be rolled to its centre first.
    sums = _sum_shells(torch.fft.rfftn(volume).numpy(), (size + 1) // 2)
    return sums[:, 0] / np.maximum(sums[:, 1], 1)


@numba.njit(parallel=True, cache=True)
def _sum_shells(spectrum: np.ndarray, n_shells: int) -> np.ndarray:
    """(n_shells, 2): sum of |F|² and number of entries, plane by plane, then added up in order."""
    size, rows, columns = spectrum.shape
    partial = np.zeros((size, n_shells, 2))
    for z in numba.prange(size):
        kz = z if z < (size + 1) // 2 else z - size
        for y in range(rows):
            ky = y if y < (rows + 1) // 2 else y - rows
            for x in range(columns):
                shell = int(math.sqrt(float(kz * kz + ky * ky + x * x)) + 0.5)
                if shell < n_shells:
                    weight = 1.0 if x == 0 or 2 * x == size else 2.0
                    value = spectrum[z, y, x]
                    power = float(value.real) * float(value.real) + float(value.imag) * float(value.imag)
                    partial[z, shell, 0] += weight * power
                    partial[z, shell, 1] += weight
    total = np.zeros((n_shells, 2))
    for z in range(size):
        total += partial[z]
    return total
