"""Shortest paths through particles, on a graph of nearest neighbours.

Each particle is connected to its ``most`` nearest ones. Of these edges the shortest are kept, ``mean`` per particle
on average: an isolated particle loses its edges, and one in a dense region keeps them, so that a path follows
the particles and does not cross a gap. The length of an edge is the distance of the two latents.

Source: the graph traversal of cryoDRGN (Zhong et al., Nature Methods 18 (2021) 176; Kinman et al., Nature Protocols
18 (2023) 319). Shortest paths by Dijkstra's algorithm (SciPy).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import KDTree

MOST_NEIGHBOURS = 10
MEAN_NEIGHBOURS = 5.0
_WIDEST_TREE = 12
"""Latent axes beyond which comparing all pairs is faster than a tree."""


@dataclass(frozen=True, eq=False)
class NeighbourGraph:
    """Particles as nodes, connected to near ones."""

    lengths: csr_array
    """(n, n), symmetric; entries that are not stored are no edges."""
    n_particles: int
    most: int
    """Nearest neighbours per particle before selection."""
    mean: float
    """Mean number of edges kept per particle."""

    def path(self, anchors: Sequence[int]) -> Int[np.ndarray, "p"]:
        """Particles on the shortest path through ``anchors`` in order, including these.

        Raises
        ------
        ValueError
            If there are fewer than two anchors, one does not exist, or two successive ones are not connected.
        """
        n_particles = self.n_particles
        if len(anchors) < 2:
            raise ValueError(f"a path has at least two anchors, got {len(anchors)}.")
        for anchor in anchors:
            if not 0 <= anchor < n_particles:
                raise ValueError(f"anchor {anchor} does not exist: the graph has particles 0 to {n_particles - 1}.")
        particles = [int(anchors[0])]
        for start, end in pairwise(anchors):
            # From the end, so that the stored way back leads from the start onwards.
            _, onwards = dijkstra(self.lengths, directed=False, indices=end, return_predecessors=True)
            while particles[-1] != end:
                following = int(onwards[particles[-1]])
                if following < 0:
                    raise ValueError(self._explain_gap(start, end))
                particles.append(following)
        return np.array(particles)

    def _explain_gap(self, start: int, end: int) -> str:
        count, labels = connected_components(self.lengths, directed=False)
        sizes = np.bincount(labels)
        ends = f"{sizes[labels[start]]} and {sizes[labels[end]]}"
        return (
            f"particles {start} and {end} are not connected: with at most {self.most} neighbours for each particle, "
            f"and {self.mean:g} on average, the graph of {len(labels)} particles falls into {count} components, and "
            f"these two are in components of {ends} particles. Raise --mean-neighbours, up to --neighbours, or "
            "both, or choose anchors in one component."
        )


def neighbour_graph(
    latents: Float[np.ndarray, "n d"], *, most: int = MOST_NEIGHBOURS, mean: float = MEAN_NEIGHBOURS
) -> NeighbourGraph:
    """The graph of finite latents.

    Parameters
    ----------
    most
        Nearest neighbours to which each particle is connected; fewer where there are fewer particles.
    mean
        Mean number of edges kept per particle, the shortest first.

    Raises
    ------
    ValueError
        If there are fewer than two latents, or ``mean`` is not above 0 and at most ``most``.
    """
    if not 0 < mean <= most:
        raise ValueError(
            f"the mean number of neighbours (--mean-neighbours) must be above 0 and at most {most}, the number per "
            f"particle (--neighbours), got {mean:g}."
        )
    if len(latents) < 2:
        raise ValueError(f"a graph needs two particles with latents, and there is {len(latents)}.")
    distances, indices = _find_neighbours(np.asarray(latents, dtype=np.float64), min(most, len(latents) - 1))
    kept = min(max(round(mean * len(latents)), 1), distances.size)
    lengths: np.ndarray = np.partition(distances.ravel(), kept - 1)
    longest = float(lengths[kept - 1])
    rows, columns = np.nonzero(distances <= longest)
    # Particles at one latent are connected too, and sparse matrices drop zeros.
    lengths = np.maximum(distances[rows, columns], (longest or 1.0) * 1e-12)
    one_way = csr_array((lengths, (rows, indices[rows, columns])), shape=(len(latents), len(latents)))
    return NeighbourGraph(csr_array(one_way.maximum(one_way.T)), len(latents), most, mean)


def _find_neighbours(latents: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances and rows (n, most) of the nearest others, the nearest first."""
    from sklearn.neighbors import NearestNeighbors

    if latents.shape[1] > _WIDEST_TREE:
        return NearestNeighbors(n_neighbors=most, algorithm="brute").fit(latents).kneighbors()
    distances, indices = map(np.asarray, KDTree(latents).query(latents, most + 1, workers=-1))
    own = indices == np.arange(len(latents))[:, None]
    own[~own.any(axis=1), -1] = True  # among many at one latent it may be missing
    return distances[~own].reshape(-1, most), indices[~own].reshape(-1, most)


def choose_along(
    latents: Float[np.ndarray, "p d"], stops: Sequence[int], n_points: int
) -> tuple[Int[np.ndarray, "f"], Float[np.ndarray, "f"]]:
    """At most ``n_points`` rows of a path, at about equal distances along it, and the distance travelled to each.

    Parameters
    ----------
    latents
        Latents of the path's particles, in order.
    stops
        Rows that are always chosen, including the first and the last, in order.

    Raises
    ------
    ValueError
        If there are more stops than points.
    """
    stops = sorted(set(stops))
    if len(stops) > n_points:
        raise ValueError(f"{len(stops)} anchors were given for {n_points} frames: set --frames to at least as many.")
    steps = np.linalg.norm(np.diff(latents, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    chosen = set(stops)
    # Between stops, rows nearest to equally spaced distances; as many as remain, distributed by length.
    total = max(float(along[-1]), 1e-300)
    counts = np.diff(np.round(along[stops] / total * (n_points - len(stops))))
    for (start, end), count in zip(pairwise(stops), counts.tolist(), strict=True):
        wanted = np.linspace(along[start], along[end], int(count) + 2)[1:-1]
        between = along[start : end + 1]
        chosen.update((start + np.abs(between[:, None] - wanted).argmin(axis=0)).tolist())
    rows = np.array(sorted(chosen))
    return rows, along[rows]
