"""``cryobench sweep``: data sets that differ in one setting."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli import machine_options as machine
from cryobench.cli.options import DataSeed, Preset, RecipeName, Set, Structure
from cryobench.cli.values import parse_settings, parse_sweep


def sweep(
    recipe: RecipeName,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the series, with one folder per data set.")
    ],
    vary: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE,VALUE,...", help="The setting that varies, and its values.")
    ] = None,
    series: Annotated[str | None, typer.Option(help="A published series instead, such as 'noise' of igg-1d.")] = None,
    preset: Preset = "lite",
    structure: Structure = None,
    seed: DataSeed = 0,
    set_: Set = None,
    workers: machine.Workers = 1,
) -> None:
    """Make data sets that differ in one setting only, with the same seed.

    Examples:

    **cryobench sweep igg-1d -o noise --series noise --preset paper**

    **cryobench sweep igg-1d -o contrast --vary contrast_deviation=0,0.1,0.2,0.4**
    """
    from cryobench.cli.progress import Bars
    from cryobench.recipes.sweep import sweep as sweep_recipe

    name, values = parse_sweep(vary)
    made = sweep_recipe(
        recipe,
        output,
        vary=name,
        values=values,
        series=series,
        preset=preset,
        structures=structure or (),
        seed=seed,
        settings=parse_settings(set_),
        workers=workers,
        progress=Bars(),
    )
    typer.echo(f"{len(made)} data sets -> {output}; their table is {output / 'sweep.csv'}")
