"""Arguments and options that several commands have; those of the machine are in ``machine``."""

from pathlib import Path
from typing import Annotated, Optional

import typer

_SEED_HELP = (
    "Seed of every random draw: same seed, same data set and scores; a method's result is the same to rounding."
)
Seed = Annotated[int, typer.Option("--seed", min=0, help=_SEED_HELP)]
RecipeName = Annotated[str, typer.Argument(help="Name of a recipe: see 'cryobench list recipes'.")]
Preset = Annotated[
    str,
    typer.Option(
        help="Size: tiny (seconds), lite (a minute), paper (the published specification); or realistic: lite, with "
        "particles as untidy as real ones."
    ),
]
Structure = Annotated[
    Optional[list[str]],
    typer.Option(
        help="PDB or mmCIF files, gzipped or not, or rcsb:ID to download; "
        "default: those of the recipe, without a download."
    ),
]
Set = Annotated[
    Optional[list[str]],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting; repeat for more. See 'cryobench list methods NAME'. A list in "
        "brackets: dimensions=[4,10].",
    ),
]
Dataset = Annotated[Path, typer.Argument(help="Folder of a data set.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
DatasetFolder = Annotated[
    Optional[Path], typer.Option(help="The data set, if it is no longer where the run found it.")
]
Box = Annotated[
    Optional[int],
    typer.Option(
        metavar="PX", help="Side of the volumes, for previews: they are Fourier-cropped, with larger voxels."
    ),
]
