"""Sizes of the grids, and the region where no mask is given."""

from dataclasses import replace

import numpy as np
import pytest

from cryobench.data import ArrayImages
from cryobench.methods.opus_dsd.region import find_region
from cryobench.methods.opus_dsd.settings import OpusDsdSettings
from cryobench.methods.opus_dsd.sizes import choose_sizes, find_extent, render_size
from cryobench.testing.toy import toy_dataset


def ball(side: int, radius: float) -> np.ndarray:
    axis = np.arange(side) - side // 2
    return (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= radius**2).astype(np.float32)


def test_sizes_of_the_benchmark():
    assert render_size(128, 0.75) == 96
    sizes = choose_sizes(ball(96, 30), 128, OpusDsdSettings())
    assert (sizes.render, sizes.crop, sizes.template) == (96, 62, 224)  # 2 x 30 / 96 + 4 / 128 of 96
    assert choose_sizes(ball(96, 30), 128, OpusDsdSettings(template_size=None)).template == 80
    assert choose_sizes(ball(96, 47), 128, OpusDsdSettings()).crop == 86  # nine tenths at most


def test_the_extent_is_that_about_the_centre():
    mask = np.zeros((16, 16, 16), dtype=np.float32)
    mask[8, 8, 12] = 1
    assert find_extent(mask) == 0.5
    with pytest.raises(ValueError, match="mask is empty"):
        find_extent(np.zeros((8, 8, 8)))


def test_sizes_that_do_not_fit_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match="template_size to at least 80"):
        choose_sizes(ball(96, 30), 128, OpusDsdSettings(template_size=48))
    with pytest.raises(ValueError, match="downfrac"):
        render_size(16, 0.5)


def test_without_a_mask_one_is_drawn_around_the_consensus():
    dataset = toy_dataset(size=24, n=300)
    assert find_region(dataset.particles) == (dataset.particles.mask, ())
    bare = replace(dataset.particles, mask=None)
    region, notes = find_region(bare)
    assert "No mask is given: one was drawn around the consensus" in notes[0]
    assert region.shape == (24, 24, 24)
    assert 0 <= region.min() <= region.max() <= 1
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    truth = np.mean([dataset.truth.volumes.read(state) for state in range(3)], axis=0)
    assert (truth * (region > 0.5)).sum() > 0.9 * truth.sum()
    assert (region > 0.5).mean() < 0.5
    noise = np.random.default_rng(0).standard_normal((300, 24, 24)).astype(np.float32)
    region, notes = find_region(replace(bare, images=ArrayImages(noise)))
    assert "shows no molecule" in notes[0]
    assert (region > 0.5).mean() > 0.3
