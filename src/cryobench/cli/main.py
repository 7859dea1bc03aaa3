"""The command line: parse, call, print. Nothing heavy is imported until a command runs.

Exit status: 0 done, 1 internal error, 2 invalid input (each with one message; ``--traceback`` shows more), 3
conventions that disagree with the images (``check``), 130 interrupted from the keyboard. ``reproduce`` also exits
with 1, if the results differ.
"""

import os
import sys
from typing import Annotated

import typer

from cryobench.cli.commands import demo, listing
from cryobench.cli.commands.datasets import adopt, check, download, show, simulate, sweep, verify
from cryobench.cli.commands.runs import export, imports, report, reproduce, run, score, series, volumes
from cryobench.cli.values import spread_values

app = typer.Typer(
    name="cryobench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Simulate, reconstruct and score heterogeneous cryo-EM data with known truth.\n\n"
        "Start with **cryobench demo**: it runs the complete workflow on a small data set, in a minute or two, and "
        "writes a page of results. The same step by step:\n\n"
        "    cryobench simulate igg-1d -o antibody --preset lite\n\n"
        "    cryobench run 3d-class antibody -o runs/3d-class\n\n"
        "    cryobench run consensus antibody -o runs/consensus\n\n"
        "    cryobench score runs/*\n\n"
        "    cryobench report runs/* -o page\n\n"
        "Add **--traceback** to any command for the full Python traceback."
    ),
)


def _print_version(asked: bool) -> None:
    if asked:
        from cryobench import __version__

        typer.echo(f"cryobench {__version__}")
        raise typer.Exit


@app.callback()
def start(
    asked: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of the program itself."""


COMMANDS = {
    "Start": {"demo": demo.demo, "list": listing.list_},
    "Data sets": {
        "simulate": simulate.simulate,
        "sweep": sweep.sweep,
        "adopt": adopt.adopt,
        "download": download.download,
        "verify": verify.verify,
        "show": show.show,
        "check": check.check,
    },
    "Runs": {
        "import": imports.import_,
        "run": run.run,
        "reproduce": reproduce.reproduce,
        "volumes": volumes.volumes,
        "series": series.series,
        "export": export.export,
        "score": score.score,
        "report": report.report,
    },
}
"""By panel of ``--help``, in its order."""

for _panel, _commands in COMMANDS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_command)


def run_cli() -> None:
    """Entry point: an error is one message; ``--traceback`` shows its origin.

    Exit status 2 for errors that the user can correct, 1 for a fault of this program or of a package that extends it.
    """
    # Idle threads sleep instead of spinning, which would take cores from working ones.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # PyTorch's large arrays in large pages: for volumes of 256 px the system needs more time to find small ones than
    # is needed to compute their contents.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    arguments = [argument for argument in sys.argv[1:] if argument != "--traceback"]
    shows_traceback = len(arguments) < len(sys.argv) - 1
    try:
        app(spread_values(arguments))
    except SystemExit as stop:
        if stop.code == 130:  # Ctrl-C, which typer has already turned into an exit
            typer.secho("interrupted; the same command resumes.", err=True)
        raise
    except (ValueError, OSError, ImportError) as error:
        if shows_traceback:
            raise
        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(2)
    except Exception as error:
        if shows_traceback:
            raise
        if _is_out_of_memory(error):
            typer.secho(
                f"error: the machine has no memory left ({error}). A smaller --memory makes the plan smaller where a "
                "command has that option; other programs may be using the rest. Finished work is kept.",
                err=True,
                fg="red",
            )
            sys.exit(2)
        typer.secho(
            f"error: {type(error).__name__}: {error}\nThis is a fault of cryobench or of a package that extends it; "
            "the same command with --traceback shows where. Finished work is kept.",
            err=True,
            fg="red",
        )
        sys.exit(1)


def _is_out_of_memory(error: Exception) -> bool:
    """Of NumPy's, of PyTorch's on the CPU, or of CUDA's allocator; by name, since PyTorch may not be loaded."""
    named = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or named
