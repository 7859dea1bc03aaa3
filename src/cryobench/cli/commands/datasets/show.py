"""``cryobench show``: what a data set is."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from cryobench.cli.options import Dataset


def show(
    dataset: Dataset,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Folder of a page with the same and more: its card.")
    ] = None,
) -> None:
    """Say what a data set is: particles, CTF, SNR, states, truth, files, and the command that makes it again.

    With **-o** also as a page that opens from disk: states in 3D, particles, distributions, spectra, tables, figures.
    Example: **cryobench show antibody -o card**
    """
    from cryobench.cli.show import print_summary
    from cryobench.io.store import load_dataset

    loaded = load_dataset(dataset)
    print_summary(loaded)
    if output is not None:
        from cryobench.cli.progress import Bars
        from cryobench.report.pages.card import write_card

        page = write_card(loaded, output, progress=Bars())
        typer.echo(f"\n-> {page}")
