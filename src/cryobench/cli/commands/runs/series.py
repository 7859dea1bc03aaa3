"""``cryobench series``: a series of volumes that shows what a run found."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from cryobench.cli import machine
from cryobench.cli.options import Box, DatasetFolder, RunFolder

Kind = Annotated[
    str, typer.Argument(metavar="KIND", help="pca, k-means, graph, path, simple, cluster or intermediates.")
]
Output = Annotated[
    Optional[Path],
    typer.Option(
        "--output", "-o", help="New folder of the series. Default: one in RUN/series, from where the report shows it."
    ),
]
Axis = Annotated[
    int,
    typer.Option(
        min=1, help="Counted from 1: principal axis of pca, component of simple, latent axis of intermediates."
    ),
]
Frames = Annotated[
    int, typer.Option(min=2, help="Volumes of a series along an axis or a path; a graph may have fewer particles.")
]
Range = Annotated[
    str,
    typer.Option(
        "--range", metavar="LOW:HIGH", help="Percentiles of the coordinates along the axis, where pca and simple end."
    ),
]
Clusters = Annotated[int, typer.Option(min=1, help="Volumes of k-means and of cluster, or anchors of that kind.")]
Clustering = Annotated[str, typer.Option(help="Of cluster: k-means or gmm (a Gaussian mixture).")]
Anchors = Annotated[
    Optional[str],
    typer.Option(
        metavar="LIST",
        help="Particles that a graph goes through, or a path goes between, as 12,340; or k-means, the centres of "
        "--clusters clusters. Default: of a graph, the ends of the principal axis; of a path, the run's own path.",
    ),
]
Neighbours = Annotated[
    int, typer.Option(min=1, help="Nearest neighbours to which each particle of a graph is joined.")
]
MeanNeighbours = Annotated[
    float, typer.Option(help="How many of them are kept on average over the particles, the shortest first.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the clustering.")]


def series(
    run_folder: RunFolder,
    kind: Kind,
    output: Output = None,
    axis: Axis = 1,
    frames: Frames = 20,
    percentiles: Range = "5:95",
    clusters: Clusters = 20,
    clustering: Clustering = "k-means",
    anchors: Anchors = None,
    neighbours: Neighbours = 10,
    mean_neighbours: MeanNeighbours = 5,
    seed: Seed = 0,
    box: Box = None,
    dataset: DatasetFolder = None,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Write a series of volumes that shows what a run found, as numbered MRC files with a table of their latents.

    Of any run with latents, by its own decoder:

    **pca**: along a principal axis of the latents. **k-means**: of the particles nearest to the centres of clusters,
    near ones after each other. **graph**: of particles on the shortest path through anchors, from neighbour to
    neighbour, so that it goes around where no particles are. **path**: along a path of high density (recovar keeps
    one), or between two particles.

    As 3D variability shows them:

    **simple**: the mean moved along a component (3dva, recovar). **cluster**: back-projected from the particles of
    each cluster. **intermediates**: back-projected in overlapping windows along a latent axis.

    Repeating the command after an interruption goes on where it stopped.

    Examples:

    **cryobench series runs/cryodrgn k-means --clusters 10 --box 64**

    **cryobench series runs/cryodrgn graph --anchors 12,340,77 --frames 30**

    **cryobench series runs/3dva pca --axis 2 -o second-axis**
    """
    from cryobench.io.folders.series_store import load_series
    from cryobench.runs.series.settings import SeriesSettings
    from cryobench.runs.series.write import write_series

    settings = SeriesSettings(
        axis=axis,
        frames=frames,
        percentiles=parse_percentiles(percentiles),
        clusters=clusters,
        clustering=clustering,
        anchors=parse_anchors(anchors),
        neighbours=neighbours,
        mean_neighbours=mean_neighbours,
        seed=seed,
    )
    with machine.open_context(device, precision, memory, workers, scheduler) as context:
        written = write_series(run_folder, kind, output, settings, box_size=box, dataset=dataset, context=context)
    made = load_series(written[0].parent)
    counts = "" if made.counts is None else f" ({', '.join(f'{count:.0f}' for count in made.counts)} particles)"
    typer.echo(f"{len(written)} volumes {made.title}{counts} -> {written[0].parent}")


def parse_percentiles(text: str) -> tuple[float, float]:
    """LOW:HIGH as two numbers."""
    low, colon, high = text.partition(":")
    try:
        if colon:
            return float(low), float(high)
    except ValueError:
        pass
    raise ValueError(f"--range takes LOW:HIGH, two percentiles, got {text!r}.")


def parse_anchors(text: str | None) -> tuple[int, ...] | str | None:
    """Particles between commas; a word as it is."""
    if text is None or text[:1].isalpha():
        return text
    words = text.replace(",", " ").split()
    if not words or not all(word.isdecimal() for word in words):
        raise ValueError(f"--anchors takes indices of particles, as 12,340, or k-means, got {text!r}.")
    return tuple(int(word) for word in words)
