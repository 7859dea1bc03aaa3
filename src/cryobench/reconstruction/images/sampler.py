"""Minibatches: the order in which a stochastic method visits the particles, and prefetched images.

The order depends only on seed and epoch: not on memory, workers or the step from which a run resumes.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Int, Shaped

from cryobench.rng import stream

BUFFER = 8192
"""Particles within which the order is random; see ``Minibatches``."""

Item = TypeVar("Item")
Made = TypeVar("Made")


class Minibatches:
    """Batches of particle indices, with every particle once per epoch.

    A full permutation would read a file that does not fit in memory in random order. So particles are taken in blocks
    of ``BUFFER`` that are contiguous in the table, the blocks in random order, and shuffled within each: for up to
    ``BUFFER`` particles, that is a full permutation.

    Parameters
    ----------
    n
        Number of particles.
    batch_size
        Particles per batch; the last one of an epoch, or of a group, may be smaller.
    seed
        For the order.
    groups
        (n,) integers: a batch holds particles of one group only. None for no groups.
    name
        Name of the random stream.

    Raises
    ------
    ValueError
        If the batch size is not from 1 to n, or ``groups`` has another length than n.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int,
        *,
        groups: Shaped[np.ndarray, " n"] | None = None,
        name: str = "minibatches",
    ) -> None:
        if not 1 <= batch_size <= n:
            raise ValueError(
                f"batch_size must be from 1 to {n}, the number of particles, got batch_size={batch_size}."
            )
        if groups is not None and np.shape(groups) != (n,):
            raise ValueError(f"groups must have one entry for each of {n} particles, got {np.shape(groups)}.")
        self._n, self._batch_size, self._seed, self._name, self._groups = n, batch_size, seed, name, groups
        sizes = [n] if groups is None else np.unique(groups, return_counts=True)[1]
        self.steps_per_epoch: int = sum(-(-int(size) // batch_size) for size in sizes)
        """Batches in an epoch."""
        self._cached = lru_cache(maxsize=2)(self._make_epoch)

    def batch(self, step: int) -> Int[np.ndarray, "m"]:
        """Particle indices (m,) of a step, counted from 0 over all epochs."""
        epoch, within = divmod(step, self.steps_per_epoch)
        return self._cached(epoch)[within]

    def steps(self, first: int, last: int) -> Iterator[Int[np.ndarray, "_"]]:
        """Batches of steps ``first`` … ``last`` − 1."""
        return (self.batch(step) for step in range(first, last))

    def _make_epoch(self, epoch: int) -> list[Int[np.ndarray, "_"]]:
        generator = stream(self._seed, self._name, epoch)
        order = self._shuffle(generator)
        if self._groups is None:
            return _cut(order, self._batch_size)
        batches = []
        for group in np.unique(self._groups):
            batches += _cut(order[self._groups[order] == group], self._batch_size)
        return [batches[index] for index in generator.permutation(len(batches))]

    def _shuffle(self, generator: np.random.Generator) -> Int[np.ndarray, "n"]:
        blocks = _cut(np.arange(self._n), BUFFER)
        return np.concatenate([generator.permutation(blocks[index]) for index in generator.permutation(len(blocks))])


def draw_stretch(n: int, first: int, count: int, seed: int, *, name: str = "mini-batches") -> Bool[np.ndarray, "n"]:
    """Which of n particles (n,) are in a range of an endless sequence that visits all in every round.

    Fewer than ``count`` where the range spans two rounds that have some in common.

    Parameters
    ----------
    first, count
        Start and length of the range.
    name
        Name of the random stream.
    """
    chosen = np.zeros(n, dtype=bool)
    for turn in range(first // n, (first + count - 1) // n + 1):
        order = stream(seed, name, turn).permutation(n)
        chosen[order[max(first - turn * n, 0) : max(first + count - turn * n, 0)]] = True
    return chosen


def _cut(order: Int[np.ndarray, "n"], size: int) -> list[Int[np.ndarray, "_"]]:
    return [order[first : first + size] for first in range(0, len(order), size)]


def prefetch(function: Callable[[Item], Made], items: Iterable[Item], *, ahead: int = 2) -> Iterator[Made]:
    """Results of ``function`` for each item in order, computed in a thread up to ``ahead`` items in advance.

    An error is raised in the order of its result. The thread ends with the iteration, also if that is abandoned.
    """
    made: queue.Queue[Any] = queue.Queue(maxsize=ahead)
    left = threading.Event()

    def put(entry: tuple[str, Any]) -> bool:
        while not left.is_set():
            try:
                made.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(("result", function(item))):
                    return
        except BaseException as error:
            put(("error", error))
        else:
            put(("end", None))

    thread = threading.Thread(target=work, name="cryobench prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = made.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        left.set()
        thread.join()
