"""Sums of many factors by matrix products against insertion channel by channel."""

import numpy as np
import pytest
import torch

from cryobench.fourier import shell_indices
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.layout import GridLayout, fold
from cryobench.reconstruction.statistics import FactoredSums, Folding, factored_sums, find_touched, spread_touched
from cryobench.rotations import order_directions, rotations_from_quaternions


@pytest.mark.parametrize(("size", "radius"), [(15, 7), (16, 7), (16, 4)])
@pytest.mark.parametrize("patch_bytes", [2e8, 2e4])
def test_factored_sums_are_those_of_insertion(rng, monkeypatch, size, radius, patch_bytes):
    monkeypatch.setattr(factored_sums, "_PATCH_BYTES", patch_bytes)
    monkeypatch.setattr(factored_sums, "_VOXELS_AT_ONCE", 100)
    n, disc = 30, HalfDisc(size, radius)
    rotations = torch.from_numpy(rotations_from_quaternions(rng.standard_normal((n, 4)))).float()
    data = torch.complex(*torch.from_numpy(rng.standard_normal((2, n, len(disc.index)))).float())
    weights = torch.from_numpy(rng.uniform(0, 1, data.shape)).float()
    first, second = (torch.from_numpy(rng.standard_normal((n, count))).float() for count in (5, 3))
    first[:, 1] = 0
    first[n // 2 :, 2:4] = 0
    sums = FactoredSums(disc, n_numerators=5, n_weights=3)
    for part in (slice(0, 20), slice(20, n)):
        sums.add(
            data[part],
            weights[part],
            rotations[part],
            numerator_factors=first[part],
            weight_factors=second[part],
        )
    numerators, squares = (SliceAccumulator(size, n_volumes=count, radius=radius) for count in (5, 3))
    unpacked = (disc.unpack(data), disc.unpack(weights))
    numerators.add(*unpacked, rotations, class_weights=first, threshold=0)
    squares.add(*unpacked, rotations, class_weights=second, threshold=0)
    numerator = torch.view_as_complex(spread_touched(sums.numerators, sums.layout, radius))
    weight = spread_touched(sums.weights, sums.layout, radius)[..., 0]
    for found, wanted in zip((numerator, weight), (numerators.sums[0], squares.sums[1]), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))
    assert (numerator[1] == 0).all()


def test_neighbours_in_the_order_of_directions_are_near(rng):
    directions = rng.standard_normal((5000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    order = order_directions(directions)
    assert (np.sort(order) == np.arange(5000)).all()
    ordered = directions[order]
    cosines = np.abs((ordered[1:] * ordered[:-1]).sum(1))
    # 5,000 directions on a half sphere are 2 degrees apart; in random order the median is 60 degrees.
    assert np.rad2deg(np.arccos(np.minimum(cosines, 1)))[np.arange(4999) % 10 != 0].mean() < 4
    flipped = directions * np.where(rng.random((5000, 1)) < 0.5, -1, 1)
    assert (order_directions(flipped) == order).all()


@pytest.mark.parametrize(("size", "radius"), [(11, 5), (12, 5), (12, 3)])
def test_folded_entries_are_those_of_the_grid(rng, size, radius):
    """Of entries up to the radius; at the corners of a grid a copy may lie on voxels that no slice touches."""
    layout = GridLayout(size)
    touched = len(find_touched(layout, radius))
    sums = torch.from_numpy(rng.standard_normal((touched, 2, 3))).float()
    weights = torch.from_numpy(rng.standard_normal((touched, 1, 3))).float()
    within = np.flatnonzero(shell_indices(size, 3).numpy().ravel() <= radius)
    folding = Folding.of(layout, radius, within)
    whole = torch.view_as_complex(spread_touched(sums, layout, radius))
    weight = spread_touched(weights, layout, radius)[..., 0]
    for channel in range(3):
        expected = fold(whole[channel], layout).flatten().numpy()[within]
        np.testing.assert_allclose(folding.numerator(sums, channel), expected, atol=1e-6)
        expected = fold(weight[channel], layout).flatten().numpy()[within]
        np.testing.assert_allclose(folding.weight(weights, channel), expected, atol=1e-6)


def test_values_are_added_where_slices_touch_the_grid():
    disc = HalfDisc(12, 3)
    sums = FactoredSums(disc, n_numerators=2, n_weights=1)
    center = sums.layout.center
    origin = np.ravel_multi_index((center, center, sums.layout.center_x), sums.layout.shape)
    sums.add_at(np.array([origin, 0]), np.array([1 + 2j, 5], dtype=np.complex64), 1)
    grid = torch.view_as_complex(spread_touched(sums.numerators, sums.layout, 3))
    assert grid[1].flatten()[origin] == 1 + 2j
    assert grid.abs().sum() == pytest.approx(5**0.5)
