"""The structural-disentanglement prior against its formula in plain loops, and its pool."""

import numpy as np
import pytest
import torch

from cryobench.methods.opus_dsd.disentanglement import LatentPool, PoolSizes, disentangle

SIZES = PoolSizes(bins=2, whole=40, neighbours=6, negatives=8)


def draw(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loops(latents: np.ndarray, pool: np.ndarray, drawn: np.ndarray, near: int, far: int) -> float:
    def square(one: np.ndarray, other: np.ndarray) -> float:
        return float(((one - other) ** 2).sum() + 1e-3)

    attraction, repulsion, within, nearest = [], [], [], []
    for i, latent in enumerate(latents):
        order = np.argsort([square(latent, each) for each in pool])
        attraction += [np.log(1 + square(latent, pool[j])) for j in order[:near]]
        negatives = [0.8 * pool[j] + 0.2 * pool[drawn[i, m]] for m, j in enumerate(order[::-1][:far])]
        repulsion += [np.log(1 + 1 / square(latent, each)) for each in negatives]
        others = sorted(square(latent, other) for j, other in enumerate(latents) if j != i)
        within += [np.log(1 + 1 / d) * min(d, 1) for d in others]
        nearest += [np.log(1 + d) for d in others[:2]]
    return np.mean(attraction) + 3 * np.mean(repulsion) + np.sum(within) / len(latents) ** 2 + np.mean(nearest)


@pytest.mark.parametrize(("count", "near", "far"), [(40, 6, 8), (20, 3, 4), (3, 1, 1)])
def test_the_prior_is_its_formula(count: int, near: int, far: int):
    latents, pool = draw(5, 1), draw(count, 2)
    drawn = np.random.default_rng(3).integers(count, size=(5, far))
    found = disentangle(latents, pool, SIZES, np.random.default_rng(3))
    expected = by_loops(latents.numpy(), pool.numpy(), drawn, near, far)
    np.testing.assert_allclose(float(found), expected, rtol=1e-6)


def test_gradients_reach_the_batch_and_not_the_pool():
    latents, pool = draw(4, 1).requires_grad_(), draw(30, 2).requires_grad_()
    disentangle(latents, pool, SIZES, np.random.default_rng(0)).backward()
    assert latents.grad is not None
    assert latents.grad.abs().min() > 0
    assert pool.grad is None


@pytest.mark.parametrize("latents", [draw(1, 1), torch.zeros(3, 3, dtype=torch.float64)])
def test_one_image_or_equal_latents_give_finite_numbers(latents: torch.Tensor):
    for pool in (draw(30, 2), draw(0, 2)):
        leaf = latents.clone().requires_grad_()
        found = disentangle(leaf, pool, SIZES, np.random.default_rng(0))
        found.backward()
        assert leaf.grad is not None
        assert torch.isfinite(found)
        assert torch.isfinite(leaf.grad).all()
        if len(latents) == 1 and not len(pool):
            assert found.item() == 0


def test_the_pool_is_of_other_views_as_many_as_asked_for():
    bins = np.repeat([3, 5, 6, 9], [50, 30, 1, 40])
    pool = LatentPool(bins, SIZES, seed=0)
    batch = np.flatnonzero(bins == 5)[:4]
    seen = set()
    for step in range(20):
        rows, _ = pool.draw(batch, step)
        assert len(np.unique(rows)) == len(rows) <= SIZES.whole
        assert len(set(bins[rows])) == 2
        assert 5 not in bins[rows]
        np.testing.assert_array_equal(rows, pool.draw(batch, step)[0])
        seen |= set(rows.tolist())
    assert len(seen) > 60
    assert not len(LatentPool(np.zeros(5, dtype=int), SIZES, 0).draw(np.arange(3), 0)[0])


def test_close_images_of_a_batch_repel_each_other():
    """The factor min(d², 1) carries no gradient: with it, close latents would attract each other."""
    latents = torch.zeros(3, 1, dtype=torch.float64)
    latents[1], latents[2] = 0.05, 3.0
    latents.requires_grad_()
    found = disentangle(latents, draw(0, 2)[:, :1], SIZES, np.random.default_rng(0))
    found.backward()
    d = 0.05**2 + 1e-3
    # Of the pair (0, 1): repulsion with weight d, in both orders of 9, against the attraction of nearest neighbours.
    far = [3.0**2 + 1e-3, 2.95**2 + 1e-3]
    repulsion = 2 / 9 * -1 / (d * (d + 1)) * d * 2 * -0.05 + 2 / 9 * -1 / (far[0] * (far[0] + 1)) * 2 * -3.0
    attraction = 2 / 6 * (1 / (1 + d) * 2 * -0.05 + 1 / (1 + far[0]) * 2 * -3.0)
    assert latents.grad is not None
    np.testing.assert_allclose(float(latents.grad[0]), repulsion + attraction, rtol=1e-6)
