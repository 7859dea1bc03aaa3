"""Backgrounds of images: found where there is one, subtracted image by image, and left alone where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from cryobench.data import ArrayImages, Particles, corner_pixels
from cryobench.reconstruction.images import level_background
from toy import toy_dataset


def lift(particles: Particles, levels: np.ndarray) -> Particles:
    images = particles.images.read(np.arange(len(particles)))
    raised = images + (levels * images.std()).astype(np.float32)[:, None, None]
    return replace(particles, images=ArrayImages(raised))


@pytest.mark.parametrize("size", [23, 24])
def test_corners_are_what_the_largest_circle_leaves(size):
    corners = corner_pixels(size)
    assert corners[0, 0]
    assert not corners[size // 2].any()
    assert corners.mean() == pytest.approx(1 - np.pi / 4, abs=0.05)


def test_particles_without_a_background_stay_as_they_are():
    for snr in (0.05, 100.0):
        particles = toy_dataset(n=200, snr=snr).particles
        found, notes = level_background(particles)
        assert found is particles
        assert notes == ()


@pytest.mark.parametrize("levels", [np.full(200, 0.5), np.linspace(-1, 1, 200)])
def test_a_background_is_subtracted_from_each_image(levels):
    """Also where it is zero on average."""
    plain = toy_dataset(n=200).particles
    found, notes = level_background(lift(plain, levels))
    assert "of their standard deviation" in notes[0]
    chosen = np.array([150, 3, 70])
    left = found.read(chosen)
    np.testing.assert_allclose(left[:, corner_pixels(24)].mean(axis=1), 0, atol=1e-5)
    offsets = left - plain.read(chosen)
    assert np.ptp(offsets, axis=(1, 2)).max() < 1e-4
    assert np.abs(offsets).max() < 0.3 * plain.read(chosen).std()
    again, none = level_background(found)
    assert again is found
    assert none == ()


def test_a_broken_image_is_named_by_its_index_in_the_table():
    particles = lift(toy_dataset(n=60).particles, np.full(60, 1.0))
    images = np.array(particles.images.read(np.arange(60)))
    found, _ = level_background(particles)
    images[17, 3, 4] = np.nan
    broken = replace(found, images=replace(found.images, images=ArrayImages(images)))
    with pytest.raises(ValueError, match="particle 17 holds NaN"):
        broken.select(np.array([2, 17])).read([1])
