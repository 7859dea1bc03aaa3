"""Wall and CPU time and peak memory of a block of work."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import psutil
import torch

_LOOK = 1.0
"""Seconds between samples of child processes."""


class Meter:
    """Context manager that measures its block: see ``readings``.

    CPU time and memory include those of child processes, as local workers are, sampled every second. Peak memory is
    the largest resident size, of this process sampled twenty times a second: the kernel's own high-water mark would
    include everything the process did before. Memory that processes share counts once for each. The time of an
    accelerator is how long it was held, busy or not, as clusters count it; its peak memory is the largest allocation
    by PyTorch.

    Parameters
    ----------
    device
        The torch device used: "cpu", or "cuda" to measure that as well.
    tick
        Called every ``seconds`` while the block runs, in its own thread, so that the cost is known even
        if the process is killed. One that fails to write is left out: a full disk may have room again at the next.
    """

    def __init__(self, device: str = "cpu", *, tick: Callable[[], None] | None = None, seconds: float = 5.0) -> None:
        self._device = device
        self._tick, self._seconds = tick, seconds
        self._ended: tuple[float, float] | None = None
        self._stop = threading.Event()
        self._peak = 0
        self._of_children: dict[psutil.Process, tuple[float, float]] = {}
        """CPU seconds of each child before the block, and when last seen."""
        self._children_hold = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        process, ticked, looked = psutil.Process(), time.perf_counter(), time.perf_counter()
        while True:
            now = time.perf_counter()
            if now - looked > _LOOK:
                self._look()
                looked = now
            self._peak = max(self._peak, process.memory_info().rss + self._children_hold)
            if self._tick is not None and now - ticked > self._seconds:
                with suppress(OSError):
                    self._tick()
                ticked = now
            if self._stop.wait(0.05):
                return

    def _look(self, *, before: bool = False) -> None:
        """Sample the children; those that end in between keep what was last seen."""
        self._children_hold = 0
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error), child.oneshot():
                times = child.cpu_times()
                used = times.user + times.system
                first, _ = self._of_children.get(child, (used if before else 0.0, 0.0))
                self._of_children[child] = first, used
                self._children_hold += child.memory_info().rss

    def __enter__(self) -> "Meter":
        if self._device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self._device)
        self._look(before=True)
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)
        self._look()
        self._ended = time.perf_counter(), self._cpu_now()
        self._stop.set()
        self._thread.join()

    def readings(self) -> dict[str, float]:
        """``wall_seconds``, ``cpu_seconds`` (all threads and child processes) and ``peak_memory_bytes``, until now or
        the end of the block.

        On CUDA also ``gpu_seconds`` and ``peak_gpu_memory_bytes``.
        """
        wall, cpu = self._ended or (time.perf_counter(), self._cpu_now())
        found = {
            "wall_seconds": wall - self._wall,
            "cpu_seconds": cpu - self._cpu,
            "peak_memory_bytes": float(self._peak),
        }
        if self._device.startswith("cuda"):
            found["gpu_seconds"] = found["wall_seconds"]
            found["peak_gpu_memory_bytes"] = float(torch.cuda.max_memory_allocated(self._device))
        return found

    def _cpu_now(self) -> float:
        return time.process_time() + sum(last - first for first, last in self._of_children.copy().values())
