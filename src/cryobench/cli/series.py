"""``cryobench series``: what its options are, and what it prints."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from cryobench.reconstruction.engine import RunContext

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
Kind = Annotated[str, typer.Argument(metavar="KIND", help="simple, cluster, intermediates or path.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="New folder of the series.")]
Component = Annotated[int, typer.Option(min=0, help="Latent axis of simple and intermediates, from 0.")]
Frames = Annotated[int, typer.Option(min=2, help="Volumes of simple, intermediates and path.")]
Range = Annotated[
    str, typer.Option("--range", metavar="LOW:HIGH", help="Percentiles of the latent that simple goes between.")
]
Clusters = Annotated[int, typer.Option(min=1, help="Volumes of cluster.")]
Clustering = Annotated[str, typer.Option(help="k-means or gmm (a Gaussian mixture).")]
First = Annotated[Optional[int], typer.Option("--from", min=0, help="Particle where a path starts.")]
Last = Annotated[
    Optional[int], typer.Option("--to", min=0, help="Particle where it ends; default: the run's own path.")
]
DatasetFolder = Annotated[
    Optional[Path], typer.Option(help="The data set, if it is no longer where the run found it.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the clustering.")]


def run_series(
    run_folder: Path,
    kind: str,
    output: Path,
    *,
    component: int,
    frames: int,
    percentiles: str,
    clusters: int,
    clustering: str,
    first: int | None,
    last: int | None,
    dataset: Path | None,
    seed: int,
    context: "RunContext",
) -> None:
    """Write the series and say what is in it."""
    from cryobench.experiment.series import SeriesSettings, write_series

    settings = SeriesSettings(
        component=component,
        frames=frames,
        percentiles=parse_percentiles(percentiles),
        clusters=clusters,
        clustering=clustering,
        first=first,
        last=last,
        seed=seed,
    )
    written = write_series(run_folder, kind, output, settings, dataset=dataset, context=context)
    entries = json.loads((output / "series.json").read_text(encoding="utf-8"))["frames"]
    counts = [str(entry["particles"]) for entry in entries if "particles" in entry]
    made_of = f", of {', '.join(counts)} particles" if counts else ""
    typer.echo(f"{len(written)} volumes{made_of} -> {output}")


def parse_percentiles(text: str) -> tuple[float, float]:
    """LOW:HIGH as two numbers."""
    low, colon, high = text.partition(":")
    try:
        if colon:
            return float(low), float(high)
    except ValueError:
        pass
    raise ValueError(f"--range takes LOW:HIGH, two percentiles, got {text!r}.")
