"""``cryobench export``: a run in the format of another program."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli.options import DatasetFolder, RunFolder


def export(
    run_folder: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the files.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="cryodrgn: for its eval_vol, analyze and dashboard.")],
    dataset: DatasetFolder = None,
) -> None:
    """Write a finished run in the format of another program, and print how to use it there.

    Example: **cryobench export runs/cryodrgn --to cryodrgn -o for-cryodrgn**
    """
    from cryobench.runs.exports import export_run

    lines = export_run(run_folder, output, to=to, dataset=dataset)
    typer.echo("\n".join([f"{run_folder} -> {output}", *lines]))
