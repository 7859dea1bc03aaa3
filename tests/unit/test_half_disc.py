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
