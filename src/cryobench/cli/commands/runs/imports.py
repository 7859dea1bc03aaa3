"""``cryobench import``: results of other programs as runs."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cryobench.cli import machine_options as machine

_FILES, _JOBS, _MAPS = "Plain files (import files)", "Jobs of a program", "Maps"


def import_(
    tool: Annotated[
        str, typer.Argument(help="files, cryodrgn, or auto to detect the program; see 'cryobench list importers'.")
    ],
    dataset: Annotated[Path, typer.Option("--dataset", "-d", help="Folder of the data set with these particles.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the run.")],
    path: Annotated[Path | None, typer.Argument(help="Output folder of the program's job; none for files.")] = None,
    latents: Annotated[
        Path | None,
        typer.Option(help="One row per particle: .npy, .npz, .csv, .parquet, .pkl or .txt.", rich_help_panel=_FILES),
    ] = None,
    volumes: Annotated[
        Path | None,
        typer.Option(
            help="Folder of maps of the query particles (DATASET/query.csv), numbered by particle or in order.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Class of each particle, or class probabilities.", rich_help_panel=_FILES)
    ] = None,
    poses: Annotated[
        Path | None,
        typer.Option(
            help="Estimated poses: .star, .cs, .pkl (cryoDRGN) or .npy (rotations); 'none' ignores those of a job.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Name of the method in scores.", rich_help_panel=_FILES)] = None,
    shift_unit: Annotated[
        str | None, typer.Option(help="Unit of shifts in a .pkl of poses: fraction or pixel.", rich_help_panel=_FILES)
    ] = None,
    epoch: Annotated[
        int | None, typer.Option(help="Epoch, as the program counts; default: the last.", rich_help_panel=_JOBS)
    ] = None,
    latents_from: Annotated[
        str | None,
        typer.Option(help="files, or table: the latent table at the end of the epoch.", rich_help_panel=_JOBS),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="STAR or .cs file that the program read, to match rows by their images.")
    ] = None,
    indices: Annotated[Path | None, typer.Option(help="Indices of the particles used: .pkl, .npy or text.")] = None,
    volumes_of: Annotated[
        str | None, typer.Option(help="Maps of: queries (particles) or classes.", rich_help_panel=_MAPS)
    ] = None,
    voxel_size: Annotated[
        float | None, typer.Option(help="Voxel size in Å, if headers are wrong.", rich_help_panel=_MAPS)
    ] = None,
    invert: Annotated[
        bool, typer.Option("--invert", help="Invert the contrast of the maps.", rich_help_panel=_MAPS)
    ] = False,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Invert the hand of the maps.", rich_help_panel=_MAPS)
    ] = False,
    volumes_by: Annotated[
        str,
        typer.Option(
            help="found: the program's maps or model; kernel-regression: from images near each latent; none.",
            rich_help_panel=_MAPS,
        ),
    ] = "found",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be imported, and write nothing.")
    ] = False,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Import another program's results as a run, to be scored with others; only files are read.

    Conversions and assumptions are printed, and kept in RUN/import.json. If interrupted, the same command resumes.

    Examples:

    **cryobench import files --latents z.npy --volumes maps -d antibody -o runs/mine --method mine**

    **cryobench import cryodrgn jobs/vae -d antibody -o runs/cryodrgn --epoch 19**

    **cryobench import auto jobs/042 -d antibody -o runs/042 --dry-run**
    """
    from cryobench.importers.bring_in import examine, import_results
    from cryobench.io.store import load_dataset

    options: dict[str, Any] = {
        "latents": latents,
        "volumes": volumes,
        "labels": labels,
        "poses": poses,
        "method": method,
        "shift_unit": shift_unit,
        "epoch": epoch,
        "latents_from": latents_from,
        "images": images,
        "indices": indices,
        "volumes_of": volumes_of,
        "voxel_size": voxel_size,
        "invert": invert or None,
        "mirror": mirror or None,
    }
    with machine.open_context(device, precision, memory, workers, scheduler) as context:
        given = {"options": options, "volumes_by": volumes_by, "context": context}
        if dry_run:
            _, account = examine(tool, path, load_dataset(dataset), **given)
            typer.echo(json.dumps(account, indent=2, ensure_ascii=False))
            return
        result = import_results(tool, path, load_dataset(dataset), output, **given)
    for note in result.notes:
        typer.echo(f"note: {note}")
    parts = [
        f"{what} {values.shape[1]}-D" if what == "latents" else what
        for what in ("latents", "posteriors", "rotations", "volumes")
        if (values := getattr(result, what)) is not None
    ]
    typer.echo(f"{result.name}: {', '.join(parts)} -> {output}")
