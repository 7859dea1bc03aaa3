"""``cryobench run``: one method on one data set, and in a few lines what came of it."""

from pathlib import Path
from typing import Any

import typer

from cryobench.check import read_open_faults
from cryobench.cli.progress import Bars
from cryobench.compute.memory import format_bytes
from cryobench.experiment import run
from cryobench.io.store import TRAINING, load_dataset


def warn_of_faults(dataset: Path | None) -> None:
    """Repeat what a check found wrong with a data set, as long as it stands."""
    for sentence in read_open_faults(dataset):
        typer.echo(f"warning: {dataset} does not agree with its images: {sentence}", err=True)


def run_command(method: str, dataset: Path, output: Path, **options: Any) -> None:
    """Run as ``experiment.run``; prints what the method has to say to its user, and the cost."""
    warn_of_faults(dataset)
    result = run(method, load_dataset(dataset), output, progress=Bars(), **options)
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
