"""``cryobench verify``: whether a data set is unchanged."""

import typer

from cryobench.cli.options import Dataset


def verify(dataset: Dataset) -> None:
    """Compare every byte of a data set with its card, or of a downloaded one with the checksums that came with it."""
    from cryobench.cli.progress import Bars
    from cryobench.io.store import verify_dataset

    verify_dataset(dataset, progress=Bars())
    typer.echo(f"{dataset} is unchanged.")
