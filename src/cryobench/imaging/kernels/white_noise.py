"""CPU body of white noise: standard normal numbers from counters, in lanes that the compiler vectorises.

Every four numbers come from one Philox-4x32-10 counter (block, 0, particle) by the Box-Muller transform, so any image
can be drawn separately. Logarithm and sine are explicit polynomials, and no operation is fused or reordered: the
bits are the same on every machine and any number of threads. Numbers extend to ±6.7, beyond which are one in 10¹¹ of
a true normal distribution.

Sources: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11 (Philox); Box & Muller, Ann. Math.
Statist. 29 (1958) 610. The polynomial of the logarithm is a least-squares fit at Chebyshev nodes, to 1e-8.
"""

import math

import numba
import numpy as np

from cryobench.imaging.kernels.sine import sine_of_turns

LANES = 64
"""Counters processed together: word w of lane j of a batch becomes its number w * LANES + j."""

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint32(0x9E3779B9), np.uint32(0xBB67AE85))
_LOW = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)

f4 = np.float32
_STEP = f4(2.0**-32)
_HALF_STEP = f4(2.0**-33)
_QUARTER, _HALF = f4(0.25), f4(0.5)
_LN_2 = f4(math.log(2.0))
_MANTISSA, _ROOT_HALF = np.int32(23), np.int32(0x3F3504F3)
# ln(1 + f) = f − f²/2 + f³ P(f) for √½ ≤ 1 + f < √2, P starting from its constant.
_LOG = (
    f4(0.33333328), f4(-0.25000298), f4(0.20001468), f4(-0.16642247),
    f4(0.14202175), f4(-0.12972239), f4(0.12712307), f4(-0.081015587),
)  # fmt: skip


@numba.njit(cache=True)
def philox(words: np.ndarray, key: np.ndarray) -> None:
    """Philox-4x32-10 of counters ``words`` (4, lanes) uint32, in place, under ``key`` (2,) uint32."""
    first, second, third, fourth = words[0], words[1], words[2], words[3]
    low_key, high_key = key[0], key[1]
    for _ in range(_ROUNDS):
        for lane in range(words.shape[1]):
            one = np.uint64(first[lane]) * _MULTIPLIERS[0]
            two = np.uint64(third[lane]) * _MULTIPLIERS[1]
            first[lane] = np.uint32(two >> _WORD) ^ second[lane] ^ low_key
            second[lane] = np.uint32(two & _LOW)
            third[lane] = np.uint32(one >> _WORD) ^ fourth[lane] ^ high_key
            fourth[lane] = np.uint32(one & _LOW)
        low_key = np.uint32(low_key + _WEYL[0])
        high_key = np.uint32(high_key + _WEYL[1])


@numba.njit(cache=True)
def _box_muller(uniform, angle, radius, cosines, sines):
    """Two normal numbers from two words, lane by lane; ``radius`` (lanes,) float32 is scratch space."""
    bits = radius.view(np.int32)
    for lane in range(LANES):
        radius[lane] = f4(uniform[lane]) * _STEP + _HALF_STEP  # in (0, 1], as fine as a float near 0
    for lane in range(LANES):
        exponent = (bits[lane] - _ROOT_HALF) >> _MANTISSA
        sines[lane] = f4(exponent)
        bits[lane] = bits[lane] - (exponent << _MANTISSA)
    for lane in range(LANES):
        f = radius[lane] - f4(1)
        tail = _LOG[4] + f * (_LOG[5] + f * (_LOG[6] + f * _LOG[7]))
        tail = _LOG[0] + f * (_LOG[1] + f * (_LOG[2] + f * (_LOG[3] + f * tail)))
        logarithm = sines[lane] * _LN_2 + (f - f * f * (_HALF - f * tail))
        radius[lane] = math.sqrt(max(f4(-2) * logarithm, f4(0)))
    for lane in range(LANES):
        turns = f4(angle[lane]) * _STEP
        cosines[lane] = radius[lane] * sine_of_turns(abs(turns - _HALF) - _QUARTER)
        sines[lane] = radius[lane] * sine_of_turns(turns)


@numba.njit(nogil=True, cache=True)
def fill_normal(key: np.ndarray, particles: np.ndarray, images: np.ndarray, begin: int, end: int) -> None:
    """Fill images ``begin`` … ``end`` of (n, pixels) float32, each from its own stream.

    ``key`` (2,) uint32 is that of a purpose, ``particles`` (n,) uint64 select the streams.
    """
    pixels = images.shape[1]
    batch = 4 * LANES
    for i in range(begin, end):
        words = np.empty((4, LANES), np.uint32)
        numbers = np.empty(batch, np.float32)
        radius = np.empty(LANES, np.float32)
        low, high = np.uint32(particles[i] & _LOW), np.uint32(particles[i] >> _WORD)
        for start in range(0, pixels, batch):
            first = start // 4
            for lane in range(LANES):
                words[0, lane] = np.uint32(first + lane)
                words[1, lane] = np.uint32(0)
                words[2, lane] = low
                words[3, lane] = high
            philox(words, key)
            for pair in range(2):
                at = 2 * pair * LANES
                _box_muller(
                    words[2 * pair],
                    words[2 * pair + 1],
                    radius,
                    numbers[at : at + LANES],
                    numbers[at + LANES : at + 2 * LANES],
                )
            count = min(batch, pixels - start)
            for j in range(count):
                images[i, start + j] = numbers[j]
