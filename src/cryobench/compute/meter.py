"""Wall and CPU time and peak memory of a block of work."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import psutil
import torch


class Meter:
    """Context manager that measures its block: see ``readings``.

    Peak memory is the largest resident size of this process, sampled twenty times a second: the kernel's own
    high-water mark would include everything the process did before. The time of an accelerator is how long
    it was held, busy or not, as clusters count it; its peak memory is the largest allocation by PyTorch.

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
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        process, last = psutil.Process(), time.perf_counter()
        while True:
            self._peak = max(self._peak, process.memory_info().rss)
            if self._tick is not None and time.perf_counter() - last > self._seconds:
                with suppress(OSError):
                    self._tick()
                last = time.perf_counter()
            if self._stop.wait(0.05):
                return

    def __enter__(self) -> "Meter":
        if self._device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self._device)
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device.startswith("cuda"):
            torch.cuda.synchronize(self._device)
        self._ended = time.perf_counter(), time.process_time()
        self._stop.set()
        self._thread.join()

    def readings(self) -> dict[str, float]:
        """``wall_seconds``, ``cpu_seconds`` (all threads) and ``peak_memory_bytes``, until now or the end of the
        block.

        On CUDA also ``gpu_seconds`` and ``peak_gpu_memory_bytes``.
        """
        wall, cpu = self._ended or (time.perf_counter(), time.process_time())
        found = {
            "wall_seconds": wall - self._wall,
            "cpu_seconds": cpu - self._cpu,
            "peak_memory_bytes": float(self._peak),
        }
        if self._device.startswith("cuda"):
            found["gpu_seconds"] = found["wall_seconds"]
            found["peak_gpu_memory_bytes"] = float(torch.cuda.max_memory_allocated(self._device))
        return found
