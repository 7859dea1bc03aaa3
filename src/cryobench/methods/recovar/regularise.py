"""Regularised covariance columns, and the real volumes they stand for (step h).

Σ_j = B_j / (H_j + R_j(|ω|)), R the noise power over the prior power τ² of a column in a shell. R starts from the
outer product of the mean's prior and is iterated: with the FSC of the two half-sets' regularised columns,

    SSNR = FSC / (1 − FSC),     1 / R_new = SSNR · ⟨h / (h + R)²⟩ / ⟨(h / (h + R))²⟩,

h the entries of H of a half in the shell: a regularised half has signal power τ² ⟨(h/(h+R))²⟩ and noise power
⟨h/(h+R)²⟩ (in units of the noise), whose ratio the SSNR is. The last uses both halves' sums.
"""

from itertools import pairwise

import numba
import numpy as np
import torch
from torch import Tensor

from cryobench.fourier import hermitian_weights, ifft_volume, shell_indices
from cryobench.imaging.kernels.cpu.threads import run_parts
from cryobench.methods.recovar.columns import ColumnSums
from cryobench.methods.recovar.mean import LEAST_FSC, MOST_FSC

ROUNDS = 20
"""Most iterations of the prior (published: 20)."""


def solve_columns(
    sums: ColumnSums, initial: np.ndarray, mask: Tensor, gridding: Tensor, *, radius: int
) -> tuple[np.ndarray, np.ndarray]:
    """Real volumes (2 c, v) of the columns inside a mask, and the FSC (c, s) of their half-sets.

    Parameters
    ----------
    sums
        B and H of c columns.
    initial
        (c, s) first R of each column and shell.
    mask
        (z, y, x); volumes are multiplied by it and given at its v voxels that are not 0.
    gridding
        (z, y, x) by which inserted volumes are divided.
    radius
        Last shell that was inserted.
    """
    size = mask.shape[-1]
    count = len(sums.top)
    shells = shell_indices(size, 3).numpy().astype(np.int64).ravel()
    weights = hermitian_weights(size).expand(size, size, -1).contiguous().numpy().astype(np.float32).ravel()
    inside = torch.nonzero(mask.flatten() > 0)[:, 0]
    factor = (mask / gridding).flatten()[inside].float()
    volumes = np.empty((2 * count, len(inside)), dtype=np.float32)
    curves = np.empty((count, size // 2 + 1), dtype=np.float32)

    def solve(first: int, last: int) -> None:
        for column in range(first, last):
            top, bottom = sums.top[column], sums.bottom[column]
            prior = initial[column].astype(np.float64)
            _iterate_prior(top, bottom, shells, weights, prior, curves[column], radius, ROUNDS)
            spread = np.where(shells <= radius, prior[np.minimum(shells, radius)], np.inf)
            solved = top.sum(0) / np.maximum(bottom.sum(0) + spread, 1e-30)
            spectra = torch.from_numpy(solved.astype(np.complex64)).reshape(2, size, size, size // 2 + 1)
            real = ifft_volume(spectra, size).flatten(1)[:, inside] * factor
            volumes[2 * column : 2 * column + 2] = real.numpy()

    bounds = np.linspace(0, count, min(count, 4) + 1).astype(int)
    run_parts(solve, list(pairwise(bounds)))
    return volumes, curves


@numba.njit(nogil=True, cache=True, fastmath=True)
def _iterate_prior(top, bottom, shells, weights, prior, curve, radius, rounds):
    """Iterate ``prior`` (s,) in place; ``curve`` gets the last FSC. ``top`` (half, part, v), ``bottom`` (half, v)."""
    count = radius + 1
    n = len(shells)
    for _ in range(rounds):
        cross, first, second = np.zeros(count), np.zeros(count), np.zeros(count)
        gain, noise = np.zeros(count), np.zeros(count)
        for v in range(n):
            s = shells[v]
            if s >= count:
                continue
            w = weights[v]
            r = np.float32(prior[s])
            g0, g1 = np.float32(1) / (bottom[0, v] + r), np.float32(1) / (bottom[1, v] + r)
            p00, p01, p10, p11 = top[0, 0, v], top[0, 1, v], top[1, 0, v], top[1, 1, v]
            c = p00.real * p10.real + p00.imag * p10.imag + p01.real * p11.real + p01.imag * p11.imag
            cross[s] += w * g0 * g1 * c
            first[s] += w * g0 * g0 * (p00.real**2 + p00.imag**2 + p01.real**2 + p01.imag**2)
            second[s] += w * g1 * g1 * (p10.real**2 + p10.imag**2 + p11.real**2 + p11.imag**2)
            h = np.float32(0.5) * (bottom[0, v] + bottom[1, v])
            g = np.float32(1) / (h + r)
            gain[s] += w * (h * g) * (h * g)
            noise[s] += w * h * g * g
        change = 0.0
        for s in range(count):
            scale = np.sqrt(first[s] * second[s])
            fsc = cross[s] / scale if scale > 0 else 0.0
            curve[s] = fsc
            fsc = min(max(fsc, LEAST_FSC), MOST_FSC)
            if noise[s] > 0 and gain[s] > 0:
                updated = (1 - fsc) / fsc * gain[s] / noise[s]
                change = max(change, abs(np.log(updated / prior[s])))
                prior[s] = updated
        if change < 0.02:
            break
    for s in range(count, len(curve)):
        curve[s] = 0
