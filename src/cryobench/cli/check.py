"""``cryobench check``: the conventions of a data set against its images."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cryobench.check import ConventionCheck
    from cryobench.data import Dataset

FAULTS = 3
"""Exit status where conventions do not agree with the images."""
_QUICK = 1000
"""Particles that are looked at when a data set is made."""
_WORDS = {"holds": "HOLDS", "rejected": "rejected", "open": "not decidable", "same": "no difference"}


def check(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    particles: Annotated[
        int, typer.Option(min=200, help="How many particles are looked at, evenly through the table.")
    ] = 5000,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, for other programs.")] = False,
) -> None:
    """Does a data set agree with itself? Its conventions are tried on its images; nothing is changed.

    Half of the particles are back-projected and must predict the other half. Wrong contrast, transposed rotations,
    shifts of another sign or unit, mirrored or displaced images, rows out of order, CTFs that are not those of the
    images, labels that are not: each is tried, and said if the images are predicted better by it. What these images
    cannot tell, such as the hand, is said too. The result is kept in DATASET/check.json.

    Exit status: 0 if nothing is wrong, 3 if something is.

    Examples:

    **cryobench check mine**

    **cryobench adopt J42/particles.cs -o mended --mend shifts-negated**, for what was found
    """
    from cryobench.check import check_conventions, describe_check, keep_check
    from cryobench.cli.progress import Bars
    from cryobench.io.store import load_dataset

    loaded = load_dataset(dataset)
    found = check_conventions(loaded, n_particles=particles, progress=None if as_json else Bars())
    keep_check(found, dataset)
    if as_json:
        typer.echo(json.dumps(describe_check(found), indent=2))
    else:
        print_check(found)
    if found.faults:
        raise typer.Exit(FAULTS)


def warn_at_once(dataset: "Dataset") -> None:
    """Try the conventions of a new data set on a few of its images, and say what is wrong; once for a data set."""
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
    """A table of what was tried, what cannot be known, the faults and their way out, and one sentence."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if found.trials:
        table = Table(box=None, pad_edge=False)
        table.add_column("reading")
        table.add_column("gain / nats an image", justify="right")
        table.add_column("verdict")
        for trial in sorted(found.trials, key=lambda trial: -trial.gain):
            gain = "-" if trial.verdict == "same" else f"{trial.gain:+.3g} ± {trial.error:.1g}"
            table.add_row(trial.name, gain, _WORDS[trial.verdict])
        console.print(table, highlight=False, markup=False)
    for sentence in found.unknown:
        console.print(sentence, highlight=False, markup=False)
    for fault in found.faults:
        console.print(f"WRONG: {fault.says} ({fault.evidence}).", style="bold", highlight=False, markup=False)
        console.print(f"       Way out: {fault.way_out}.", highlight=False, markup=False)
    console.print(found.conclusion, style="bold", highlight=False, markup=False)
