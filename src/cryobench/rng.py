"""Named, counter-based random streams.

One seed makes every draw of a data set, yet no two purposes share a stream: the Philox key is derived from the
seed *and* the purpose's name, and particle ``i`` has its own block of counters, from i · 2^128 on. Hence any subset
of particles can be made separately, in any order, by any number of workers, with the same bits.

White noise, of which a data set needs a billion numbers, comes from a compiled kernel under the same rule, with its
own keys (``make_counter_key``; see ``imaging.kernels.white_noise``).

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11 (Philox-4x64).
"""

import hashlib

import numpy as np


def _derive_key(seed: int, purpose: str) -> int:
    """128-bit Philox key of a purpose under a seed."""
    if seed < 0:
        raise ValueError(f"seed must be a non-negative integer, got {seed}.")
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:16], "little")


def stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Generator of one purpose ("poses", "noise", ...), for one particle (or 0 for a single stream).

    Parameters
    ----------
    seed
        The data set's or run's seed, non-negative.
    purpose
        Name of the quantity drawn. Different names are independent streams.
    index
        Particle (or other item) whose private block of 2^128 counters is used.
    """
    # NumPy's own integers have 64 bits, and would be shifted to 0.
    return np.random.Generator(np.random.Philox(key=_derive_key(seed, purpose), counter=int(index) << 128))


def make_counter_key(seed: int, purpose: str) -> np.ndarray:
    """(2,) uint32: key under which a compiled kernel draws for that purpose from its own counters."""
    key = _derive_key(seed, purpose)
    return np.array([key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF], dtype=np.uint32)


class IndexedStream:
    """Generators for many particles of one purpose, without the cost of a new bit generator each time.

    ``IndexedStream(seed, purpose).at(i)`` draws the same numbers as ``stream(seed, purpose, i)``. The returned
    generator is reused by the next call of ``at``, so draw from it before requesting another. One object must
    not be used by several threads.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        self._bits = np.random.Philox(key=_derive_key(seed, purpose))
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state

    def at(self, index: int) -> np.random.Generator:
        """Rewind to the start of particle ``index``'s block."""
        state, index = self._state, int(index)
        low, high = index & 0xFFFFFFFFFFFFFFFF, index >> 64
        state["state"]["counter"][:] = (0, 0, low, high)
        state["buffer_pos"] = 4
        state["has_uint32"] = 0
        state["uinteger"] = 0
        self._bits.state = state
        return self._generator
