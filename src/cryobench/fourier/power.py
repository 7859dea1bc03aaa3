"""Mean power of a volume's shells, for large grids: compiled, and the same number on any number of threads."""

from functools import lru_cache

import numba
import numpy as np
import torch
from jaxtyping import Float

from cryobench._threads import run_ranges
from cryobench._types import Volume
from cryobench.fourier.raw import forward
from cryobench.fourier.resample import invert_cropped


def shell_power(volume: Volume) -> np.ndarray:
    """Mean of |F(k)|² over each shell s − ½ ≤ |k| < s + ½ of the full spectrum, (n + 1) // 2 shells, float64."""
    # Power knows nothing of the phase origin, so the volume need not be rolled to its centre first.
    return _mean_power(forward(volume, (-3, -2, -1)))


def crop_with_power(volume: Volume, box_size: int) -> tuple[Float[torch.Tensor, "new_z new_y new_x"], np.ndarray]:
    """``fourier_crop`` of a volume, and the ``shell_power`` it had before in the unit of the cropped one.

    Both from one transform of the large grid. ValueError if ``box_size`` exceeds the present size.
    """
    old = volume.shape[-1]
    if box_size > old:
        raise ValueError(f"cannot crop from {old} to {box_size} samples.")
    spectrum = forward(volume, (-3, -2, -1))
    return invert_cropped(spectrum, old, box_size, 3), _mean_power(spectrum) * (box_size / old) ** 6


def _mean_power(spectrum: torch.Tensor) -> np.ndarray:
    counts, nearest = _shells(spectrum.shape[0])
    planes = np.zeros((len(spectrum), len(counts) + 1))
    run_ranges(_sum_shells, len(planes), spectrum.numpy(), nearest, planes)
    total = np.zeros(len(counts))
    for plane in planes:
        total += plane[:-1]
    return total / counts


@lru_cache(maxsize=2)
def _shells(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries of each shell in the full spectrum, and the shell of every squared radius."""
    n_shells = (size + 1) // 2
    radii = np.sqrt(np.arange(3 * (size // 2) ** 2 + 1))
    nearest = np.minimum(np.floor(radii + 0.5), n_shells).astype(np.int32)
    squared = (np.arange(size) - size // 2) ** 2
    counts = np.zeros(n_shells + 1)
    for plane in squared:  # plane by plane: the grid as a whole would be the largest array of a simulation
        counts += np.bincount(nearest[plane + squared[:, None] + squared].ravel(), minlength=n_shells + 1)
    return counts[:n_shells], nearest


@numba.njit(nogil=True, cache=True)
def _sum_shells(spectrum: np.ndarray, nearest: np.ndarray, planes: np.ndarray, first: int, last: int) -> None:
    """Sums of |F|² over each shell of the full spectrum, and over what lies beyond, in each of some planes."""
    size, rows, columns = spectrum.shape
    n_shells = planes.shape[1] - 1
    for z in range(first, last):
        kz = z if z < (size + 1) // 2 else z - size
        for y in range(rows):
            ky = y if y < (rows + 1) // 2 else y - rows
            current, run = n_shells, 0.0  # neighbours mostly share a shell: add up while they do
            for x in range(columns):
                shell = nearest[kz * kz + ky * ky + x * x]
                if shell != current:
                    planes[z, current] += run
                    current, run = shell, 0.0
                value = spectrum[z, y, x]
                power = np.float64(value.real * value.real + value.imag * value.imag)
                run += power if x == 0 or 2 * x == size else 2.0 * power
            planes[z, current] += run
