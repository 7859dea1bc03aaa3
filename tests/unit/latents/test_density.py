"""Density of latents: nearer to the truth than the kernel estimate, of mass one, its strength at the corner."""

import numpy as np
import pytest

from cryobench.latents.density import find_corner, grid_steps, latent_density
from cryobench.rng import stream

CENTRES, WIDTH = np.array([[-1.0, 0.0], [1.0, 0.3]]), 0.3
ERROR = 0.16 * np.array([[1.0, 0.4], [0.4, 0.7]])


@pytest.fixture(scope="module")
def blobs():
    generator = stream(0, "blobs")
    true = CENTRES[np.arange(3000) % 2] + WIDTH * generator.standard_normal((3000, 2))
    latents = true + generator.multivariate_normal(np.zeros(2), ERROR, 3000)
    latents = np.concatenate([latents, generator.standard_normal((3000, 1))], axis=1)
    covariance = np.eye(3)
    covariance[:2, :2] = ERROR
    precisions = np.tile(np.linalg.inv(covariance), (3000, 1, 1))
    return latents, precisions, latent_density(latents, precisions, points=28)


def test_deconvolved_is_nearer_to_the_truth(blobs):
    _, _, density = blobs
    points = np.stack(np.meshgrid(*density.axes, indexing="ij"), axis=-1)
    squares = [np.square(points - centre).sum(-1) for centre in CENTRES]
    truth = sum(np.exp(-square / 2 / WIDTH**2) for square in squares) / (4 * np.pi * WIDTH**2)
    cell = np.prod(grid_steps(density.axes))
    found, kernel = (np.abs(values - truth).sum() * cell for values in (density.values, density.kernel_estimate))
    assert kernel > 0.6
    assert found < 0.5 * kernel


def test_density_has_mass_one(blobs):
    _, _, density = blobs
    cell = np.prod(grid_steps(density.axes))
    assert density.values.shape == (28, 28)
    assert density.values.min() >= 0
    assert density.values.sum() * cell == pytest.approx(1)
    assert density.kernel_estimate.sum() * cell == pytest.approx(1)
    found = density.finding()
    assert found.values is density.values
    assert found.axes is density.axes


def test_strength_is_at_the_corner(blobs):
    latents, precisions, density = blobs
    alphas, residuals, roughnesses = density.curve
    assert (np.diff(alphas) < 0).all()
    assert (np.diff(residuals) <= 1e-6).all()
    assert (np.diff(roughnesses) >= -1e-6).all()
    chosen = int(np.flatnonzero(alphas == density.alpha)[0])
    assert chosen == find_corner(residuals, roughnesses)
    assert 0 < chosen < len(alphas) - 1
    assert latent_density(latents, precisions, points=12, alphas=alphas[4:8]).curve.shape == (3, 4)


def test_corner_of_an_l_is_its_corner():
    residuals = np.exp([0.0, -1, -2, -3, -4, -4.1, -4.2])
    roughnesses = np.exp([0.0, 0.1, 0.2, 0.3, 0.4, 2, 4])
    assert find_corner(residuals, roughnesses) == 4


@pytest.mark.parametrize("dimensions", [1, 3])
def test_other_dimensions(blobs, dimensions):
    latents, precisions, _ = blobs
    density = latent_density(
        latents, precisions, dimensions=dimensions, points=12, alphas=np.array([1e-3, 1e-2, 1e-1])
    )
    assert density.values.shape == (12,) * dimensions
    assert density.axes.shape == (dimensions, 12)
    assert density.values.sum() * np.prod(grid_steps(density.axes)) == pytest.approx(1)


def test_bad_input(blobs):
    latents, precisions, _ = blobs
    wide, full = np.zeros((10, 6)), np.tile(np.eye(6), (10, 1, 1))
    with pytest.raises(ValueError, match=r"over 1 to 4 of 6 latent axes .*got dimensions = 5"):
        latent_density(wide, full, dimensions=5)
    with pytest.raises(ValueError, match="over 1 to 3 of 3 latent axes"):
        latent_density(latents, precisions, dimensions=4)
    with pytest.raises(ValueError, match="all 10 particles have the same latent on axis 0"):
        latent_density(wide, full)
    with pytest.raises(ValueError, match="4 grid points and 3 alphas"):
        latent_density(latents, precisions, points=3)
    broken = latents.copy()
    broken[5] = np.inf
    with pytest.raises(ValueError, match="latent 5 is not finite"):
        latent_density(broken, precisions)
    singular = precisions.copy()
    singular[4] = 0
    with pytest.raises(ValueError, match="precision of particle 4 has rank 0 of 3"):
        latent_density(latents, singular)
