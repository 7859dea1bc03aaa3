"""A pool of Python threads for kernels that release the GIL; safe to call from any thread and after a fork.

Every compiled kernel runs on it, and none on numba's own threads: those start OpenMP with as many threads as the
machine has cores, for torch too, ignoring OMP_NUM_THREADS, even in the middle of other work.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch

_RANGES_PER_THREAD = 4
_pools: dict[int, ThreadPoolExecutor] = {}


def _forget_pool() -> None:
    """Threads do not survive a fork: the child starts its own."""
    _pools.clear()


os.register_at_fork(after_in_child=_forget_pool)


def count_threads() -> int:
    """Threads a kernel may use: ``torch.get_num_threads()``, so one setting governs all CPU work."""
    return max(1, torch.get_num_threads())


def run_parts(function: Callable[..., None], parts: Iterable[tuple]) -> None:
    """Call ``function(*part)`` for every part, on as many threads as allowed; the first error is raised."""
    parts = list(parts)
    threads = min(count_threads(), len(parts))
    if threads <= 1:
        for part in parts:
            function(*part)
        return
    queue = iter(parts)

    def work() -> None:
        # list iterators are advanced under the GIL, so each part is taken once.
        for part in queue:
            function(*part)

    pool = _pools.setdefault(os.cpu_count() or 1, ThreadPoolExecutor(os.cpu_count() or 1, "cryobench"))
    futures = [pool.submit(work) for _ in range(threads - 1)]
    work()
    for future in futures:
        future.result()


def run_ranges(function: Callable[..., None], count: int, *arguments: object) -> None:
    """Call ``function(*arguments, first, last)`` for ranges that cover 0 … count, on the threads allowed."""
    bounds = np.linspace(0, count, min(_RANGES_PER_THREAD * count_threads(), count) + 1).astype(int)
    run_parts(function, [(*arguments, first, last) for first, last in pairwise(bounds)])
