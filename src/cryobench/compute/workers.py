"""Worker processes: the only module that uses Dask.

A local cluster for the duration of a block, or an existing scheduler. Work is functions at module level, called with
picklable arguments; a worker's result may be kept there and referred to in later calls. Tensors are sent as the
memory that they lie in: pickled as PyTorch does it, they were copied five times on their way.
"""

from __future__ import annotations

import io
import logging
import pickle
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, SupportsIndex

import cloudpickle
import numpy as np

from cryobench._errors import CryobenchError

_PATIENCE = 10.0
"""Seconds within which a scheduler must answer."""
_RARE_LOOKS = {
    "distributed.admin.tick.interval": "2s",
    "distributed.admin.tick.limit": "1h",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.profile.enabled": False,
}
"""Interval at which a local cluster samples itself for dashboards: at the default two idle workers took 1/12 core."""
_ENVIRONMENT = {
    "distributed.nanny.pre-spawn-environ": {f"{each}_NUM_THREADS": 1 for each in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
}
"""Of local workers. Dask's own also returns memory to the system at once, which cost a fifth of their time."""


class LostWorker(CryobenchError, OSError):
    """A worker process ended in the middle of its work."""


class Workers:
    """Processes that compute, accessed through a Dask client. ValueError if the scheduler has none."""

    def __init__(self, client: Any) -> None:
        self._client = client
        found = client.scheduler_info(n_workers=-1)["workers"]
        if not found:
            raise ValueError("the Dask scheduler has no workers: start some, or run without a scheduler.")
        self._addresses = [(address, int(found[address]["nthreads"])) for address in sorted(found)]

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def n_threads(self) -> int:
        """Threads of a worker; of the one that has most, if they differ."""
        return max(threads for _, threads in self._addresses)

    def start(
        self, function: Callable[..., Any], calls: Sequence[Sequence[Any]], *, pinned: bool = False
    ) -> list[Any]:
        """Handles of ``function(*call)``, the first call on the first worker and so on; at most one each.

        A result stays on its worker, for later calls to use by its handle. If a worker is lost, another one computes
        its result again, unless calls are ``pinned``.
        """
        options = {"allow_other_workers": not pinned, "pure": False}
        with warnings.catch_warnings():
            # Arguments of a call are part of it, however large, so that it can be repeated.
            warnings.filterwarnings("ignore", message="Sending large graph")
            return [
                self._client.submit(_call, threads, function, *call, workers=[address], **options)
                for (address, threads), call in zip(self._addresses, calls, strict=False)
            ]

    def find_error(self, handles: Sequence[Any], seconds: float) -> BaseException | None:
        """First error among calls, once all have ended or the time is over; None if there is none by then."""
        from dask.distributed import wait

        with suppress(TimeoutError):
            wait(list(handles), timeout=seconds)
        return next((each.exception() for each in handles if each.status == "error"), None)

    def find_own_address(self) -> str:
        """Address of this machine, as seen by the workers."""
        from distributed.comm import get_address_host
        from distributed.utils import get_ip

        return str(get_ip(get_address_host(self._client.scheduler.address)))

    def leave_signals(self) -> None:
        """Let workers started here ignore signals, which a terminal sends to all its processes."""
        if self._client.cluster is not None:
            self._client.run(_ignore_signals)

    @contextmanager
    def same_threads(self) -> Iterator[None]:
        """This process on as many threads as a worker, within the block."""
        import torch

        former = torch.get_num_threads()
        torch.set_num_threads(min(threads for _, threads in self._addresses))
        try:
            yield
        finally:
            torch.set_num_threads(former)

    def broadcast(self, values: Sequence[Any]) -> list[Any]:
        """Handles of values sent to every worker."""
        return self._client.scatter(list(map(_Parcel, values)), broadcast=True, hash=False) if values else []

    def results(self, handles: Sequence[Any]) -> list[Any]:
        """Results, in the order of the handles; the first error is raised. LostWorker as ``map_unordered``."""
        with _explain_death():
            return [parcel.value for parcel in self._client.gather(list(handles))]

    def map_unordered(self, function: Callable[..., Any], shared: Any, items: Sequence[Any]) -> Iterator[Any]:
        """Results of ``function(shared, item)`` for all items, as they are finished, one per thread at a time.

        Each runs on one thread, as a worker of several threads takes as many items. LostWorker if several workers in
        turn ended at the same item.
        """
        from dask.distributed import as_completed

        (sent,) = self.broadcast([shared])
        futures = [self._client.submit(_call, 1, function, sent, item, pure=False) for item in items]
        for future in as_completed(futures):
            with _explain_death():
                yield future.result().value
            future.release()


def check_workers(workers: int, scheduler: str | None) -> None:
    """ValueError if there is less than one worker, or both local ones and a scheduler are given."""
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}.")
    if workers > 1 and scheduler is not None:
        raise ValueError(
            f"{workers} local workers and the scheduler {scheduler} were both given: a scheduler has its own "
            "workers, so give only one of --workers and --scheduler."
        )


@contextmanager
def open_workers(workers: int = 1, scheduler: str | None = None) -> Iterator[Workers | None]:
    """``workers`` local processes of one thread, or those of a scheduler; None for this process alone.

    Workers started here are ended here, also after an interruption.

    Raises
    ------
    ValueError
        As ``check_workers``, or if the scheduler has no workers.
    OSError
        If no scheduler answers.
    """
    check_workers(workers, scheduler)
    if workers == 1 and scheduler is None:
        yield None
        return
    import dask.config
    from dask.distributed import Client, LocalCluster  # takes a second, which most runs need not wait for

    if scheduler is not None:
        try:
            client: Any = Client(scheduler, timeout=_PATIENCE)
        except (OSError, ValueError) as error:
            raise OSError(f"no Dask scheduler answers at {scheduler!r}: {error}.") from error
        with client:
            yield Workers(client)
        return
    with (
        dask.config.set(_RARE_LOOKS | _ENVIRONMENT),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=":0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,  # an interruption is reported by the command line, once
        ) as cluster,
        Client(cluster, direct_to_workers=True) as client,
    ):
        yield Workers(client)


@contextmanager
def _explain_death() -> Iterator[None]:
    from dask.distributed import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise LostWorker(
            "worker processes ended again and again at the same task, possibly killed for lack of memory: fewer "
            "workers need less. The same command resumes."
        ) from error


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class _Parcel:
    """A value on its way to another process, or kept for later calls."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        stream, buffers = io.BytesIO(), []
        _Pickler(stream, 5, buffer_callback=buffers.append).dump(self.value)
        return _open_parcel, (stream.getvalue(), *buffers)


class _Pickler(cloudpickle.Pickler):
    """Tensors as arrays, whose memory the comms of Dask take as it is; classes of a script or notebook by value."""

    def reducer_override(self, obj: Any) -> Any:
        import torch

        if type(obj) is torch.Tensor:
            # Of another device, with a gradient, or of a type that NumPy has not: as PyTorch does it.
            with suppress(TypeError, RuntimeError):
                return _as_tensor, (obj.resolve_conj().resolve_neg().numpy(),)
        return super().reducer_override(obj)


def _as_tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _open_parcel(stream: bytes, *buffers: Any) -> _Parcel:
    return _Parcel(pickle.loads(stream, buffers=buffers))


def _call(threads: int, function: Callable[..., Any], *arguments: Any) -> _Parcel:
    """Call it with no more threads than the worker was given, since others use its machine too."""
    import torch

    torch.set_num_threads(threads)
    return _Parcel(function(*(each.value if isinstance(each, _Parcel) else each for each in arguments)))
