"""Half-discs: one of each Friedel pair, small ones in large ones, and their way back into whole spectra."""

import numpy as np
import pytest
import torch

from cryobench.fourier import fft_images
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.half_disc import HalfDisc
from cryobench.rotations import rotations_from_quaternions

SIZES = [15, 16]


@pytest.mark.parametrize("size", SIZES)
def test_a_half_disc_holds_one_of_each_friedel_pair(rng, size):
    disc = HalfDisc(size, (size - 1) // 2)
    image = rng.standard_normal((2, size, size))
    full = np.abs(np.fft.fft2(image)) ** 2
    axis = np.fft.fftfreq(size, 1 / size)
    inside = axis[:, None] ** 2 + axis**2 <= disc.radius**2
    packed = disc.pack(fft_images(torch.from_numpy(image)))
    sums = disc.sum_shells(packed.abs().square())
    np.testing.assert_allclose(2 * sums.sum(1).numpy(), (full * inside).sum(axis=(1, 2)), rtol=1e-10)
    mates = {tuple(pair) for pair in disc.frequencies} & {tuple(-pair) for pair in disc.frequencies}
    assert mates == {(0, 0)}


@pytest.mark.parametrize("size", SIZES)
def test_a_smaller_disc_lies_in_a_larger_one_in_the_same_order(size):
    large, small = HalfDisc(size, (size - 1) // 2), HalfDisc(10, 4)
    inside = (large.frequencies**2).sum(axis=1) <= 16
    np.testing.assert_array_equal(large.frequencies[inside], small.frequencies)
    assert large.count(3) == (large.shells <= 3).sum()


@pytest.mark.parametrize("size", SIZES)
def test_inserting_unpacked_images_equals_inserting_whole_ones(rng, size):
    disc = HalfDisc(size, (size - 1) // 2)
    spectra = fft_images(torch.from_numpy(rng.standard_normal((5, size, size))).float())
    rotations = torch.from_numpy(rotations_from_quaternions(rng.standard_normal((5, 4)))).float()
    totals = []
    for data in (spectra, disc.unpack(disc.pack(spectra))):
        sums = SliceAccumulator(size)
        sums.add(data, data.abs(), rotations)
        totals.append(sums.totals())
    for whole, packed in zip(*totals, strict=True):
        torch.testing.assert_close(whole.values, packed.values, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_values_of_shells_are_spread_over_their_entries(size):
    disc = HalfDisc(size, 6)
    values = np.arange(7.0) ** 2
    spread = disc.spread(values, "cpu")
    assert spread.dtype == torch.float32
    np.testing.assert_array_equal(spread, values[disc.shells])
    np.testing.assert_allclose(disc.sum_shells(spread[None])[0], values * disc.shell_weights)
    np.testing.assert_allclose(disc.shell_weights.sum(), disc.weights.sum())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shells", [None, 3])
def test_unpacked_entries_pack_again_up_to_their_multiples(size, shells, rng):
    disc = HalfDisc(size, (size - 1) // 2)
    count = len(disc.index) if shells is None else disc.count(shells)
    packed = torch.from_numpy(rng.standard_normal((3, len(disc.index)))).float()[:, :count]
    dense = disc.unpack(packed)
    assert dense.shape == (3, size, size // 2 + 1)
    torch.testing.assert_close(disc.pack(dense)[:, :count], packed * torch.from_numpy(disc.multiples[:count]))
    assert int((dense != 0).sum()) == packed.numel()  # each entry once, the mates of the x = 0 column left out


def test_multiples_are_two_where_a_column_holds_both_of_a_pair():
    disc = HalfDisc(8, 3)
    on_column = (disc.frequencies[:, 0] == 0) & (disc.frequencies[:, 1] != 0)
    np.testing.assert_array_equal(disc.multiples, np.where(on_column, 2, 1))
    assert disc.weights[0] == 0.5
    assert (disc.weights[1:] == 1).all()


@pytest.mark.parametrize("size", SIZES)
def test_images_within_the_disc_come_back(size, rng):
    disc = HalfDisc(size, (size - 1) // 2)
    axis = np.fft.fftfreq(size, 1 / size)
    inside = axis[:, None] ** 2 + axis**2 <= disc.radius**2
    # The transform is about the centre pixel, which a filter without phases does not move.
    limited = np.fft.ifft2(np.fft.fft2(rng.standard_normal((2, size, size))) * inside).real
    images = torch.from_numpy(limited)
    packed = disc.from_images(images)
    assert packed.shape == (2, len(disc.index))
    torch.testing.assert_close(disc.to_images(packed), images, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("size", SIZES)
def test_packed_entries_become_images_without_anything_beyond_the_disc_and_back(rng, size):
    disc = HalfDisc(size, (size - 1) // 2)
    packed = disc.from_images(torch.from_numpy(rng.standard_normal((3, size, size))).float())
    images = disc.to_images(packed)
    torch.testing.assert_close(disc.from_images(images), packed, rtol=1e-4, atol=1e-4)
    outside = fft_images(images).flatten(1)
    entries = {tuple(pair) for pair in disc.frequencies.tolist()}
    mates = {(-x, -y) for x, y in entries}
    for entry, (row, column) in enumerate(np.ndindex(size, size // 2 + 1)):
        pair = (column, row if 2 * row < size else row - size)
        if pair not in entries | mates:
            assert float(outside[:, entry].abs().max()) < 1e-4


@pytest.mark.parametrize("size", [15, 16])
def test_power_of_shells_is_that_of_its_sums(size, rng):
    disc = HalfDisc(size, (size - 1) // 2)
    values = torch.from_numpy(rng.standard_normal((7, len(disc.index), 2)).astype(np.float32))
    for packed in (torch.view_as_complex(values), values[..., 0].contiguous()):
        np.testing.assert_allclose(disc.shell_power(packed), disc.sum_shells(packed.abs().square()), rtol=1e-6)
    assert disc.shell_power(values[:0, :, 0]).shape == (0, disc.radius + 1)
