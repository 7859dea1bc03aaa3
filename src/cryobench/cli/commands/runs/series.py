"""``cryobench series``: a series of volumes from the latents of a run."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli import machine_options as machine
from cryobench.cli.options import Box, DatasetFolder, RunFolder

Kind = Annotated[
    str, typer.Argument(metavar="KIND", help="pca, k-means, graph, path, simple, cluster or intermediates.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="New folder for the series. Default: one in RUN/series, shown by the report."
    ),
]
Axis = Annotated[
    int,
    typer.Option(
        min=1,
        help="From 1: principal axis (pca, ends of a graph), component (simple) or latent axis (intermediates).",
    ),
]
Frames = Annotated[int, typer.Option(min=2, help="Number of volumes along an axis or path; a graph may have fewer.")]
Range = Annotated[
    str,
    typer.Option(
        "--range",
        metavar="LOW:HIGH",
        help="Ends of pca, simple, and a graph without anchors, as percentiles of the coordinates along the axis.",
    ),
]
Clusters = Annotated[int, typer.Option(min=1, help="Number of clusters of k-means, cluster, or --anchors k-means.")]
Clustering = Annotated[str, typer.Option(help="Algorithm of cluster: k-means or gmm (Gaussian mixture).")]
Anchors = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Particles that a graph passes through, or the ends of a path, as 12,340; or k-means, the centres of "
        "--clusters clusters. Default: the ends of the principal axis for a graph, the run's own path for a path.",
    ),
]
Neighbours = Annotated[int, typer.Option(min=1, help="Nearest neighbours of each particle in a graph.")]
MeanNeighbours = Annotated[float, typer.Option(help="Neighbours kept per particle on average, the nearest first.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the clustering.")]


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
    """Write a series of volumes that shows a run's heterogeneity, as MRC files with a table of their latents.

    For any run with latents, by its own decoder:

    **pca**: along a principal axis of the latents. **k-means**: at the particles nearest to the cluster centres,
    similar ones consecutive. **graph**: at particles on the shortest path through anchors along nearest neighbours,
    which avoids empty regions. **path**: along a path of high density (recovar keeps one), or one between two
    particles, straight where the run keeps no density.

    As in cryoSPARC's 3D Variability Display:

    **simple**: the mean plus a multiple of a component (3dva, recovar). **cluster**: back-projected from the
    particles of each cluster. **intermediates**: back-projected in overlapping windows along a latent axis.

    If interrupted, the same command resumes.

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
    """The two numbers of LOW:HIGH."""
    low, colon, high = text.partition(":")
    try:
        if colon:
            return float(low), float(high)
    except ValueError:
        pass
    raise ValueError(f"--range expects LOW:HIGH, two percentiles, got {text!r}.")


def parse_anchors(text: str | None) -> tuple[int, ...] | str | None:
    """Particle indices from a comma-separated list, or a word unchanged."""
    if text is None or text[:1].isalpha():
        return text
    words = text.replace(",", " ").split()
    if not words or not all(word.isdecimal() for word in words):
        raise ValueError(f"--anchors expects particle indices, such as 12,340, or k-means, got {text!r}.")
    return tuple(int(word) for word in words)
