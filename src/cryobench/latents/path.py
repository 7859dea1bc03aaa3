"""Paths between latents that follow the particles: of least ∫ −log density.

The cost of a step on the density's grid is its length times −log of the density there, so a path stays where
particles are and avoids empty regions. Latent axes beyond the density's follow the particles nearby.

Source: Gilles & Singer, PNAS 122 (2025). Minimal paths by Dijkstra's algorithm on the grid with its diagonals
(scikit-image), not by fast marching: the same path to a few degrees, from an existing dependency.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from cryobench._sampling import spread_indices
from cryobench.data import LatentDensity
from cryobench.latents.density import grid_steps, scott_covariance

LEAST_DENSITY = 1e-4
"""Fraction of the largest density: lower values cost no more, so a path across a gap is straight."""
_BASE_COST = 0.05
_CENTRES = 20
_SAMPLE = 20_000


def find_path(
    density: LatentDensity,
    latents: Float[np.ndarray, "n d"],
    start: np.ndarray,
    end: np.ndarray,
    *,
    n_points: int,
) -> Float[np.ndarray, "f d"]:
    """Latents on the path from ``start`` to ``end``, both included, at equal distances over the density's axes.

    Parameters
    ----------
    density
        Density over the first latent axes.
    start, end
        (d,).
    latents
        (n, d) of the particles, which determine the path's coordinates on the other axes: means weighted by a
        Gaussian of Scott's covariance about the path.

    Raises
    ------
    ValueError
        If ``n_points`` is below 2, an end has another width, is not finite or is outside the density's grid.
    """
    from skimage.graph import MCP_Geometric

    dimensions, width = len(density.axes), latents.shape[1]
    if n_points < 2:
        raise ValueError(f"a path has at least its two ends, got n_points = {n_points}.")
    _check_ends(density, width, start, end)
    ends = np.stack([start, end])[:, :dimensions].astype(np.float64)
    values, steps = np.asarray(density.values, dtype=np.float64), grid_steps(density.axes)
    relative = np.maximum(values / values.max(), LEAST_DENSITY)
    graph = MCP_Geometric(_BASE_COST - np.log(relative), sampling=tuple(steps))
    first, last = np.rint((ends - density.axes[:, 0]) / steps).astype(int)
    graph.find_costs([tuple(first)], [tuple(last)])
    line = density.axes[:, 0] + np.array(graph.traceback(tuple(last))) * steps
    line = np.concatenate([ends[:1], line[1:-1], ends[1:]]) if len(line) > 2 else ends
    if len(line) > 4:  # corners of a path on a grid are artefacts of the grid
        line[1:-1] = ndimage.gaussian_filter1d(line, 1.5, axis=0, mode="nearest")[1:-1]
    line = resample_path(line, n_points)
    path = np.empty((n_points, width))
    path[:, :dimensions] = line
    if width > dimensions:
        path[:, dimensions:] = _local_means(line, latents, dimensions)
    path[0], path[-1] = start, end
    return path


def choose_ends(
    latents: Float[np.ndarray, "n d"], density: LatentDensity
) -> tuple[Float[np.ndarray, "d"], Float[np.ndarray, "d"]]:
    """The two k-means centres farthest apart, over the density's axes, among those of high density.

    These are the half of higher density of up to 20 centres. ValueError if there are fewer than two distinct latents.
    """
    from sklearn.cluster import KMeans

    sample = latents[spread_indices(len(latents), _SAMPLE)].astype(np.float64)
    distinct = len(np.unique(sample, axis=0))
    if distinct < 2:
        raise ValueError(f"a path needs two different latents, and there is {distinct} in all.")
    count = min(_CENTRES, distinct)
    centres = KMeans(count, random_state=0).fit(sample).cluster_centers_
    centres = centres[np.argsort(-density_at(density, centres), kind="stable")[: max(2, (count + 1) // 2)]]
    near = centres[:, : len(density.axes)]
    distances = np.square(near[:, None] - near).sum(-1)
    one, other = np.unravel_index(int(distances.argmax()), distances.shape)
    low, high = density.axes[:, 0], density.axes[:, -1]
    ends = []
    for index in sorted((int(one), int(other))):
        end = centres[index].copy()
        end[: len(low)] = np.clip(end[: len(low)], low, high)
        ends.append(end)
    return ends[0], ends[1]


def density_at(density: LatentDensity, latents: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
    """Density at latents, linear between grid points, 0 outside the grid."""
    position = (latents[:, : len(density.axes)] - density.axes[:, 0]) / grid_steps(density.axes)
    values = np.asarray(density.values, dtype=np.float64)
    return np.asarray(ndimage.map_coordinates(values, position.T, order=1, mode="constant"))


def resample_path(line: np.ndarray, n_points: int) -> np.ndarray:
    """Points at equal distances along a polyline."""
    lengths = [float(np.linalg.norm(after - before)) for before, after in pairwise(line)]
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.linspace(0, along[-1], n_points)
    return np.stack([np.interp(wanted, along, axis) for axis in line.T], axis=1)


def _local_means(line: np.ndarray, latents: np.ndarray, dimensions: int) -> np.ndarray:
    """Mean of the latents' other coordinates around each point; of the nearest particle where none is near."""
    near = latents[:, :dimensions].astype(np.float64)
    precision = np.linalg.inv(scott_covariance(near))
    rest = latents[:, dimensions:].astype(np.float64)
    means = np.empty((len(line), rest.shape[1]))
    for row, point in enumerate(line):
        difference = near - point
        distance = np.einsum("ni,ij,nj->n", difference, precision, difference)
        weights = np.exp(-0.5 * (distance - distance.min()))
        means[row] = weights @ rest / weights.sum()
    return means


def _check_ends(density: LatentDensity, width: int, *ends: np.ndarray) -> None:
    low, high = density.axes[:, 0], density.axes[:, -1]
    for end in ends:
        if end.shape != (width,) or not np.isfinite(end).all():
            raise ValueError(f"an end of a path is a latent of {width} finite numbers, got {end}.")
        inside = end[: len(low)]
        if (inside < low).any() or (inside > high).any():
            raise ValueError(
                f"the end {inside.tolist()} lies outside the density's grid, from {low.tolist()} to {high.tolist()}: "
                "choose one among the particles."
            )
