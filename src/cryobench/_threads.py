"""A pool of Python threads for work that releases the GIL; safe to call from any thread and after a fork.

Every compiled kernel runs on it, and none on numba's own threads: those start OpenMP with as many threads as the
machine has cores, for torch too, ignoring OMP_NUM_THREADS, even in the middle of other work. Threads of the pool
compute on one thread of torch each.

After an error or an interruption no further part is begun, and those begun are waited for: they write to memory that
the caller may use again, and would delay the end of the program.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch

Result = TypeVar("Result")

_RANGES_PER_THREAD = 4
_pools: list[ThreadPoolExecutor] = []
_starting = threading.Lock()


def _forget_pool() -> None:
    """Threads do not survive a fork: the child starts its own."""
    global _starting
    _pools.clear()
    _starting = threading.Lock()


os.register_at_fork(after_in_child=_forget_pool)


def count_threads() -> int:
    """Threads a kernel may use: ``torch.get_num_threads()``, so one setting governs all CPU work."""
    return max(1, torch.get_num_threads())


def run_parts(function: Callable[..., None], parts: Iterable[tuple]) -> None:
    """Call ``function(*part)`` for every part, on as many threads as allowed; the first error is raised."""
    parts = list(parts)
    threads = min(count_threads(), len(parts))
    queue = iter(parts)
    with _helped(function, queue, threads - 1):
        _work(function, queue)


def map_torch(function: Callable[..., Result], parts: Iterable[tuple]) -> list[Result]:
    """Results of ``function(*part)`` for every part, in order, each on one thread of torch unless it is the only one.

    Products of a few hundred rows gain nothing from several threads; whole images side by side do.
    """
    parts = list(parts)
    threads = min(count_threads(), len(parts))
    if threads <= 1:
        return [function(*part) for part in parts]
    results: dict[int, Result] = {}

    def keep(number: int, part: tuple) -> None:
        results[number] = function(*part)

    with _helped(keep, iter(list(enumerate(parts))), threads):
        pass
    return [results[number] for number in range(len(parts))]


def run_ranges(function: Callable[..., None], count: int, *arguments: object) -> None:
    """Call ``function(*arguments, first, last)`` for ranges that cover 0 … count, on the threads allowed."""
    bounds = np.linspace(0, count, min(_RANGES_PER_THREAD * count_threads(), count) + 1).astype(int)
    run_parts(function, [(*arguments, first, last) for first, last in pairwise(bounds)])


@contextmanager
def _helped(function: Callable[..., None], queue: Iterator[tuple], threads: int) -> Iterator[None]:
    """Threads of the pool work on a queue, during the block and until it is empty."""
    futures = _submit(function, queue, threads)
    try:
        yield
        for future in futures:
            future.result()
    finally:
        _empty(queue)
        wait(futures)


def _work(function: Callable[..., None], queue: Iterator[tuple]) -> None:
    # list iterators are advanced under the GIL, so each part is taken once.
    try:
        for part in queue:
            function(*part)
    finally:
        _empty(queue)


def _empty(queue: Iterator[tuple]) -> None:
    deque(queue, maxlen=0)


def _submit(function: Callable[..., None], queue: Iterator[tuple], threads: int) -> list[Future[None]]:
    if threads < 1:
        return []
    with _starting:
        if not _pools:
            _pools.append(_start_pool(os.cpu_count() or 1))
    return [_pools[0].submit(_work, function, queue) for _ in range(threads)]


def _start_pool(count: int) -> ThreadPoolExecutor:
    """A pool whose threads have all started: the limit that one of them sets is torch's default for later threads."""
    former, started = torch.get_num_threads(), threading.Barrier(count + 1)
    pool = ThreadPoolExecutor(count, "cryobench", initializer=_limit_torch)
    for _ in range(count):
        pool.submit(started.wait)
    started.wait()
    torch.set_num_threads(former)
    return pool


def _limit_torch() -> None:
    torch.get_num_threads()  # what is set before a thread's first use of torch is set anew by that use
    torch.set_num_threads(1)
