"""Warnings on the conventions of a data set, and the table of a check, as printed by commands."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cryobench.check import ConventionCheck
    from cryobench.data import Dataset

_QUICK = 1000
"""Particles checked when a data set is made."""


def warn_of_faults(dataset: Path | None) -> None:
    """Repeat the open faults of a data set's convention check."""
    from cryobench.check import read_open_faults

    for sentence in read_open_faults(dataset):
        typer.echo(f"warning: {dataset} does not agree with its images: {sentence}", err=True)


def warn_at_once(dataset: "Dataset") -> None:
    """Check the conventions of a new data set on a few of its images, once per data set, and print its faults."""
    from cryobench.check import LEAST_PARTICLES, check_conventions, has_check, keep_check, read_open_faults
    from cryobench.cli.progress import Bars

    assert dataset.path is not None
    if len(dataset.particles) < LEAST_PARTICLES:
        return
    if not has_check(dataset.path):
        keep_check(check_conventions(dataset, n_particles=_QUICK, quick=True, progress=Bars()), dataset.path)
    for sentence in read_open_faults(dataset.path):
        typer.echo(f"WRONG: {sentence} See 'cryobench check {dataset.path}'.")


def print_check(found: "ConventionCheck") -> None:
    """Print a table of the readings tried, the undecidable ones, faults with their way out, and the conclusion."""
    from rich.console import Console

    from cryobench.check import VERDICTS
    from cryobench.cli.layout import plain_table

    console = Console()
    if found.trials:
        table = plain_table("reading", "gain / nats per image", "verdict")
        table.columns[1].justify = "right"
        for trial in sorted(found.trials, key=lambda trial: -trial.gain):
            gain = "-" if trial.verdict == "same" else f"{trial.gain:+.3g} ± {trial.error:.1g}"
            table.add_row(trial.name, gain, VERDICTS[trial.verdict])
        console.print(table, highlight=False, markup=False)
    for sentence in (*found.notes, *found.unknown):
        console.print(sentence, highlight=False, markup=False)
    bold = {"style": "bold", "highlight": False, "markup": False}
    for fault in found.faults:
        console.print(f"WRONG: {fault.says} ({fault.evidence}).", **bold)
        console.print(f"       Way out: {fault.way_out}.", highlight=False, markup=False)
    console.print(found.conclusion, **bold)
