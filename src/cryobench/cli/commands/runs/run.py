"""``cryobench run``: run one method on one data set."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from cryobench.cli import machine_options as machine
from cryobench.cli.convention_warnings import warn_of_faults
from cryobench.cli.options import Dataset, Set
from cryobench.cli.values import parse_settings


def run(
    method: Annotated[str, typer.Argument(help="Name of a method or control: see 'cryobench list methods'.")],
    dataset: Dataset,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    preset: Annotated[
        str,
        typer.Option(
            help="paper: the benchmark's settings for this method and data set; laptop: minutes on two cores. "
            "Both are shown by 'cryobench list methods NAME'."
        ),
    ] = "paper",
    set_: Set = None,
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Mask (.mrc, values 0 to 1) to use instead of the data set's; 'none' for no mask, the default of "
            "methods that estimate poses. The run's record lists it as prior knowledge.",
        ),
    ] = None,
    more_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Train the finished run of this command for N further epochs, equivalent to one longer run. The old "
            "result is kept until the new one is complete. If interrupted, the same command resumes.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="Seed of all random draws. The same seed reproduces a run to within rounding error."
        ),
    ] = 0,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Reconstruct a data set with a method. If interrupted, the same command resumes.

    Examples:

    **cryobench run 3d-class antibody -o runs/3d-class --set n_classes=20**

    **cryobench run recovar antibody -o runs/recovar --preset laptop --memory 8GB**

    **cryobench run cryodrgn antibody -o runs/cryodrgn --preset laptop --more-epochs 5**   # continue the finished run
    """
    from cryobench.cli.progress import Bars
    from cryobench.compute.memory import format_bytes
    from cryobench.io.store import TRAINING, load_dataset
    from cryobench.runs.run import run as run_method

    warn_of_faults(dataset)
    result = run_method(
        method,
        load_dataset(dataset),
        output,
        seed=seed,
        preset=preset,
        settings=parse_settings(set_),
        mask=mask,
        more_epochs=more_epochs,
        device=device,
        precision=cast(Any, precision),  # validated there
        memory=memory,
        workers=workers,
        scheduler=scheduler,
        progress=Bars(),
    )
    for note in result.notes:
        typer.echo(f"note: {note}")
    cost = result.record.cost
    parts = [f"{cost.wall_seconds or 0:.1f} s", f"{(cost.peak_memory_bytes or 0) / 2**30:.2f} GiB"]
    if cost.attempts > 1:
        parts.append(f"{cost.attempts} attempts")
    typer.echo(f"{result.name}: {', '.join(parts)} -> {output}")
    if (state := output / TRAINING).is_dir():
        size = format_bytes(sum(path.stat().st_size for path in state.iterdir()))
        typer.echo(f"{state} ({size}) is needed only by --more-epochs.")
