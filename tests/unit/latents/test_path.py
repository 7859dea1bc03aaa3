"""Paths keep to the density: around a ring, not through its hole, with the other coordinates of particles there."""

import numpy as np
import pytest

from cryobench.latents.density import grid_steps, latent_density
from cryobench.latents.path import choose_ends, density_at, find_path
from cryobench.rng import stream


@pytest.fixture(scope="module")
def ring():
    generator = stream(0, "ring")
    angles = generator.uniform(0, 2 * np.pi, 3000)
    latents = np.stack([np.cos(angles), np.sin(angles), 2 * np.cos(angles), np.sin(angles)], axis=1)
    latents += 0.12 * generator.standard_normal(latents.shape)
    precisions = np.tile(np.eye(4) / 0.12**2, (3000, 1, 1))
    return latents, latent_density(latents, precisions, points=28).finding()


def test_path_follows_the_ring(ring):
    latents, density = ring
    start, end = np.array([1.0, 0, 2, 0]), np.array([-0.9, 0.3, -1.8, 0.3])
    path = find_path(density, latents, start, end, n_points=15)
    assert path.shape == (15, 4)
    np.testing.assert_array_equal(path[[0, -1]], [start, end])
    radii = np.linalg.norm(path[:, :2], axis=1)
    assert radii.min() > 0.75
    assert radii.max() < 1.2
    assert (path[1:-1, 1] > -0.1).all()  # the shorter way round
    lengths = np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1)
    assert lengths.max() < 1.15 * lengths.min()
    # The other axes are those of the particles on the way.
    np.testing.assert_allclose(path[:, 2], 2 * path[:, 0], atol=0.3)
    np.testing.assert_allclose(path[:, 3], path[:, 1], atol=0.2)


def test_ends_are_far_apart_where_particles_are(ring):
    latents, density = ring
    start, end = choose_ends(latents, density)
    assert start.shape == end.shape == (4,)
    assert np.linalg.norm(start[:2] - end[:2]) > 1.4
    assert density_at(density, np.stack([start, end])).min() > 0.3 * density.values.max()
    again = choose_ends(latents, density)
    np.testing.assert_array_equal(again, (start, end))


def test_density_at_is_linear_and_zero_outside(ring):
    _, density = ring
    middle = np.array([[*(density.axes[:, 10] + 0.5 * grid_steps(density.axes)), 0, 0], [99.0, 0, 0, 0]])
    assert density_at(density, middle) == pytest.approx([density.values[10:12, 10:12].mean(), 0])


def test_path_of_two_points_is_its_ends(ring):
    latents, density = ring
    start = np.array([1.0, 0, 2, 0])
    np.testing.assert_array_equal(find_path(density, latents, start, start, n_points=2), [start, start])


def test_bad_input(ring):
    latents, density = ring
    start = np.array([1.0, 0, 2, 0])
    with pytest.raises(ValueError, match="n_points = 1"):
        find_path(density, latents, start, -start, n_points=1)
    with pytest.raises(ValueError, match="lies outside the density's grid"):
        find_path(density, latents, start, 50 * start, n_points=5)
    with pytest.raises(ValueError, match="latent of 4 finite numbers"):
        find_path(density, latents, start, start[:2], n_points=5)
    with pytest.raises(ValueError, match="two different latents"):
        choose_ends(np.tile(start, (9, 1)), density)
