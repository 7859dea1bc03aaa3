"""Neighbourhood similarity beside a double argsort over all pairs, exactly; ties beside noise that breaks them."""

import numpy as np
import pytest

from cryobench.metrics import neighbourhood_similarity


def count_by_argsort(first: np.ndarray, second: np.ndarray, k: int) -> float:
    """Mean number of points, the point itself included, of rank below k + 1 in both spaces: as published."""
    hits = 0
    for i in range(len(first)):
        near = [
            np.argsort(np.argsort(np.linalg.norm(space - space[i], axis=1), kind="stable"), kind="stable") < k + 1
            for space in (first, second)
        ]
        hits += int((near[0] & near[1]).sum())
    return hits / len(first)


@pytest.mark.parametrize(("n", "wide"), [(400, 1), (403, 8), (350, 30)])
def test_equals_a_double_argsort(rng, n, wide):
    truth = rng.standard_normal((n, 2))
    latent = rng.standard_normal((n, wide)) + truth[:, :1]
    radii = [2.5, 5, 10, 37, 100]
    found = neighbourhood_similarity(truth, latent, radii)
    for offset in range(5):
        subset = slice(offset, None, 5)
        for at, k in enumerate(found.neighbours):
            hits = count_by_argsort(truth[subset], latent[subset], k)
            assert found.similarities[offset, at] == pytest.approx(100 * (hits - 1) / k, rel=1e-13)
    everything = neighbourhood_similarity(truth, latent, radii, offsets=1)
    hits = [count_by_argsort(truth, latent, k) for k in everything.neighbours]
    np.testing.assert_allclose(everything.published, 100 * np.array(hits) / everything.neighbours, rtol=1e-13)


def test_many_points_in_one_bin_are_still_in_order(rng):
    """Half of the points 10²⁰ times nearer to one another than to the rest: more octaves than there are bins for."""
    truth = rng.standard_normal((300, 2))
    truth[:150] *= 1e-20
    latent = truth + 0.1 * truth * rng.standard_normal(truth.shape)
    found = neighbourhood_similarity(truth, latent, [1, 10, 40], offsets=1)
    hits = [count_by_argsort(truth, latent, k) for k in found.neighbours]
    np.testing.assert_allclose(found.published, 100 * np.array(hits) / found.neighbours, rtol=1e-13)


def test_ties_stand_by_index(rng):
    """Integers tie exactly, so that a stable argsort and ours must break the ties alike."""
    truth = rng.integers(0, 12, (200, 1)).astype(float)
    latent = rng.integers(0, 5, (200, 2)).astype(float)
    found = neighbourhood_similarity(truth, latent, [20, 50, 80], offsets=1)
    hits = np.zeros(3)
    for i in range(200):
        ranks = []
        for space in (truth, latent):
            distances = np.linalg.norm(space - space[i], axis=1)
            distances[i] = -1  # a point comes before its duplicates
            ranks.append(np.argsort(np.argsort(distances, kind="stable"), kind="stable"))
        hits += [(np.maximum(*ranks) <= k).sum() - 1 for k in found.neighbours]
    np.testing.assert_allclose(found.similarity, 100 * hits / 200 / found.neighbours, rtol=1e-13)


def test_averaged_ties_are_the_mean_over_ways_to_break_them(rng):
    truth = rng.integers(0, 6, (90, 1)).astype(float)
    latent = truth + rng.integers(0, 3, (90, 1))
    radii = [5, 20, 60]
    exact = neighbourhood_similarity(truth, latent, radii, offsets=1)
    drawn = []
    for _ in range(200):
        noise = 1e-4 * rng.random((2, 90, 90))
        near = []
        for space, breaker in zip((truth, latent), noise, strict=True):
            distances = np.abs(space - space.T) + breaker
            np.fill_diagonal(distances, -1)
            near.append(np.argsort(np.argsort(distances, axis=1), axis=1))
        drawn.append([100 * ((np.maximum(*near) <= k).sum() / 90 - 1) / k for k in exact.neighbours])
    error = np.std(drawn, axis=0) / np.sqrt(len(drawn))
    assert (np.abs(np.mean(drawn, axis=0) - exact.tie_averaged) < 5 * error).all()
    assert (exact.tie_averaged < exact.ceiling).all()
