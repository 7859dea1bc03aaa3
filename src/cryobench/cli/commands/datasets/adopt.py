"""``cryobench adopt``: a data set of particles that exist already."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from cryobench.cli.check import warn_at_once


def adopt(
    particles: Annotated[
        Path,
        typer.Argument(
            help="RELION .star, cryoSPARC .cs, or .mrcs (or a .txt list of stacks) with --ctf; DATASET with "
            "--poses-of."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set.")],
    labels: Annotated[
        Optional[Path],
        typer.Option(
            help="State of each particle, -1 if unknown: .csv, .npy, .pkl, .parquet, or .star (class number)."
        ),
    ] = None,
    volumes: Annotated[
        Optional[Path], typer.Option(help="Folder of one .mrc or .map per state, state 0 first.")
    ] = None,
    mask: Annotated[Optional[Path], typer.Option(help="Where the molecule can be: .mrc, 0 to 1.")] = None,
    passthrough: Annotated[
        Optional[list[Path]], typer.Option(help="Further .cs file of the same cryoSPARC job; repeat for more.")
    ] = None,
    poses: Annotated[Optional[Path], typer.Option(help="cryoDRGN's poses.pkl, for images alone.")] = None,
    ctf: Annotated[Optional[Path], typer.Option(help="cryoDRGN's ctf.pkl, for images alone.")] = None,
    shift_unit: Annotated[
        str, typer.Option(help="What poses.pkl counts shifts in: fraction (of the box) or pixel.")
    ] = ("fraction"),
    datadir: Annotated[
        Optional[Path], typer.Option(help="Folder that the paths of stacks start from, if not the table's.")
    ] = None,
    contrast: Annotated[
        Optional[str],
        typer.Option(
            help="Protein in the stored images: bright or dark. Default: what a .cs file says, else bright."
        ),
    ] = None,
    name: Annotated[Optional[str], typer.Option(help="Of the data set; default: that of the folder.")] = None,
    queries: Annotated[
        Optional[Path], typer.Option(help="Particles whose volumes are compared, one index a line. Default: chosen.")
    ] = None,
    n_queries: Annotated[int, typer.Option(min=1, help="How many particles are chosen for that.")] = 100,
    poses_of: Annotated[
        Optional[Path],
        typer.Option(metavar="RUN", help="Take the poses that a run of DATASET found, for methods at given poses."),
    ] = None,
    mend: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="NAME", help="Read the tables as 'cryobench check' found them to be meant; repeat for more."
        ),
    ] = None,
    check: Annotated[bool, typer.Option(help="Try the conventions on 1,000 images, and warn: some seconds.")] = True,
) -> None:
    """Make a data set of particles that exist already. Images are referred to, not copied.

    Truth may be absent, partial or whole: methods run in any case, and what can be scored is scored.

    Examples:

    **cryobench adopt J42/particles.cs -o mine --datadir PROJECT --labels states.csv --volumes maps**

    **cryobench adopt antibody --poses-of runs/ab-initio -o posed**
    """
    from cryobench.cli.progress import Bars
    from cryobench.cli.tables import print_adoption
    from cryobench.runs.adopt import adopt as adopt_particles

    dataset = adopt_particles(
        particles,
        output,
        labels=labels,
        volumes=volumes,
        mask=mask,
        passthrough=passthrough or (),
        poses=poses,
        ctf=ctf,
        shift_unit=shift_unit,
        datadir=datadir,
        contrast=contrast,
        name=name,
        queries=queries,
        n_queries=n_queries,
        poses_of=poses_of,
        mend=mend or (),
        progress=Bars(),
    )
    if check:
        warn_at_once(dataset)
    print_adoption(dataset)
