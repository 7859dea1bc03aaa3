"""Options of the machine, the same for every command that computes: device, precision, memory, workers, scheduler."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cryobench.reconstruction.engine import RunContext

_PANEL = "Machine"

Device = Annotated[
    str, typer.Option(help="cpu, cuda or auto: cuda if PyTorch finds a device, else cpu.", rich_help_panel=_PANEL)
]
Precision = Annotated[
    str,
    typer.Option(
        help="Matrix products: float32, bfloat16 or auto (in 'run' the method's default, if the device supports "
        "it; otherwise float32).",
        rich_help_panel=_PANEL,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="AMOUNT",
        help="Memory limit, such as 8GB; default: 70 % of the memory available to this process. "
        "Results do not depend on it, so an interrupted run can resume with a different limit.",
        rich_help_panel=_PANEL,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        help="1: this process, with all its threads; more: single-threaded Dask worker processes that divide the "
        "particles or, in training, the images of each step (on CUDA with one device each).",
        rich_help_panel=_PANEL,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Use the workers of this Dask scheduler instead.", rich_help_panel=_PANEL),
]


@contextmanager
def open_context(
    device: str, precision: Any, memory: str | None, workers: int, scheduler: str | None
) -> "Iterator[RunContext]":
    """Run context with progress bars, on the requested machine."""
    from cryobench.cli.progress import Bars
    from cryobench.compute import open_compute
    from cryobench.reconstruction.engine import RunContext

    with open_compute(
        device=device, precision=precision, memory=memory, workers=workers, scheduler=scheduler
    ) as compute:
        yield RunContext(compute=compute, progress=Bars())
