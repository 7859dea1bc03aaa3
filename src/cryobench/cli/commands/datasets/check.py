"""``cryobench check``: test the conventions of a data set against its images."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryobench.cli.convention_warnings import print_check
from cryobench.cli.options import Dataset

if TYPE_CHECKING:
    from cryobench.data import Particles, VolumeSource

FAULTS = 3
"""Exit status if conventions disagree with the images."""


def check(
    dataset: Dataset,
    particles: Annotated[
        int, typer.Option(min=200, help="Number of particles used, evenly spaced in the table.")
    ] = 5000,
    references: Annotated[
        Path | None,
        typer.Option(help="Reference map, or folder of maps, of known hand and contrast. Default: true volumes."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, for other programs.")] = False,
) -> None:
    """Test the conventions of a data set against its images. Nothing is changed.

    Half of the particles are back-projected and must predict the other half. Wrong contrast, transposed rotations,
    shifts of another sign or unit, mirrored or displaced images, rows out of order, and CTFs or labels of other
    images are each tried, and reported if they predict the images better. Undecidable readings are reported with what
    would decide them; the hand needs maps of known hand. The result is kept in DATASET/check.json with its half-maps,
    and shown on the data set's page.

    Exit status: 0 if nothing is wrong, 3 if something is.

    Examples:

    **cryobench check mine**

    **cryobench adopt J42/particles.cs -o mended --mend shifts-negated**, to correct a fault
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
    """Volume source of a map, or of those in a folder, on the particles' grid; conversions are printed."""
    from cryobench.importers.maps import place_maps
    from cryobench.io.adoption.state_volumes import list_volumes

    notes: list[str] = []
    maps = place_maps([path] if path.is_file() else list_volumes(path), particles, notes)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    return maps
