"""``cryobench simulate``: a data set with known truth."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli import machine_options as machine
from cryobench.cli.options import DataSeed, Preset, RecipeName, Set, Structure
from cryobench.cli.values import parse_range, parse_settings


def simulate(
    recipe: RecipeName,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set.")],
    preset: Preset = "lite",
    structure: Structure = None,
    weights: Annotated[
        list[float] | None, typer.Option(help="Fraction of the images for each structure, in order; recipe custom.")
    ] = None,
    snr: Annotated[float | None, typer.Option(help="Signal-to-noise ratio (variance ratio, all pixels).")] = None,
    particles: Annotated[
        str | None,
        typer.Option(metavar="FIRST:STOP", help="Make only these particles, bit-identical to those of the full set."),
    ] = None,
    seed: DataSeed = 0,
    set_: Set = None,
    workers: machine.Workers = 1,
) -> None:
    """Make a data set with known truth. If interrupted, the same command resumes.

    Examples:

    **cryobench simulate igg-1d -o antibody --preset lite --snr 0.1**

    **cryobench simulate custom -o mixture --structure a.pdb b.cif --weights 0.7 0.3 --preset realistic**
    """
    from cryobench.cli.progress import Bars
    from cryobench.cli.tables import print_dataset
    from cryobench.recipes.simulate import simulate as simulate_recipe

    changes = parse_settings(set_)
    if snr is not None:
        changes["snr"] = snr
    if weights is not None:
        changes["weights"] = weights
    dataset = simulate_recipe(
        recipe,
        output,
        preset=preset,
        structures=structure or (),
        seed=seed,
        settings=changes,
        particles=parse_range(particles),
        workers=workers,
        progress=Bars(),
    )
    print_dataset(dataset)
