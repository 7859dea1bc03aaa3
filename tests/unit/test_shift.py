"""Shifts: whole pixels are rolls, fractions compose, images stay real."""

import numpy as np
import pytest
import torch

from cryobench.fourier import fft_images, ifft_images
from cryobench.imaging.shift import shift_images, shift_phases

SIZES = pytest.mark.parametrize("n", [10, 11])


@SIZES
def test_whole_pixels_are_a_roll(n, rng):
    images = torch.from_numpy(rng.standard_normal((2, n, n)).astype(np.float32))
    shifts = torch.tensor([[3.0, -6.0], [0.0, 1.5]])  # Å, at 1.5 Å per pixel: (2, −4) and (0, 1) pixels
    moved = ifft_images(shift_images(fft_images(images), shifts, n, pixel_size=1.5), n)
    torch.testing.assert_close(moved[0], torch.roll(images[0], (-4, 2), dims=(0, 1)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(moved[1], torch.roll(images[1], (1, 0), dims=(0, 1)), atol=1e-5, rtol=1e-4)


@SIZES
def test_shifted_images_are_real(n, rng):
    images = torch.from_numpy(rng.standard_normal((3, n, n)).astype(np.float32))
    shifts = torch.from_numpy(rng.uniform(-4, 4, (3, 2)).astype(np.float32))
    shifted = shift_images(fft_images(images), shifts, n, pixel_size=1.1)
    torch.testing.assert_close(fft_images(ifft_images(shifted, n)), shifted, atol=1e-4, rtol=1e-4)


def test_shifts_add_up_on_odd_sizes(rng):
    shifts = torch.from_numpy(rng.uniform(-4, 4, (2, 3, 2)).astype(np.float32))
    one, two = (shift_phases(part, 11, pixel_size=2.0) for part in shifts)
    torch.testing.assert_close(one * two, shift_phases(shifts.sum(0), 11, pixel_size=2.0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(one * one.conj(), torch.ones_like(one), atol=1e-5, rtol=1e-5)
