"""What a run costs, and on what machine: wall and CPU time, peak memory, hardware."""

import os
import platform
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import torch


class Meter:
    """Context manager that measures what happens inside: see ``readings``.

    Peak memory is the greatest resident size of this process, looked at twenty times a second: the kernel's own
    high-water mark would tell of everything the process did before as well. The time of an accelerator is how long
    it was held, busy or not, as clusters count it; its peak memory is what PyTorch had allocated on it at most.

    ``device`` is the torch device used: "cpu", or "cuda" to measure that as well.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._stop = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self._peak = max(self._peak, process.memory_info().rss)
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
        self._wall, self._cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        self._stop.set()
        self._thread.join()

    def readings(self) -> dict[str, float]:
        """``wall_seconds``, ``cpu_seconds`` (all threads) and ``peak_memory_bytes``, once the block has ended.

        On CUDA ``gpu_seconds`` and ``peak_gpu_memory_bytes`` too.
        """
        found = {"wall_seconds": self._wall, "cpu_seconds": self._cpu, "peak_memory_bytes": float(self._peak)}
        if self._device.startswith("cuda"):
            found["gpu_seconds"] = self._wall
            found["peak_gpu_memory_bytes"] = float(torch.cuda.max_memory_allocated(self._device))
        return found


def describe_hardware(device: str) -> dict[str, Any]:
    """Processor, cores, memory, and the accelerator if the run used one."""
    hardware: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "device": device,
    }
    if device.startswith("cuda"):
        hardware["accelerator"] = torch.cuda.get_device_name(device)
    return hardware


def _processor_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def choose_device(name: str) -> str:
    """ "cpu", "cuda" or "auto" (CUDA if there is one) as a torch device. ValueError if it is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu, cuda or auto, got {name!r}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda was asked for but PyTorch sees none: use --device cpu, or auto.")
    return name
