"""Covariance columns under a prior, and the real volumes that they represent (step h).

Σ_j = B_j / (H_j + R_j(|ω|)), R the noise power over the prior power τ² of a column in a shell. R starts from the
outer product of the mean's prior and is iterated: with the FSC of the two half-sets' regularised columns,

    SSNR = FSC / (1 − FSC),     1 / R_new = SSNR · ⟨h / (h + R)²⟩ / ⟨(h / (h + R))²⟩,

h the entries of H of a half in the shell: a regularised half has signal power τ² ⟨(h/(h+R))²⟩ and noise power
⟨h/(h+R)²⟩ (in units of the noise), whose ratio the SSNR is. The last solution is from the sums of both halves.
"""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench._threads import count_threads, run_parts
from cryobench.fourier import hermitian_weights, ifft_volume, shell_indices
from cryobench.imaging.kernels.cpu.covariance_prior import iterate_prior
from cryobench.methods.recovar.covariance_columns import ColumnSums
from cryobench.reconstruction.statistics import LEAST_FSC, MOST_FSC

_PRIOR_FACTOR = 1e-2
"""First prior of a column over the outer product of the mean's (published)."""
ROUNDS = 20
"""Most iterations of the prior (published: 20)."""
_MOST_AT_ONCE = 4
_SOLUTION_BYTES, _SHARED_BYTES = 65, 20
"""Bytes per entry of the stored grid: of a column that is being solved, and of what all of them share."""


def solution_bytes(entries: int) -> float:
    """Bytes that ``solve_columns`` takes on a stored grid of so many entries, volumes not included."""
    return (min(_MOST_AT_ONCE, count_threads()) * _SOLUTION_BYTES + _SHARED_BYTES) * entries


def first_prior(
    frequencies: Int[np.ndarray, "c 3"], prior: Float[np.ndarray, "s"], noise: Float[np.ndarray, "r"], size: int
) -> Float[np.ndarray, "c s"]:
    """Noise over prior power of each column: the outer products of noise and of the mean's prior."""
    shells = np.minimum(np.floor(np.sqrt((frequencies**2).sum(axis=1)) + 0.5).astype(int), size // 2)
    power = np.concatenate([noise, np.repeat(noise[-1:], size // 2 + 1 - len(noise))])
    ratio = power / np.maximum(prior, 1e-30)
    return ratio * ratio[shells][:, None] / _PRIOR_FACTOR


def solve_columns(
    sums: ColumnSums,
    initial: Float[np.ndarray, "c s"],
    mask: Float[Tensor, "z y x"],
    gridding: Float[Tensor, "z y x"],
    *,
    radius: int,
) -> tuple[Float[np.ndarray, "2*c v"], Float[np.ndarray, "c s"]]:
    """Real volumes of the columns inside a mask, and the FSC of their half-sets.

    Parameters
    ----------
    sums
        B and H of c columns.
    initial
        First R of each column and shell.
    mask
        Volumes are multiplied by it and returned at its v positive voxels.
    gridding
        Correction by which inserted volumes are divided.
    radius
        Last inserted shell.
    """
    size = mask.shape[-1]
    count = len(sums)
    shells = shell_indices(size, 3).numpy().ravel()
    within = np.flatnonzero(shells <= radius)
    shells = shells[within].astype(np.int64)
    weights = hermitian_weights(size).expand(size, size, -1).numpy().astype(np.float32).ravel()[within]
    inside = torch.nonzero(mask.flatten() > 0)[:, 0]
    factor = (mask / gridding).flatten()[inside].float()
    volumes = np.empty((2 * count, len(inside)), dtype=np.float32)
    curves = np.empty((count, size // 2 + 1), dtype=np.float32)
    read = sums.reader(within)

    def solve(first: int, last: int) -> None:
        for column in range(first, last):
            top, bottom = read(column)
            prior = initial[column].astype(np.float64)
            iterate_prior(top, bottom, shells, weights, prior, curves[column], radius, ROUNDS, LEAST_FSC, MOST_FSC)
            divisor = np.maximum(bottom.sum(0) + prior[shells], 1e-30)
            for part in (0, 1):
                spectrum = torch.zeros(size * size * (size // 2 + 1), dtype=torch.complex64)
                spectrum.numpy()[within] = top[:, part].sum(0) / divisor
                real = ifft_volume(spectrum.view(size, size, -1), size).flatten()[inside] * factor
                volumes[2 * column + part] = real.numpy()

    bounds = np.linspace(0, count, min(count, _MOST_AT_ONCE) + 1).astype(int).tolist()
    run_parts(solve, list(pairwise(bounds)))
    return volumes, curves
