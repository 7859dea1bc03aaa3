"""Prior of one regularised covariance column, iterated shell by shell (``methods.recovar.covariance_prior``)."""

import numpy as np
from numba import njit

from cryobench.imaging.kernels.cpu.taps import FLAGS

SETTLED = 0.02
"""Largest change of a logarithm at convergence."""


@njit(nogil=True, cache=True, fastmath=FLAGS)
def iterate_prior(top, bottom, shells, weights, prior, curve, radius, rounds, least_fsc, most_fsc):
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
            fsc = min(max(fsc, least_fsc), most_fsc)
            if noise[s] > 0 and gain[s] > 0:
                updated = (1 - fsc) / fsc * gain[s] / noise[s]
                change = max(change, abs(np.log(updated / prior[s])))
                prior[s] = updated
        if change < SETTLED:
            break
    for s in range(count, len(curve)):
        curve[s] = 0
