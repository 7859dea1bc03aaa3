"""Mean power of a volume's shells, for large grids: compiled, and the same number on any number of threads."""

from functools import lru_cache

import numba
import numpy as np
import torch

from cryobench._types import Volume
from cryobench.fourier.shells import shell_indices, shell_sum


def shell_power(volume: Volume) -> np.ndarray:
    """Mean of |F(k)|² over each shell s − ½ ≤ |k| < s + ½ of the full spectrum, (n + 1) // 2 shells, float64."""
    size = volume.shape[-1]
    counts, nearest = _shells(size)
    # Power knows nothing of the phase origin, so the volume need not be rolled to its centre first.
    return _sum_shells(torch.fft.rfftn(volume).numpy(), nearest, len(counts)) / counts


@lru_cache(maxsize=2)
def _shells(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries of each shell in the full spectrum, and the shell of every squared radius."""
    n_shells = (size + 1) // 2
    indices = shell_indices(size, 3)
    counts = shell_sum(torch.ones(indices.shape), indices, n_shells, box_size=size).numpy()
    squared = np.arange(3 * (size // 2) ** 2 + 1)
    return counts, np.minimum(np.floor(np.sqrt(squared) + 0.5), n_shells).astype(np.int32)


@numba.njit(parallel=True, cache=True)
def _sum_shells(spectrum: np.ndarray, nearest: np.ndarray, n_shells: int) -> np.ndarray:
    """Sum of |F|² over each shell of the full spectrum: plane by plane, the planes then added up in order."""
    size, rows, columns = spectrum.shape
    partial = np.zeros((size, n_shells + 1))
    for z in numba.prange(size):
        plane = np.int64(z)
        kz = plane if plane < (size + 1) // 2 else plane - size
        for y in range(rows):
            ky = y if y < (rows + 1) // 2 else y - rows
            current, run = n_shells, 0.0  # neighbours mostly share a shell: add up while they do
            for x in range(columns):
                shell = nearest[kz * kz + ky * ky + x * x]
                if shell != current:
                    partial[z, current] += run
                    current, run = shell, 0.0
                value = spectrum[z, y, x]
                power = np.float64(value.real * value.real + value.imag * value.imag)
                run += power if x == 0 or 2 * x == size else 2.0 * power
            partial[z, current] += run
    total = np.zeros(n_shells)
    for z in range(size):
        total += partial[z, :n_shells]
    return total
