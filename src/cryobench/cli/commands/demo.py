"""``cryobench demo``: the complete workflow on a small data set."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all results.")] = Path("cryobench-demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random draws: of the data set and of every run.")] = 0,
) -> None:
    """Run the complete workflow on a small data set: simulate, reconstruct, score, and write a report page.

    Simulates IgG-1D at the tiny preset (1,000 images of 32 px of the antibody 1HZH with a rotating Fab), runs the
    methods 3d-class and recovar and three controls, scores all five by every metric and writes a page.
    If interrupted, the same command resumes.
    """
    from cryobench.cli.demo_workflow import run_demo
    from cryobench.cli.progress import Bars

    run_demo(output, seed, Bars())
