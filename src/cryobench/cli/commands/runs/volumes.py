"""``cryobench volumes``: decode volumes of a run."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli import machine_options as machine
from cryobench.cli.options import Box, DatasetFolder, RunFolder


def volumes(
    run_folder: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the volumes.")],
    particles: Annotated[
        list[int] | None, typer.Option("--particles", "-p", help="Particle index; repeat for more.")
    ] = None,
    latents: Annotated[Path | None, typer.Option(help=".npy file of latents, one row per volume.")] = None,
    states: Annotated[
        bool, typer.Option("--states", help="One volume per true state, at the mean latent of its particles.")
    ] = False,
    box: Box = None,
    dataset: DatasetFolder = None,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Decode volumes of a finished run as MRC files: at particles, at given latents, or one per state.

    If interrupted, the same command resumes.

    Examples:

    **cryobench volumes runs/3d-class -p 0 -p 500 -o volumes**

    **cryobench volumes runs/cryodrgn --latents rows.npy --box 32 -o previews**
    """
    from cryobench.runs.decode import write_volumes

    with machine.open_context(device, precision, memory, workers, scheduler) as context:
        written = write_volumes(
            run_folder,
            output,
            particles=particles,
            latents=latents,
            states=states,
            box_size=box,
            dataset=dataset,
            context=context,
        )
    typer.echo(f"{len(written)} volume{'' if len(written) == 1 else 's'} -> {output}")
