"""Particles in a smaller box, and the order in which images are stored."""

import dataclasses

import numpy as np
import pytest
import torch

from cryobench.compute import Compute
from cryobench.data import ArrayImages, CroppedImages, IndexedVolumes, PaddedVolumes
from cryobench.fourier import fourier_crop, fourier_pad
from cryobench.reconstruction.engine import Passes
from cryobench.reconstruction.statistics import backproject
from toy import toy_dataset

BOXES = pytest.mark.parametrize(("size", "small"), [(24, 16), (24, 15), (25, 16), (25, 15)])


@BOXES
def test_projections_of_a_band_limited_volume_are_those_of_the_cropped_one(size, small, rng):
    """Along all three axes, as images are projected: sums over voxels."""
    coarse = torch.from_numpy(rng.standard_normal((small,) * 3)).float()
    coarse = fourier_crop(fourier_pad(coarse, size, dimensions=3), small, dimensions=3)  # without Nyquist planes
    fine = fourier_pad(coarse, size, dimensions=3)
    projected = ArrayImages(np.stack([fine.sum(axis).numpy() for axis in range(3)]))
    cropped = CroppedImages(projected, small)
    assert len(cropped) == 3
    expected = np.stack([coarse.sum(axis).numpy() for axis in range(3)])
    np.testing.assert_allclose(cropped.read(np.arange(3)), expected, atol=2e-5 * np.abs(expected).max())
    padded = PaddedVolumes(IndexedVolumes(coarse.numpy()[None], np.zeros(2, dtype=int)), size)
    assert (len(padded), padded.box_size) == (2, size)
    np.testing.assert_allclose(padded.read(1), fine, atol=1e-5)


@pytest.mark.parametrize(("size", "small"), [(24, 12), (33, 11), (27, 9)])
def test_a_volume_made_in_the_small_box_is_that_of_the_whole_images(size, small):
    """Where the voxels of the two grids coincide, at the same frequencies."""
    particles = toy_dataset(size=size, n=150).particles
    radius, every = (small - 1) // 2 - 2, size // small  # the taps reach two shells further
    weights = np.ones((150, 1), dtype=np.float32)
    whole, cropped = (
        backproject(Passes(each, Compute(), radius=radius), weights)[0]
        for each in (particles, particles.at_box(small))
    )
    first = size // 2 - every * (small // 2)
    on_the_grid = whole[first::every, first::every, first::every]
    np.testing.assert_allclose(cropped, on_the_grid, atol=2e-4 * np.abs(whole).max())


@BOXES
def test_particles_keep_the_length_of_the_box(size, small):
    particles = toy_dataset(size=size, n=40).particles
    cropped = particles.at_box(small)
    assert cropped.box_size == small
    assert cropped.pixel_size * small == pytest.approx(particles.pixel_size * size)
    assert cropped.mask.shape == (small,) * 3
    np.testing.assert_allclose(cropped.mask.mean(), particles.mask.mean(), rtol=0.05)
    np.testing.assert_array_equal(cropped.shifts, particles.shifts)
    inverted = dataclasses.replace(particles, images=ArrayImages(-particles.read(np.arange(40))), sign=-1)
    np.testing.assert_array_equal(inverted.at_box(small).read([3, 1]), cropped.read([3, 1]))
    chosen = np.array([7, 2])
    np.testing.assert_array_equal(cropped.select(chosen).read([0, 1]), cropped.read(chosen))
    np.testing.assert_array_equal(particles.select(chosen).at_box(small).read([0, 1]), cropped.read(chosen))
    assert particles.at_box(size) is particles


def test_boxes_out_of_range_are_refused():
    particles = toy_dataset(size=16, n=40).particles
    for box in (17, 3):
        with pytest.raises(ValueError, match=f"16 px cannot be cropped to a box of {box} px: give one from 4 to 16"):
            particles.at_box(box)


def test_a_bad_pixel_is_named_as_the_table_counts_through_crops_and_selections():
    toy = toy_dataset(size=16, n=40)
    images = toy.particles.images.read(np.arange(40))
    images[33, 2, 3] = np.nan
    particles = dataclasses.replace(toy.particles, images=ArrayImages(images))
    with pytest.raises(ValueError, match="image of particle 33 holds NaN"):
        particles.select(np.arange(20, 40)).at_box(12).select(np.array([0, 13])).read([1])
