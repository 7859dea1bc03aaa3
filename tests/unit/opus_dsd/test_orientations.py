"""Bins of viewing directions, and the tilted orientations of the posterior."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.methods.opus_dsd.orientations import tilted_directions, tilts, view_bins
from cryobench.rotations import geodesic_distance, healpix_directions


@pytest.mark.parametrize("n_side", [1, 2, 4, 8])
def test_pixel_centres_are_evenly_spread(n_side: int):
    directions = healpix_directions(n_side)
    assert len(np.unique(directions.round(9), axis=0)) == 12 * n_side**2
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    np.testing.assert_allclose(directions.sum(0), 0, atol=1e-9)
    spread = directions.T @ directions / len(directions)
    np.testing.assert_allclose(spread, np.eye(3) / 3, atol=0.04 / n_side**2)


def test_pixel_centres_are_the_published_ones():
    """z and azimuth of the grid of n_side 1, and the first of n_side 2, by the paper's equations."""
    x, y, z = healpix_directions(1).T
    np.testing.assert_allclose(z, np.repeat([2 / 3, 0, -2 / 3], 4), atol=1e-12)
    np.testing.assert_allclose(np.rad2deg(np.arctan2(y, x))[:5] % 360, [45, 135, 225, 315, 0], atol=1e-9)
    np.testing.assert_allclose(healpix_directions(2)[[0, 4, 12], 2], [11 / 12, 2 / 3, 1 / 3])


def test_eight_tilts_are_those_of_the_polar_pixels_neighbours():
    found = np.rad2deg(tilted_directions(32)[:, 0])
    np.testing.assert_allclose(found, [1.46] * 3 + [2.92] * 4 + [4.39], atol=0.01)
    whole = healpix_directions(32)
    x, y, z = whole[1:][np.argsort(-(whole[1:] @ whole[0]))[:8]].T  # all pixels, and not the first rings alone
    np.testing.assert_allclose(np.sort(np.rad2deg(np.arccos(z))), np.sort(found), atol=1e-6)
    np.testing.assert_allclose(np.sort(np.arctan2(y, x)), np.sort(tilted_directions(32)[:, 1]), atol=1e-9)


def test_tilts_are_rotations_by_the_tilt_about_an_axis_in_the_plane():
    directions, angles = tilted_directions(32), torch.tensor([0.0, 1.1])
    found = tilts(directions, angles).numpy()
    for turn, each in zip((0.0, 1.1), found, strict=True):
        tilt, azimuth = directions[:, 0], directions[:, 1] + turn
        vectors = tilt[:, None] * np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros(8)], axis=1)
        np.testing.assert_allclose(each, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-6)


def test_particles_of_a_bin_are_seen_from_near():
    rotations = Rotation.random(3000, random_state=1).as_matrix()
    bins = view_bins(rotations, 2)
    assert set(bins) == set(range(48))
    centres = healpix_directions(2)[bins]
    angles = np.arccos((rotations[:, 2] * centres).sum(1))
    assert angles.max() < np.deg2rad(25)
    turned = Rotation.from_euler("z", 1.0).as_matrix() @ rotations
    np.testing.assert_array_equal(view_bins(turned, 2), bins)
    assert (geodesic_distance(turned, rotations) > 0.9).all()
