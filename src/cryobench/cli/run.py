"""``cryobench run``: one method on one data set, and in a few lines what came of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from cryobench.cli.progress import Bars
from cryobench.experiment import run
from cryobench.io.store import load_dataset


def run_and_tell(
    method: str,
    dataset: Path,
    output: Path,
    seed: int,
    *,
    settings: Mapping[str, Any],
    device: str,
    workers: int,
    scheduler: str | None,
) -> None:
    """Run as ``experiment.run``; prints what the method has to say to its user, and the cost."""
    result = run(
        method,
        load_dataset(dataset),
        output,
        seed=seed,
        settings=settings,
        device=device,
        workers=workers,
        scheduler=scheduler,
        progress=Bars(),
    )
    record = result.record
    for note in record.get("notes", []):
        typer.echo(f"note: {note}")
    typer.echo(
        f"{result.name}: {record['wall_seconds']:.1f} s, {record['peak_memory_bytes'] / 2**30:.2f} GiB -> {output}"
    )
