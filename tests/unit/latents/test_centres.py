"""Particles that stand for clusters: real ones, the same each time, near ones after each other."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from cryobench.latents.centres import choose_centres, nearest_particles, order_by_neighbours


@pytest.fixture
def blobs(rng) -> np.ndarray:
    """Six groups of 20 on a zigzag along the second axis, in no order; row 7 was left out."""
    place = np.array([4, 0, 5, 1, 3, 2])
    centres = np.stack([6.0 * (place % 2), 10.0 * place, np.ones(6)], axis=1)
    latents = np.repeat(centres, 20, axis=0) + rng.standard_normal((120, 3))
    latents[7] = np.nan
    return latents


def test_centres_are_particles_nearest_to_those_of_scikit_learn(blobs) -> None:
    found = choose_centres(blobs, 6, seed=3)
    assert found.particles.dtype.kind == "i"
    assert 7 not in found.particles
    known = np.delete(np.arange(120), 7)
    expected = KMeans(6, n_init=10, random_state=0).fit(blobs[known])
    nearest = {
        int(known[np.linalg.norm(blobs[known] - centre, axis=1).argmin()]) for centre in expected.cluster_centers_
    }
    assert set(found.particles.tolist()) == nearest
    np.testing.assert_array_equal(found.sizes, [20, 20, 20, 20, 19, 20])  # along the zigzag
    np.testing.assert_array_equal(blobs[found.particles, 1].round(-1), np.arange(6) * 10)
    again = choose_centres(blobs, 6, seed=3)
    np.testing.assert_array_equal(again.particles, found.particles)


def test_order_is_the_shortest_tour_of_points_on_an_arc(rng) -> None:
    angles = rng.permutation(np.linspace(0, 2.5, 7))
    points = np.stack([-np.cos(angles), np.sin(angles)], axis=1)

    def length(order) -> float:
        return float(np.linalg.norm(np.diff(points[list(order)], axis=0), axis=1).sum())

    order = order_by_neighbours(points)
    assert length(order) == pytest.approx(min(map(length, permutations(range(7)))))
    assert points[order[0], 0] <= points[order[-1], 0]
    assert order_by_neighbours(points[:1]).tolist() == [0]
    assert order_by_neighbours(np.array([[2.0], [1.0]])).tolist() == [1, 0]


def test_nearest_particles_leave_out_those_without_latent(rng) -> None:
    latents = rng.standard_normal((30, 2))
    latents[4] = np.nan
    points = rng.standard_normal((5, 2))
    expected = [int(np.nanargmin(np.linalg.norm(latents - point, axis=1))) for point in points]
    np.testing.assert_array_equal(nearest_particles(latents, points), expected)


def test_more_clusters_than_different_latents() -> None:
    latents = np.repeat(np.arange(3.0)[:, None], 10, axis=0)
    with pytest.raises(ValueError, match="4 clusters were requested, and there are only 3 different"):
        choose_centres(latents, 4)
    assert sorted(latents[choose_centres(latents, 3).particles, 0]) == [0, 1, 2]
