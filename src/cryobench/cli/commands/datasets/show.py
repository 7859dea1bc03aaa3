"""``cryobench show``: summary and card of a data set."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli.options import Dataset


def show(
    dataset: Dataset,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the data set's card, a page with more detail.")
    ] = None,
) -> None:
    """Describe a data set: particles, CTF, SNR, states, truth, files, and the command to make it again.

    With **-o**, also write a page that opens from disk: states in 3D, particles, distributions, spectra, figures.
    Example: **cryobench show antibody -o card**
    """
    from cryobench.cli.dataset_summary import print_summary
    from cryobench.io.store import load_dataset

    loaded = load_dataset(dataset)
    print_summary(loaded)
    if output is not None:
        from cryobench.cli.progress import Bars
        from cryobench.report.pages.card import write_card

        page = write_card(loaded, output, progress=Bars())
        typer.echo(f"\n-> {page}")
