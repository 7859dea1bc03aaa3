"""``cryobench verify``: check that a data set is unchanged."""

import typer

from cryobench.cli.options import Dataset


def verify(dataset: Dataset) -> None:
    """Compare all files of a data set with the checksums on its card, or with those supplied by the download."""
    from cryobench.cli.progress import Bars
    from cryobench.io.store import verify_dataset

    verify_dataset(dataset, progress=Bars())
    typer.echo(f"{dataset} is unchanged.")
