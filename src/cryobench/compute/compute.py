"""``Compute``: device, precision, memory and workers of a run.

None of it is science: it affects speed and, at most, the last bits of a result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from cryobench._threads import count_threads
from cryobench.compute.device import choose_device
from cryobench.compute.memory import default_budget, parse_memory
from cryobench.compute.process_group import ProcessGroup
from cryobench.compute.workers import Workers, open_workers

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


@dataclass(frozen=True)
class Compute:
    """Machine settings of a run.

    Raises
    ------
    ValueError
        If the precision is unknown or the budget is not positive.
    """

    device: str = "cpu"
    """"cpu" or "cuda", as in PyTorch; in every worker."""
    precision: Precision = "float32"
    """Precision of matrix products. Phases, sums, master weights and losses are always at least float32."""
    memory: int = field(default_factory=default_budget)
    """Bytes that may be used by all workers together. More memory keeps images from pass to pass."""
    workers: Workers | None = None
    """Processes over which particles are distributed; None for this one."""
    process_group: ProcessGroup = field(default_factory=ProcessGroup)
    """Processes that make every training step together with this one; see ``open_process_group``."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be {' or '.join(PRECISIONS)}, got {self.precision!r}.")
        if self.memory <= 0:
            raise ValueError(f"memory must be positive, got {self.memory} bytes.")

    @property
    def n_workers(self) -> int:
        """Number of processes that compute."""
        return 1 if self.workers is None else len(self.workers)

    @property
    def n_threads(self) -> int:
        """Threads of each process that computes, of which this one need not have as many."""
        return count_threads() if self.workers is None else self.workers.n_threads

    @property
    def memory_per_worker(self) -> float:
        """Bytes that each process may use."""
        return self.memory / self.n_workers

    def kind(self) -> dict[str, str]:
        """Conditions for resuming a checkpoint: the kind of device, and the precision."""
        return {"device": self.device.partition(":")[0], "precision": self.precision}


@contextmanager
def open_compute(
    *,
    device: str = "auto",
    precision: Precision | Literal["auto"] = "auto",
    memory: str | int | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> Iterator[Compute]:
    """A ``Compute`` whose workers, if started for it, end with the block.

    Parameters
    ----------
    device
        "cpu", "cuda" or "auto": CUDA if there is a device.
    precision
        "float32", "bfloat16" or "auto": float32.
    memory
        Bytes, or text such as "8GB"; None for 70 % of what this process may use.
    workers
        1 for this process on all its threads; more: that many local Dask processes of one thread each.
    scheduler
        Address of a Dask scheduler with its own workers, instead.

    Raises
    ------
    ValueError
        If a value is out of range, the device does not exist, or both workers and a scheduler are given.
    OSError
        If no scheduler answers.
    """
    chosen = choose_device(device)
    budget = default_budget() if memory is None else parse_memory(memory)
    with open_workers(workers, scheduler) as pool:
        yield Compute(chosen, "float32" if precision == "auto" else precision, budget, pool)
