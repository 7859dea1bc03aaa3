"""Options of the machine, the same for every command that computes: device, precision, memory, workers, scheduler."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

if TYPE_CHECKING:
    from cryobench.reconstruction.engine import RunContext

_PANEL = "Machine"

Device = Annotated[str, typer.Option(help="cpu, cuda or auto.", rich_help_panel=_PANEL)]
Precision = Annotated[
    str, typer.Option(help="Of matrix products: float32, bfloat16 or auto (the method's).", rich_help_panel=_PANEL)
]
Memory = Annotated[
    Optional[str],
    typer.Option(
        metavar="AMOUNT",
        help="Memory that may be used, such as 8GB; default: 70 % of what this process may use. It changes speed "
        "alone: an interrupted run may go on with less.",
        rich_help_panel=_PANEL,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        help="1: in this process on all its threads; more: Dask worker processes of one thread, which divide the "
        "particles; to train a network, the images of each step (on CUDA with a device each).",
        rich_help_panel=_PANEL,
    ),
]
Scheduler = Annotated[
    Optional[str],
    typer.Option(
        metavar="ADDRESS", help="Dask scheduler over whose workers work is spread, instead.", rich_help_panel=_PANEL
    ),
]


@contextmanager
def open_context(
    device: str, precision: Any, memory: str | None, workers: int, scheduler: str | None
) -> "Iterator[RunContext]":
    """A context with progress bars, on the machine that the options ask for."""
    from cryobench.cli.progress import Bars
    from cryobench.compute import open_compute
    from cryobench.reconstruction.engine import RunContext

    with open_compute(
        device=device, precision=precision, memory=memory, workers=workers, scheduler=scheduler
    ) as compute:
        yield RunContext(compute=compute, progress=Bars())
