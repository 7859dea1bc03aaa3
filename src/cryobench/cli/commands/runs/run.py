"""``cryobench run``: one method on one data set, and in a few lines what came of it."""

from pathlib import Path
from typing import Annotated, Any, Optional, cast

import typer

from cryobench.cli import machine
from cryobench.cli.check import warn_of_faults
from cryobench.cli.options import Dataset, Seed, Set
from cryobench.cli.values import parse_settings


def run(
    method: Annotated[str, typer.Argument(help="Name of a method or control: see 'cryobench list methods'.")],
    dataset: Dataset,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    preset: Annotated[
        str,
        typer.Option(
            help="paper: the benchmark's settings for this method and data set; laptop: what two cores finish in "
            "minutes. Both are shown by 'cryobench list methods NAME'."
        ),
    ] = "paper",
    set_: Set = None,
    mask: Annotated[
        Optional[str],
        typer.Option(
            metavar="FILE",
            help="Where the molecule can be (.mrc, 0 to 1), instead of the data set's mask; or none. Methods that "
            "estimate poses get none by themselves. On record as a prior.",
        ),
    ] = None,
    more_epochs: Annotated[
        Optional[int],
        typer.Option(
            metavar="N",
            help="Go on by N epochs from the finished run of this command, as if it had asked for as many at once; "
            "of methods that train. The old result stays until the new one is whole. Interrupted, the same command "
            "goes on.",
        ),
    ] = None,
    seed: Seed = 0,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Reconstruct a data set with a method. Repeating the command after an interruption goes on where it stopped.

    Examples:

    **cryobench run 3d-class antibody -o runs/3d-class --set n_classes=20**

    **cryobench run recovar antibody -o runs/recovar --preset laptop --memory 8GB**

    **cryobench run cryodrgn antibody -o runs/cryodrgn --preset laptop --more-epochs 5**  on from the finished run
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
        precision=cast(Any, precision),  # what it may be is checked there
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
        typer.echo(f"{state} ({size}) is what --more-epochs goes on from; nothing else needs it.")
