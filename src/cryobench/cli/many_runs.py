"""Commands on several runs: one that cannot be used does not stop the others."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import typer

Result = TypeVar("Result")


def each_run(
    runs: list[Path], act: Callable[[Path], Result]
) -> tuple[dict[Path, Result], dict[Path, ValueError | OSError]]:
    """Results of ``act`` by run, and the errors of runs that it refuses, which stop no other."""
    results: dict[Path, Result] = {}
    refused: dict[Path, ValueError | OSError] = {}
    for folder in runs:
        try:
            results[folder] = act(folder)
        except (ValueError, OSError) as error:
            refused[folder] = error
    return results, refused


def tell_refused(what: str, refused: dict[Path, ValueError | OSError]) -> None:
    """Print why runs were left out, an error common to several once, and exit with status 2 if any was."""
    folders: dict[str, list[Path]] = {}
    for folder, error in refused.items():
        folders.setdefault(str(error), []).append(folder)
    for message, concerned in folders.items():
        unnamed = ", ".join(str(folder) for folder in concerned if str(folder) not in message)
        typer.secho(f"{what}: {f'{unnamed}: ' if unnamed else ''}{message}", err=True, fg="red")
    if refused:
        raise typer.Exit(2)
