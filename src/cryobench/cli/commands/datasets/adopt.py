"""``cryobench adopt``: a data set from existing particles."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli.convention_warnings import warn_at_once


def adopt(
    particles: Annotated[
        Path,
        typer.Argument(
            help="RELION .star, cryoSPARC .cs, or .mrcs (or a .txt list of stacks) with --ctf; with --poses-of, "
            "DATASET."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="State of each particle, -1 if unknown: .csv, .npy, .pkl, .parquet, or .star (class number)."
        ),
    ] = None,
    volumes: Annotated[Path | None, typer.Option(help="Folder of one .mrc or .map per state, state 0 first.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Mask of the molecule: .mrc, 0 to 1.")] = None,
    passthrough: Annotated[
        list[Path] | None, typer.Option(help="Passthrough .cs file of the same cryoSPARC job; repeat for more.")
    ] = None,
    poses: Annotated[Path | None, typer.Option(help="cryoDRGN poses.pkl, for stacks without a table.")] = None,
    ctf: Annotated[Path | None, typer.Option(help="cryoDRGN ctf.pkl, for stacks without a table.")] = None,
    shift_unit: Annotated[
        str, typer.Option(help="Unit of the shifts in poses.pkl: fraction (of the box) or pixel.")
    ] = ("fraction"),
    datadir: Annotated[
        Path | None, typer.Option(help="Folder that stack paths are relative to, if not the table's.")
    ] = None,
    contrast: Annotated[
        str | None,
        typer.Option(help="Protein in the stored images: bright or dark. Default: as in the .cs file, else bright."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; default: the folder's.")] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Query particles, whose volumes are scored: one index per line.")
    ] = None,
    n_queries: Annotated[int, typer.Option(min=1, help="Number of query particles chosen automatically.")] = 100,
    poses_of: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Use the poses found by a run on DATASET, for methods with given poses."),
    ] = None,
    mend: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Apply a correction that 'cryobench check' suggests; repeat for more."),
    ] = None,
    check: Annotated[bool, typer.Option(help="Check the conventions on 1,000 images: some seconds.")] = True,
) -> None:
    """Make a data set from existing particles. Images are referenced, not copied.

    Truth may be absent, partial or complete: methods always run, and scores are computed as far as truth allows.

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
