"""Commands on several runs: an unfinished, damaged or busy one does not stop the others."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import typer

Result = TypeVar("Result")


def each_run(runs: list[Path], act: Callable[[Path], Result]) -> tuple[dict[Path, Result], list[Exception]]:
    """Results of ``act`` by run, and the errors of unfinished, damaged or busy runs, which do not stop others."""
    from cryobench._errors import FormatError
    from cryobench.io.lock import FolderBusy

    results: dict[Path, Result] = {}
    refused: list[Exception] = []
    for folder in runs:
        try:
            results[folder] = act(folder)
        except (FormatError, FolderBusy) as error:
            refused.append(error)
    return results, refused


def tell_refused(what: str, refused: list[Exception]) -> None:
    """Print why runs were left out, and exit with status 2 if any was."""
    for error in refused:
        typer.secho(f"{what}: {error}", err=True, fg="red")
    if refused:
        raise typer.Exit(2)
