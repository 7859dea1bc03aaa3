"""Arguments and options common to several commands; those of the machine are in ``machine_options``."""

from pathlib import Path
from typing import Annotated

import typer

DataSeed = Annotated[
    int, typer.Option("--seed", min=0, help="Seed of all random draws. The same seed gives the same data set.")
]
RecipeName = Annotated[str, typer.Argument(help="Name of a recipe: see 'cryobench list recipes'.")]
Preset = Annotated[
    str,
    typer.Option(
        help="tiny (seconds), lite (a minute or two), paper (the published specification), or realistic: lite, with "
        "the imperfections of real particles."
    ),
]
Structure = Annotated[
    list[str] | None,
    typer.Option(
        help="PDB or mmCIF files, gzipped or not, or rcsb:ID to download; default: the recipe's own molecules."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting; repeat for more. See 'cryobench list NAME'. Lists are in "
        "brackets: dimensions=[4,10].",
    ),
]
Dataset = Annotated[Path, typer.Argument(help="Folder of a data set.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
DatasetFolder = Annotated[Path | None, typer.Option(help="Folder of the data set, if it was moved since the run.")]
Box = Annotated[
    int | None, typer.Option(metavar="PX", help="Box size of preview volumes, Fourier-cropped, with larger voxels.")
]
