"""The expectation step of a linear model for some particles, compiled, without storing slices.

For each particle the K + 1 interleaved volumes (the mean first) are gathered at every entry of the half-disc, their
Gram matrix and their products with the image are summed, the K x K system is solved, and the residual of the image
is stored. The equations, and the reference against which this is tested, are in
``methods.variability_3d.expectation``.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.taps import FLAGS
from cryobench.imaging.kernels.cpu.voxel import gather_voxel, turn

_SUMS = {"contract", "nsz", "reassoc"}
ROUNDS = 3
"""Number of alternating solutions for scale and latents, from the scale of the iteration before."""
LOWEST, HIGHEST = 0.5, 2.0
"""Limits of a particle's scale."""


@njit(nogil=True, cache=True, fastmath=FLAGS)
def _solve(gram, match, latents, scale, fits_scale, ridge, factor, inverse):
    """Latents (in place) and scale; the inverse of their precision is left in ``inverse``."""
    k = latents.shape[0]
    for trial in range(ROUNDS if fits_scale else 1):
        if trial > 0 or (fits_scale and scale <= 0):
            top, bottom = match[0], gram[0, 0]
            for a in range(k):
                top += latents[a] * match[a + 1]
                bottom += 2 * latents[a] * gram[0, a + 1]
                for b in range(k):
                    bottom += latents[a] * latents[b] * gram[a + 1, b + 1]
            scale = min(max(top / bottom, LOWEST), HIGHEST) if bottom > 0 else 1.0
        # Cholesky factor of scale² G + ridge.
        for a in range(k):
            for b in range(a + 1):
                total = scale * scale * gram[a + 1, b + 1]
                if a == b:
                    total += ridge
                for c in range(b):
                    total -= factor[a, c] * factor[b, c]
                if a == b:
                    factor[a, a] = np.sqrt(max(total, 1e-30))
                else:
                    factor[a, b] = total / factor[b, b]
        for a in range(k):
            total = scale * (match[a + 1] - scale * gram[0, a + 1])
            for c in range(a):
                total -= factor[a, c] * latents[c]
            latents[a] = total / factor[a, a]
        for a in range(k - 1, -1, -1):
            total = latents[a]
            for c in range(a + 1, k):
                total -= factor[c, a] * latents[c]
            latents[a] = total / factor[a, a]
    # Inverse of the precision, column by column.
    for column in range(k):
        for a in range(k):
            total = 1.0 if a == column else 0.0
            for c in range(a):
                total -= factor[a, c] * inverse[c, column]
            inverse[a, column] = total / factor[a, a]
        for a in range(k - 1, -1, -1):
            total = inverse[a, column]
            for c in range(a + 1, k):
                total -= factor[c, a] * inverse[c, column]
            inverse[a, column] = total / factor[a, a]
    return scale


@njit(nogil=True, cache=True, fastmath=_SUMS)
def _weighted_product(first, second, weights, count):
    total = np.float32(0)
    for p in range(count):
        total += first[p] * second[p] * weights[p]
    return total


@cache
def compile_linear_fit(k: int) -> Callable[..., None]:
    """The step for K components. It is compiled for each K: with variable K it takes a third longer.

    Arguments of the compiled function: the grid as float32; rotations; frequencies (p, 2); images (n, p, 2) and CTF
    (n, p); weights w (p); 1 / σ² (p); shells (p); index of frequency 0 along z and y, and along x; voxels in a plane
    and in a row; the ridge; whether scales are fitted; and, written to: scales (n,), latents (n, K), precisions
    (n, K, K), power and leverage (shells,) of this part; position of each entry in a half-slice, and its
    weight there; numerators (n, y·h, 2) and weights (n, y·h) for insertion; first and last particle.
    """
    volumes = k + 1
    width = 2 * volumes
    f4, u8 = np.float32, np.uint64

    @njit(nogil=True, cache=True, fastmath=FLAGS)
    def fit(
        grid,
        rotations,
        frequencies,
        images,
        ctf,
        weights,
        inverse_noise,
        shells,
        center,
        center_x,
        plane,
        row,
        ridge,
        fits_scale,
        scales,
        latents,
        precisions,
        power,
        leverage,
        index,
        multiple,
        numerators,
        squares,
        first,
        last,
    ):
        count = frequencies.shape[0]
        step = u8(width)
        plane_step, row_step = u8(plane) * step, u8(row) * step
        taken = np.empty(width, np.float32)
        planar = np.empty((width, count), np.float32)
        data = np.empty((2, count), np.float32)
        of_gram, of_match = np.empty(count, np.float32), np.empty(count, np.float32)
        gram, match = np.empty((volumes, volumes)), np.empty(volumes)
        factor, inverse = np.empty((k, k)), np.empty((k, k))
        narrow, own = np.empty((k, k), np.float32), np.empty(k, np.float32)
        for i in range(first, last):
            r = rotations[i]
            for p in range(count):
                place = turn(r, frequencies[p, 0], frequencies[p, 1])
                gather_voxel(grid, width, plane_step, row_step, place, center, center_x, taken)
                for t in range(width):
                    planar[t, p] = taken[t]
                c = ctf[i, p]
                # In the log-likelihood an entry and its Friedel mate count together: twice the real inner product.
                of_match[p] = f4(2) * weights[p] * inverse_noise[p] * c
                of_gram[p] = of_match[p] * c
                data[0, p], data[1, p] = images[i, p, 0], images[i, p, 1]
            for a in range(volumes):
                for b in range(a + 1):
                    total = np.float64(_weighted_product(planar[2 * a], planar[2 * b], of_gram, count))
                    total += np.float64(_weighted_product(planar[2 * a + 1], planar[2 * b + 1], of_gram, count))
                    gram[a, b] = total
                    gram[b, a] = total
                total = np.float64(_weighted_product(planar[2 * a], data[0], of_match, count))
                match[a] = total + np.float64(_weighted_product(planar[2 * a + 1], data[1], of_match, count))
            scale = _solve(gram, match, latents[i], scales[i], fits_scale, ridge, factor, inverse)
            scales[i] = scale
            for a in range(k):
                own[a] = latents[i, a]
                for b in range(k):
                    precisions[i, a, b] = scale * scale * gram[a + 1, b + 1]
                    narrow[a, b] = inverse[a, b]
                precisions[i, a, a] += ridge
            gain = f4(scale)
            for p in range(count):
                c = gain * ctf[i, p]
                re, im = data[0, p] - c * planar[0, p], data[1, p] - c * planar[1, p]
                at, by = index[p], multiple[p] * inverse_noise[p] * ctf[i, p]
                squares[i, at] = by * ctf[i, p]
                share = f4(0)
                for a in range(k):
                    re -= c * own[a] * planar[2 * a + 2, p]
                    im -= c * own[a] * planar[2 * a + 3, p]
                    of_re, of_im = f4(0), f4(0)
                    for b in range(k):
                        of_re += narrow[a, b] * planar[2 * b + 2, p]
                        of_im += narrow[a, b] * planar[2 * b + 3, p]
                    share += of_re * planar[2 * a + 2, p] + of_im * planar[2 * a + 3, p]
                numerators[i, at, 0] = by * re
                numerators[i, at, 1] = by * im
                power[shells[p]] += weights[p] * (re * re + im * im)
                leverage[shells[p]] += gain * gain * of_gram[p] * share

    return fit
