"""Inner products of two half-spectra shell by shell, compiled: the three sums of an FSC in one pass.

Shell s is s ≤ |k| < s + 1 in index units, for s = 0 … n // 2 − 2: those of the published FSC. Sums are over the full
spectrum, in double precision. One thread: the pass takes less time than synchronising two threads may.
"""

from functools import lru_cache

import numba
import numpy as np


def shell_products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Re Σ F conj(G), Σ |F|² and Σ |G|² by shell of complex64 half-spectra (z, y, h); result (3, n // 2 − 1).

    Equal spectra give three rows equal to the last bit.
    """
    return _sum_products(first, second, _shell_of_square(first.shape[0]))


@lru_cache(maxsize=4)
def _shell_of_square(size: int) -> np.ndarray:
    """Shell of every squared radius; those beyond the last shell have one common further entry."""
    radii = np.sqrt(np.arange(3 * (size // 2) ** 2 + 1, dtype=np.float64))
    return np.minimum(np.floor(radii), size // 2 - 1).astype(np.int32)


@numba.njit(cache=True)
def _sum_products(first: np.ndarray, second: np.ndarray, shell_of_square: np.ndarray) -> np.ndarray:
    size, rows, columns = first.shape
    n_shells = size // 2 - 1
    total = np.zeros((3, n_shells + 1))
    for z in range(size):
        kz = z if z < (size + 1) // 2 else z - size
        for y in range(rows):
            ky = y if y < (rows + 1) // 2 else y - rows
            around = kz * kz + ky * ky
            current = n_shells
            cross, power, other = 0.0, 0.0, 0.0  # neighbours are mostly in the same shell: add up while they are
            for x in range(columns):
                shell = shell_of_square[around + x * x]
                if shell != current:
                    total[0, current] += cross
                    total[1, current] += power
                    total[2, current] += other
                    current = shell
                    cross, power, other = 0.0, 0.0, 0.0
                    if shell == n_shells:
                        break  # the radius only grows along a row
                one, two = first[z, y, x], second[z, y, x]
                one_re, one_im = np.float64(one.real), np.float64(one.imag)
                two_re, two_im = np.float64(two.real), np.float64(two.imag)
                weight = 1.0 if x == 0 or 2 * x == size else 2.0
                cross += weight * (one_re * two_re + one_im * two_im)
                power += weight * (one_re * one_re + one_im * one_im)
                other += weight * (two_re * two_re + two_im * two_im)
            total[0, current] += cross
            total[1, current] += power
            total[2, current] += other
    return total[:, :n_shells]
