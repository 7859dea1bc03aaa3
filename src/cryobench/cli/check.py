"""``cryobench check``: the conventions of a data set against its images."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from cryobench.check import ConventionCheck
    from cryobench.data import Dataset, Particles, VolumeSource

FAULTS = 3
"""Exit status where conventions do not agree with the images."""
_QUICK = 1000
"""Particles that are looked at when a data set is made."""


def check(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    particles: Annotated[
        int, typer.Option(min=200, help="How many particles are looked at, evenly through the table.")
    ] = 5000,
    references: Annotated[
        Optional[Path],
        typer.Option(
            help="Map, or folder of maps, of known hand and contrast, to compare with. Default: true volumes."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, for other programs.")] = False,
) -> None:
    """Does a data set agree with itself? Its conventions are tried on its images; nothing is changed.

    Half of the particles are back-projected and must predict the other half. Wrong contrast, transposed rotations,
    shifts of another sign or unit, mirrored or displaced images, rows out of order, CTFs that are not those of the
    images, labels that are not: each is tried, and said if the images are predicted better by it. What these images
    cannot tell is said too, with what it would take; the hand is told by maps of known hand alone. The result is kept
    in DATASET/check.json, with the half-maps it rests on, and shown on the data set's page.

    Exit status: 0 if nothing is wrong, 3 if something is.

    Examples:

    **cryobench check mine**

    **cryobench adopt J42/particles.cs -o mended --mend shifts-negated**, for what was found
    """
    from cryobench.check import check_conventions, describe_check, keep_check
    from cryobench.cli.progress import Bars
    from cryobench.io.store import load_dataset

    loaded = load_dataset(dataset)
    found = check_conventions(
        loaded,
        n_particles=particles,
        references=None if references is None else open_references(references, loaded.particles),
        progress=None if as_json else Bars(),
    )
    keep_check(found, dataset)
    if as_json:
        typer.echo(json.dumps(describe_check(found), indent=2))
    else:
        print_check(found)
    if found.faults:
        raise typer.Exit(FAULTS)


def open_references(path: Path, particles: "Particles") -> "VolumeSource":
    """A map, or those of a folder, on the grid of the particles; what that takes is printed."""
    from cryobench.importers.maps import place_maps
    from cryobench.io.adoption.state_volumes import list_volumes

    notes: list[str] = []
    maps = place_maps([path] if path.is_file() else list_volumes(path), particles, notes)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    return maps


def warn_of_faults(dataset: Path | None) -> None:
    """Repeat what a check found wrong with a data set, as long as it stands."""
    from cryobench.check import read_open_faults

    for sentence in read_open_faults(dataset):
        typer.echo(f"warning: {dataset} does not agree with its images: {sentence}", err=True)


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

    from cryobench.check import VERDICTS

    console = Console()
    if found.trials:
        table = Table(box=None, pad_edge=False)
        table.add_column("reading")
        table.add_column("gain / nats an image", justify="right")
        table.add_column("verdict")
        for trial in sorted(found.trials, key=lambda trial: -trial.gain):
            gain = "-" if trial.verdict == "same" else f"{trial.gain:+.3g} ± {trial.error:.1g}"
            table.add_row(trial.name, gain, VERDICTS[trial.verdict])
        console.print(table, highlight=False, markup=False)
    for sentence in (*found.notes, *found.unknown):
        console.print(sentence, highlight=False, markup=False)
    for fault in found.faults:
        console.print(f"WRONG: {fault.says} ({fault.evidence}).", style="bold", highlight=False, markup=False)
        console.print(f"       Way out: {fault.way_out}.", highlight=False, markup=False)
    console.print(found.conclusion, style="bold", highlight=False, markup=False)
