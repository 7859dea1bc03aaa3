"""``cryobench reproduce``: repeat a run from its record."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli import machine_options as machine
from cryobench.cli.options import DatasetFolder, RunFolder


def reproduce(
    run_folder: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the repeated run.")],
    dataset: DatasetFolder = None,
    mask: Annotated[Path | None, typer.Option(metavar="FILE", help="The run's mask, if it was given one.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or auto; default: that of the run.", rich_help_panel="Machine")
    ] = None,
    memory: machine.Memory = None,
) -> None:
    """Repeat a finished run from its record alone, and print how closely the two agree.

    Settings, seed, priors and precision come from the record. Exit status 1 if the results differ by more than
    rounding.

    Example: **cryobench reproduce runs/recovar -o again**
    """
    from cryobench.cli.progress import Bars
    from cryobench.runs.reproduce import reproduce as make_again

    chosen = {} if device is None else {"device": device}
    result, compared = make_again(
        run_folder, output, dataset=dataset, mask=mask, progress=Bars(), memory=memory, **chosen
    )
    typer.echo("\n".join([f"{result.name}: {run_folder} repeated -> {output}", *compared.describe()]))
    if not compared.agrees:
        typer.secho("the results differ by more than rounding.", err=True, fg="red")
        raise typer.Exit(1)
