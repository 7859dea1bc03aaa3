"""Choices of a volume series."""

from dataclasses import dataclass

from cryobench._errors import UnknownName
from cryobench.latents.graph import MEAN_NEIGHBOURS, MOST_NEIGHBOURS

CLUSTERINGS = ("k-means", "gmm")
CENTRES = "k-means"
"""Anchors at the cluster centres."""


@dataclass(frozen=True)
class SeriesSettings:
    """Settings of a series; its kind determines which are used.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    axis: int = 1
    """From 1: principal axis (pca, ends of a graph), component (simple) or latent axis (intermediates)."""
    frames: int = 20
    """Number of volumes of pca, graph, path, simple and intermediates."""
    percentiles: tuple[float, float] = (5.0, 95.0)
    """Percentiles of the coordinates along the axis at the ends of pca, simple, and a graph without anchors."""
    clusters: int = 20
    """Number of clusters of k-means, cluster, and k-means anchors."""
    clustering: str = "k-means"
    """Algorithm of cluster: k-means, or "gmm", a Gaussian mixture."""
    anchors: tuple[int, ...] | str | None = None
    """Particles that a graph passes through, in order, or the ends of a path; "k-means" for cluster centres; None for
    the two ends of the axis, or for the run's own path."""
    neighbours: int = MOST_NEIGHBOURS
    """Nearest neighbours of each particle in a graph."""
    mean_neighbours: float = MEAN_NEIGHBOURS
    """Neighbours kept per particle on average, the nearest first."""
    seed: int = 0
    """Seed of the clustering."""

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(f"percentiles must rise within 0 to 100, got {low:g} to {high:g}.")
        if self.axis < 1:
            raise ValueError(f"axes are counted from 1, got {self.axis}.")
        if self.frames < 2:
            raise ValueError(f"a series needs at least two frames, got {self.frames}.")
        if self.clusters < 1:
            raise ValueError(f"at least one cluster is needed, got {self.clusters}.")
        if self.clustering not in CLUSTERINGS:
            raise UnknownName("clustering", self.clustering, CLUSTERINGS)
        if isinstance(self.anchors, str) and self.anchors != CENTRES:
            raise UnknownName("kind of anchors", self.anchors, [CENTRES])
        if isinstance(self.anchors, tuple) and len(self.anchors) < 2:
            raise ValueError(f"a path needs at least two anchors, got {len(self.anchors)}: give particles as 12,340.")
