"""Latents from forces: along what varies more than noise does, however much of it there is."""

import numpy as np
from scipy.stats import spearmanr

from cryobench.methods.flex_3d.forces import find_latents


def draw_forces(rng, n=2000, size=12, strength=1.0):
    """Forces H c + noise of covariance H, c along one direction; H has directions of far more noise."""
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    stiffness = basis @ np.diag(np.geomspace(1, 1000, size)) @ basis.T
    root = np.linalg.cholesky(stiffness)
    way = basis[:, 2] / np.sqrt(basis[:, 2] @ stiffness @ basis[:, 2])
    motion = strength * rng.standard_normal(n)
    forces = motion[:, None] * (stiffness @ way) + rng.standard_normal((n, size)) @ root.T
    return forces + 7.0, rng.standard_normal((n, size)) @ root.T, motion


def test_the_direction_of_motion_is_found_where_noise_is_larger_elsewhere(rng):
    forces, noise, motion = draw_forces(rng)
    found = find_latents(forces, noise, 2)
    assert found.dtype == np.float32
    # As much as one force of unit signal and unit noise tells.
    assert abs(spearmanr(found[:, 0], motion).statistic) > 0.65
    assert abs(spearmanr(found[:, 1], motion).statistic) < 0.1
    largest = np.linalg.svd(forces - forces.mean(0), full_matrices=False)[2][0]
    assert abs(spearmanr(forces @ largest, motion).statistic) < 0.1


def test_latents_are_in_range_and_their_sign_is_settled(rng):
    forces, noise, _ = draw_forces(rng, strength=3.0)
    found = find_latents(forces, noise, 3)
    assert found.shape == (2000, 3)
    assert np.abs(found).max() <= 1.5
    assert np.allclose(found.std(axis=0), 0.75, atol=0.05)
    again = find_latents(forces[::-1], noise, 3)[::-1]
    assert np.allclose(found, again, atol=1e-4)
