"""``cryobench series``: what its options are, and what it prints."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from cryobench.reconstruction.engine import RunContext

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
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
Box = Annotated[
    Optional[int],
    typer.Option(
        metavar="PX", help="Side of the volumes, for previews: they are Fourier-cropped, with larger voxels."
    ),
]
DatasetFolder = Annotated[
    Optional[Path], typer.Option(help="The data set, if it is no longer where the run found it.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the clustering.")]


def run_series(
    run_folder: Path,
    kind: str,
    output: Path | None,
    *,
    axis: int,
    frames: int,
    percentiles: str,
    clusters: int,
    clustering: str,
    anchors: str | None,
    neighbours: int,
    mean_neighbours: float,
    seed: int,
    box: int | None,
    dataset: Path | None,
    context: "RunContext",
) -> None:
    """Write the series and say what is in it."""
    from cryobench.experiment.series import write_series
    from cryobench.experiment.series_settings import SeriesSettings
    from cryobench.io.series_store import load_series

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
