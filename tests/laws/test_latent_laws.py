"""Latent metrics where the answer is known in closed form, and what they must not depend on."""

import numpy as np
import pytest
from scipy.stats import special_ortho_group

from cryobench.metrics import decodability, information_imbalance, neighbourhood_similarity

K = (1, 3, 10, 30)


def noisy_pair(rng: np.random.Generator, n: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    truth = rng.standard_normal((n, 2))
    return truth, np.concatenate([truth, rng.standard_normal((n, 2))], axis=1) + noise * rng.standard_normal((n, 4))


def circle(states: np.ndarray, n_states: int) -> np.ndarray:
    turn = 2 * np.pi * states / n_states
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


@pytest.mark.parametrize("n", [250, 253])
@pytest.mark.parametrize("kind", ["continuous", "circle", "labels"])
def test_truth_is_the_best_latent(rng, n, kind):
    states = np.arange(n) % 10
    truth = {"continuous": rng.standard_normal((n, 3)), "circle": circle(states, 10), "labels": states}[kind]
    found = neighbourhood_similarity(truth, truth)
    np.testing.assert_allclose(found.attained, 100, rtol=1e-12)
    np.testing.assert_array_equal(found.similarity, 100)
    np.testing.assert_allclose(found.tie_averaged, found.ceiling, rtol=1e-12)
    if kind == "continuous":
        np.testing.assert_array_equal(found.ceiling, 100)
        imbalance = information_imbalance(truth, truth, K)
        np.testing.assert_allclose(imbalance.forward, (np.array(K) + 1) / n, rtol=1e-12)
        np.testing.assert_array_equal(imbalance.forward, imbalance.backward)


def test_a_latent_of_infinitesimal_noise_attains_what_ties_allow(rng):
    truth = circle(np.repeat(np.arange(20), 30), 20)
    found = neighbourhood_similarity(truth, truth + 1e-6 * rng.standard_normal(truth.shape))
    np.testing.assert_allclose(found.attained, 100, rtol=1e-12)
    assert found.ceiling.min() < 80


@pytest.mark.parametrize("offsets", [1, 5])
def test_independent_points_share_neighbours_by_chance(rng, offsets):
    truth, latent = rng.standard_normal((1500, 2)), rng.standard_normal((1500, 8))
    found = neighbourhood_similarity(truth, latent, offsets=offsets)
    error = found.attained_by_point.std(axis=0) / np.sqrt(1500)
    assert (np.abs(found.similarity - found.chance) < 5 * error).all()
    np.testing.assert_allclose(found.chance, found.radii, rtol=0.01)
    np.testing.assert_allclose(found.attained_chance, found.chance)
    imbalance = information_imbalance(truth, latent, K)
    for values in (imbalance.forward_by_point, imbalance.backward_by_point):
        assert (np.abs(values.mean(axis=0) - 1) < 5 * values.std(axis=0) / np.sqrt(1500)).all()


def test_a_constant_latent_is_exactly_chance(rng):
    truth, latent = rng.standard_normal((300, 2)), np.full((300, 4), 0.7)
    found = neighbourhood_similarity(truth, latent)
    np.testing.assert_allclose(found.tie_averaged, found.chance, rtol=1e-12)
    imbalance = information_imbalance(truth, latent, K, ties="average")
    np.testing.assert_allclose(imbalance.forward, 1, rtol=1e-12)
    np.testing.assert_allclose(imbalance.backward, 1, rtol=1e-12)


def test_states_merged_in_pairs_have_a_closed_form():
    """Six states of m particles, of which the latent tells three pairs."""
    m, n = 40, 240
    states = np.arange(n) % 6
    k = m - 1
    found = neighbourhood_similarity(states, states // 2, [100 * k / n], offsets=1)
    assert found.neighbours == [k]
    np.testing.assert_allclose(found.attained, 100 * k / (2 * m - 1), rtol=1e-12)
    imbalance = information_imbalance(states, states // 2, k, ties="average")
    np.testing.assert_allclose(imbalance.forward, 2 * m / n, rtol=1e-12)
    same, other = (m - 1) * m / 2, m * (m + n - 1) / 2
    np.testing.assert_allclose(imbalance.backward, 2 / n * (same + other) / (2 * m - 1), rtol=1e-12)


@pytest.mark.parametrize("ties", ["remove", "average"])
def test_rotation_shift_and_scale_do_not_matter(rng, ties):
    truth, latent = noisy_pair(rng, 300, 0.3)
    variable = np.arctan2(truth[:, 1], truth[:, 0])
    similarity = neighbourhood_similarity(truth, latent).similarity
    imbalance = information_imbalance(truth, latent, K, ties=ties).forward
    decoded = decodability(latent, variable, 2 * np.pi)
    for scale in (1e-9, 1.0, 3e7):
        moved = scale * (latent @ special_ortho_group.rvs(4, random_state=rng) + 2)
        np.testing.assert_allclose(neighbourhood_similarity(truth, moved).similarity, similarity, atol=1e-9)
        np.testing.assert_allclose(information_imbalance(truth, moved, K, ties=ties).forward, imbalance, atol=1e-9)
        again = decodability(moved, variable, 2 * np.pi)
        assert again.knn == pytest.approx(decoded.knn, abs=1e-9)
        assert again.linear == pytest.approx(decoded.linear, abs=1e-6)


def test_the_two_spaces_may_change_places(rng):
    truth, latent = noisy_pair(rng, 300, 0.3)
    latent = np.round(latent, 1)  # ties
    one, other = neighbourhood_similarity(truth, latent), neighbourhood_similarity(latent, truth)
    np.testing.assert_array_equal(one.similarity, other.similarity)
    np.testing.assert_allclose(one.tie_averaged, other.tie_averaged, rtol=1e-12)
    one, other = (information_imbalance(*pair, K, ties="average") for pair in ((truth, latent), (latent, truth)))
    np.testing.assert_allclose(one.forward, other.backward, rtol=1e-12)
    np.testing.assert_allclose(one.backward, other.forward, rtol=1e-12)


def test_order_of_the_points_does_not_matter(rng):
    truth, latent = circle(np.arange(300) % 12, 12), np.round(rng.standard_normal((300, 2)))
    order = rng.permutation(300)
    one = neighbourhood_similarity(truth, latent, offsets=1)
    other = neighbourhood_similarity(truth[order], latent[order], offsets=1)
    np.testing.assert_allclose(one.attained, other.attained, rtol=1e-12)
    one = information_imbalance(truth, latent, K, ties="average")
    other = information_imbalance(truth[order], latent[order], K, ties="average")
    np.testing.assert_allclose(one.forward, other.forward, rtol=1e-12)


def test_noise_makes_everything_worse(rng):
    state = rng.bit_generator.state
    values = []
    for noise in (0.01, 0.1, 0.5, 2.0):
        rng.bit_generator.state = state  # the same points, the same noise, larger
        truth, latent = noisy_pair(rng, 400, noise)
        imbalance = information_imbalance(truth, latent, K)
        decoded = decodability(latent, truth[:, 0])
        similarity = neighbourhood_similarity(truth, latent).similarity.mean()
        values.append([similarity, -imbalance.backward.mean(), decoded.knn, decoded.linear])
    assert (np.diff(values, axis=0) < 0).all()


def test_a_latent_that_knows_more_tells_more_than_it_is_told(rng):
    """Δ(latent → truth) is small where the truth is part of the latent, Δ(truth → latent) is not."""
    truth = rng.standard_normal((600, 1))
    latent = np.concatenate([truth, 0.3 * rng.standard_normal((600, 1))], axis=1)
    imbalance = information_imbalance(truth, latent, K)
    assert (imbalance.backward < 0.6 * imbalance.forward).all()
