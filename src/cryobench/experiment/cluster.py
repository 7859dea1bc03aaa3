"""Dask workers for a run: none, a local cluster that lasts as long as the run, or somebody's scheduler."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryobench.methods import Method
from cryobench.methods.method import Workers

_PATIENCE = 10.0
"""Seconds that a scheduler may take to answer."""


def check_spread(method: type[Method], workers: int, scheduler: str | None) -> None:
    """ValueError if more than this process is asked for and the method cannot use it, or in two ways at once."""
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}.")
    if workers > 1 and scheduler is not None:
        raise ValueError(
            f"{workers} local workers and the scheduler {scheduler} were asked for: the scheduler brings workers of "
            "its own, so give one of the two."
        )
    if (workers > 1 or scheduler is not None) and not method.spreads:
        raise ValueError(
            f"{method.name} does not spread its particles over workers: run it without workers or scheduler."
        )


@contextmanager
def open_workers(workers: int, scheduler: str | None) -> Iterator[Workers | None]:
    """A Dask client of ``workers`` local processes of one thread, or of a scheduler; None for this process alone.

    What was started here is ended here, also after an interruption. OSError if no scheduler answers.
    """
    if workers == 1 and scheduler is None:
        yield None
        return
    from dask.distributed import Client, LocalCluster  # a second, which most runs need not wait for

    if scheduler is not None:
        try:
            client: Any = Client(scheduler, timeout=_PATIENCE)
        except (OSError, ValueError) as error:
            raise OSError(f"no Dask scheduler answers at {scheduler!r}: {error}.") from error
        with client:
            yield client
        return
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=":0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,  # an interruption is told by the command line, once
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
