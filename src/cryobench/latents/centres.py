"""Representative particles of a latent space: the nearest one to the centre of each k-means cluster.

A volume decoded at a centre itself may be far from all particles; the nearest particle is within the data. The
centres are ordered such that neighbours follow each other: by the leaves of an average-linkage tree, in the order of
least summed distance of successive leaves (Bar-Joseph et al., Bioinformatics 17 (2001) S22, by
SciPy).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import leaves_list, linkage

from cryobench.latents.groups import cluster_latents


@dataclass(frozen=True, eq=False)
class Centres:
    """Particles nearest to cluster centres, in the order of a tour."""

    particles: Int[np.ndarray, "k"]
    sizes: Int[np.ndarray, "k"]
    """Number of particles in each cluster."""


def choose_centres(latents: Float[np.ndarray, "n d"], n_clusters: int, *, seed: int = 0) -> Centres:
    """The particle nearest to the mean of each k-means cluster, and the cluster's size.

    Rows that are not finite are ignored. ValueError if there are fewer different latents than clusters.
    """
    labels = cluster_latents(latents, n_clusters, seed=seed)
    means = np.stack([latents[labels == cluster].mean(axis=0) for cluster in range(n_clusters)])
    order = order_by_neighbours(means)
    sizes = np.bincount(labels[labels >= 0], minlength=n_clusters)
    return Centres(nearest_particles(latents, means)[order], sizes[order])


def nearest_particles(latents: Float[np.ndarray, "n d"], points: Float[np.ndarray, "m d"]) -> Int[np.ndarray, "m"]:
    """The row of ``latents`` nearest to each point; rows that are not finite are left out."""
    from sklearn.neighbors import NearestNeighbors

    known = np.flatnonzero(np.isfinite(latents).all(axis=1))
    search = NearestNeighbors(n_neighbors=1).fit(latents[known])
    return known[search.kneighbors(points, return_distance=False)[:, 0]]


def order_by_neighbours(points: Float[np.ndarray, "k d"]) -> Int[np.ndarray, "k"]:
    """Order (k,) of points in which near ones follow each other, from the end that is lower on the first axis."""
    if len(points) < 3:
        return np.argsort(points[:, 0], kind="stable")
    order = leaves_list(linkage(points, "average", optimal_ordering=True)).astype(np.int64)
    return order if points[order[0], 0] <= points[order[-1], 0] else order[::-1]
