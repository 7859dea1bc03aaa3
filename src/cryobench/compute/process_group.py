"""Processes that make every training step together: this one, and Dask workers joined to it (torch.distributed).

Each computes its part of a batch; sums over the processes give the step of a single process, up to
rounding. The first process, which called, owns everything else: order, log, checkpoint, signals. The others follow it
and end when they lose the connection to it, whether it finished, failed or was killed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from cryobench.compute.workers import LostWorker

if TYPE_CHECKING:
    from cryobench.compute.compute import Compute

_GLANCE = 0.1
"""Seconds between two checks of the workers."""
_JOINING = 120.0
"""Seconds within which a worker must join."""
_PATIENCE = 10.0
"""Seconds that workers have to end, or to report why they ended."""


@dataclass(frozen=True)
class ProcessGroup:
    """One of the processes that make every step together; by default the only one.

    Communicating methods are called in all processes, in the same order. LostWorker if one of them is gone.
    """

    rank: int = 0
    """Number of this process; 0 for the one that called."""
    size: int = 1
    """Number of processes."""

    @property
    def part(self) -> slice:
        """Positions in a batch that this process computes: every ``size``-th."""
        return slice(self.rank, None, self.size)

    def total(self, value: Tensor) -> Tensor:
        """Sum of a value over the processes; differentiable by this process's contribution."""
        return value if self.size == 1 else _Total.apply(value)  # pyright: ignore[reportReturnType]

    def sum_gradients(self, leaves: Iterable[Tensor]) -> None:
        """Replace the gradient of every tensor by its sum over the processes, in one message."""
        if self.size == 1:
            return
        gradients = [each.grad for each in leaves if each.grad is not None]
        flat = torch.cat([each.flatten() for each in gradients])
        with _connected():
            dist.all_reduce(flat)
        for gradient, values in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(values.view_as(gradient))

    @torch.no_grad()
    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the first process."""
        if self.size > 1:
            with _connected():
                for each in tensors:
                    dist.broadcast(each, src=0)

    def hear(self, number: int = 0) -> int:
        """The number with which the first process calls this; the others wait for it."""
        said = torch.tensor(number)
        self.copy_first([said])
        return int(said)


@contextmanager
def open_process_group(compute: Compute, follow: Callable[..., None], *arguments: Any) -> Iterator[Compute]:
    """``compute`` as the first process of the group with one process per worker; unchanged for fewer than two.

    This process takes the part of one worker. Each of the others calls ``follow(its own compute, *arguments)``, which
    ends with the block, by a lost connection. All have as many threads as a worker; on CUDA each has its own
    device.

    Raises
    ------
    LostWorker
        If a worker was killed. An error in a worker is raised here unchanged.
    ValueError
        If there are fewer CUDA devices on a machine than processes, or workers are threads of one process.
    """
    workers = compute.workers
    if workers is None or len(workers) == 1:
        yield compute
        return
    size = len(workers)
    seats = [_describe_seat(), *workers.results(workers.start(_describe_seat, [()] * (size - 1)))]
    devices = _assign_devices(compute.device, seats)
    own = [
        replace(
            compute,
            device=device,
            memory=int(compute.memory_per_worker),
            workers=None,
            process_group=ProcessGroup(rank, size),
        )
        for rank, device in enumerate(devices)
    ]
    workers.leave_signals()
    host = workers.find_own_address()
    store = dist.TCPStore(host, 0, is_master=True, wait_for_workers=False)
    followers = workers.start(_join, [[host, store.port, each, follow, *arguments] for each in own[1:]], pinned=True)
    try:
        _await(store, own[1:], lambda: workers.find_error(followers, _GLANCE))
        with workers.same_threads(), _connect(store, own[0]):
            yield replace(compute, device=devices[0], process_group=own[0].process_group)
    except LostWorker:
        error = workers.find_error(followers, _PATIENCE)
        if error is not None:
            raise error from None
        raise
    workers.find_error(followers, _PATIENCE)


def _join(host: str, port: int, compute: Compute, follow: Callable[..., None], *arguments: Any) -> None:
    """In a worker: follow the first process until it is gone."""
    store = dist.TCPStore(host, port)
    store.set(_here(compute), "")
    with _connect(store, compute):
        try:
            follow(compute, *arguments)
        except LostWorker:  # the usual end; if another worker failed, that one reports it
            return


def _await(store: dist.Store, others: Sequence[Compute], find_error: Callable[[], BaseException | None]) -> None:
    """Wait until all others are about to connect: one that has already failed would be waited for in vain."""
    end = time.monotonic() + _JOINING
    while not store.check([_here(each) for each in others]):
        error = find_error()
        if error is not None:
            raise error
        if time.monotonic() > end:
            raise LostWorker(f"a worker did not join within {_JOINING:.0f} s: check the logs of the workers.")


def _here(compute: Compute) -> str:
    assert compute.process_group is not None
    return f"here-{compute.process_group.rank}"


@contextmanager
def _connect(store: dist.Store, compute: Compute) -> Iterator[None]:
    """The processes as the default group of torch.distributed: sums of tensors on CUDA by NCCL, all else by Gloo."""
    if dist.is_initialized():
        raise ValueError("torch.distributed is already in use in this process: leave --workers and --scheduler out.")
    backend = "cpu:gloo,cuda:nccl" if compute.device.startswith("cuda") else "gloo"
    # Imported later, as by PyTorch's optimisers, its functions would hold the group and keep its connections open.
    import torch.distributed.nn  # noqa: F401

    with _connected():
        dist.init_process_group(
            backend, store=store, rank=compute.process_group.rank, world_size=compute.process_group.size
        )
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def _connected() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostWorker(
            "a worker process ended in the middle of a step, possibly killed for lack of memory. The same command "
            "resumes from the last kept state."
        ) from error


def _describe_seat() -> tuple[str, int, int]:
    """Machine, process and number of CUDA devices."""
    return socket.gethostname(), os.getpid(), torch.cuda.device_count()


def _assign_devices(device: str, seats: Sequence[tuple[str, int, int]]) -> list[str]:
    """A device for every process: the processes of a machine take its CUDA devices in order."""
    if len(set(seats)) < len(seats):
        raise ValueError(f"{len(seats)} workers are in one process: for training each must be a separate process.")
    if not device.startswith("cuda"):
        return [device] * len(seats)
    found = []
    for number, (host, _, n_devices) in enumerate(seats):
        index = sum(each[0] == host for each in seats[:number])
        if index >= n_devices:
            n_here = sum(each[0] == host for each in seats)
            way_out = f"start no more there: --workers {n_devices}" if n_devices else "train with --device cpu"
            raise ValueError(
                f"{n_here} processes on {host} need one CUDA device each, and it has {n_devices}: {way_out}."
            )
        found.append(f"cuda:{index}")
    return found


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.detach().clone()
        with _connected():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient
