"""Choices of a volume series."""

from dataclasses import dataclass

from cryobench._errors import UnknownName
from cryobench.latents.graph import MEAN_NEIGHBOURS, MOST_NEIGHBOURS

CLUSTERINGS = ("k-means", "gmm")
CENTRES = "k-means"
"""Anchors that are the centres of clusters."""


@dataclass(frozen=True)
class SeriesSettings:
    """Choices of a series; which of them count depends on its kind.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    axis: int = 1
    """Counted from 1: principal axis of pca, component of simple, latent axis of intermediates."""
    frames: int = 20
    """Volumes of pca, graph, path, simple and intermediates."""
    percentiles: tuple[float, float] = (5.0, 95.0)
    """Of the coordinates along the axis, between which pca and simple go, and a graph without anchors."""
    clusters: int = 20
    """Of k-means, of cluster, and of anchors that are k-means centres."""
    clustering: str = "k-means"
    """Of cluster; or "gmm", a Gaussian mixture."""
    anchors: tuple[int, ...] | str | None = None
    """Particles through which a graph goes, in order, or between which a path goes; "k-means" for the centres of
    clusters; None for the two ends of the axis, or for the path that the run keeps."""
    neighbours: int = MOST_NEIGHBOURS
    """Nearest neighbours to which each particle of a graph is joined."""
    mean_neighbours: float = MEAN_NEIGHBOURS
    """How many of them are kept on average, the shortest first."""
    seed: int = 0
    """Of the clustering."""

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(f"percentiles rise within 0 to 100, got {low:g} to {high:g}.")
        if self.axis < 1:
            raise ValueError(f"axes are counted from 1, got {self.axis}.")
        if self.frames < 2:
            raise ValueError(f"a series has at least two frames, got {self.frames}.")
        if self.clusters < 1:
            raise ValueError(f"there is at least one cluster, got {self.clusters}.")
        if self.clustering not in CLUSTERINGS:
            raise UnknownName("clustering", self.clustering, CLUSTERINGS)
        if isinstance(self.anchors, str) and self.anchors != CENTRES:
            raise UnknownName("kind of anchors", self.anchors, [CENTRES])
        if isinstance(self.anchors, tuple) and len(self.anchors) < 2:
            raise ValueError(f"a path has at least two anchors, got {len(self.anchors)}: give particles as 12,340.")
