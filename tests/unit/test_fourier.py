"""Transforms, grids, resampling and shells against NumPy, on even and odd sizes."""

import numpy as np
import pytest
import torch

from cryobench.fourier import (
    fft_images,
    fft_volume,
    fft_volume_from_corner,
    fourier_crop,
    fourier_pad,
    frequency_axis,
    frequency_grid,
    hermitian_weights,
    ifft_images,
    ifft_volume,
    shell_average,
    shell_indices,
    shell_power,
    shell_sum,
)

SIZES = pytest.mark.parametrize("n", [10, 11])


def noise(rng, shape):
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


@SIZES
def test_transform_from_the_corner_is_numpys_and_has_the_products_of_the_centred_one(n, rng):
    first, second = noise(rng, (n, n, n)), noise(rng, (n, n, n))
    corner = fft_volume_from_corner(first), fft_volume_from_corner(second)
    np.testing.assert_allclose(corner[0].numpy(), np.fft.rfftn(first.numpy().astype(float)), atol=1e-3)
    centred = fft_volume(first) * fft_volume(second).conj()
    torch.testing.assert_close(corner[0] * corner[1].conj(), centred, atol=1e-2, rtol=1e-4)


@SIZES
def test_transform_has_its_phase_origin_at_the_centre_voxel(n):
    volume = torch.zeros(n, n, n)
    volume[n // 2, n // 2, n // 2] = 1
    torch.testing.assert_close(fft_volume(volume), torch.ones(n, n, n // 2 + 1, dtype=torch.complex64))
    image = torch.zeros(1, n, n)
    image[0, n // 2 + 1, n // 2 - 2] = 1
    grid = frequency_grid(n, 2)
    expected = torch.exp(-2j * torch.pi * (-2 * grid[..., 0] + grid[..., 1]))
    torch.testing.assert_close(fft_images(image)[0], expected, atol=1e-5, rtol=1e-5)


@SIZES
def test_inverse_undoes_forward_and_refuses_another_size(n, rng):
    volume, images = noise(rng, (2, n, n, n)), noise(rng, (3, n, n))
    torch.testing.assert_close(ifft_volume(fft_volume(volume), n), volume, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ifft_images(fft_images(images), n), images, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match=f"half-spectrum of size {n + 2}"):
        ifft_images(fft_images(images), n + 2)


@SIZES
def test_parseval_with_hermitian_weights(n, rng):
    images = noise(rng, (4, n, n))
    power = (hermitian_weights(n) * fft_images(images).abs() ** 2).sum((-2, -1)) / n**2
    torch.testing.assert_close(power, (images**2).sum((-2, -1)), rtol=1e-5, atol=0)


@SIZES
def test_frequency_grids(n):
    grid = frequency_grid(n, 3, pixel_size=2.0)
    assert grid.shape == (n, n, n // 2 + 1, 3)
    np.testing.assert_allclose(grid[0, 0, :, 0], np.fft.rfftfreq(n, 2.0), rtol=1e-6)
    np.testing.assert_allclose(grid[0, :, 0, 1], np.fft.fftfreq(n, 2.0), rtol=1e-6)
    np.testing.assert_allclose(grid[:, 0, 0, 2], np.fft.fftfreq(n, 2.0), rtol=1e-6)
    np.testing.assert_allclose(frequency_axis(n, half=True), np.fft.rfftfreq(n), rtol=1e-6)
    np.testing.assert_allclose(frequency_axis(n, half=False), np.fft.fftfreq(n), rtol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("small", "large"), [(10, 16), (10, 15), (11, 16), (11, 17)])
def test_crop_undoes_pad_below_nyquist(small, large, dimensions, rng):
    values = noise(rng, (small,) * dimensions)
    limited = fourier_crop(values, small - 1, dimensions=dimensions)
    padded = fourier_pad(limited, large, dimensions=dimensions)
    again = fourier_crop(padded, small - 1, dimensions=dimensions)
    nyquist_free = fourier_pad(limited, small, dimensions=dimensions)
    expected = fourier_crop(nyquist_free, small - 1, dimensions=dimensions)
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("old", "new"), [(16, 11), (16, 10), (17, 11), (17, 10)])
def test_resampling_keeps_the_values_of_a_band_limited_function(old, new):
    """A low harmonic about the centre voxel, sampled before and after: the same function."""

    def sample(n):
        axis = torch.arange(n) - n // 2
        y, x = torch.meshgrid(axis / n, axis / n, indexing="ij")
        return torch.cos(2 * torch.pi * (2 * x + 3 * y)) + torch.sin(2 * torch.pi * (x - 4 * y)) + 0.5

    torch.testing.assert_close(fourier_crop(sample(old), new, dimensions=2), sample(new), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(fourier_pad(sample(new), old, dimensions=2), sample(old), atol=1e-5, rtol=1e-4)


def test_resampling_refuses_the_wrong_direction():
    with pytest.raises(ValueError, match="use fourier_pad"):
        fourier_crop(torch.zeros(8, 8), 9, dimensions=2)
    with pytest.raises(ValueError, match="use fourier_crop"):
        fourier_pad(torch.zeros(8, 8), 7, dimensions=2)


@SIZES
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("binning", ["round", "floor"])
def test_shells_count_the_full_spectrum(n, dimensions, binning, rng):
    values = rng.standard_normal((n,) * dimensions).astype(np.float32)
    half = np.abs(np.fft.rfftn(values)) ** 2
    full = np.abs(np.fft.fftn(values)) ** 2
    axis = np.rint(np.fft.fftfreq(n) * n)
    radius = np.sqrt(sum(grid**2 for grid in np.meshgrid(*(axis,) * dimensions, indexing="ij")))
    shells = np.floor(radius + (0.5 if binning == "round" else 0)).astype(int)
    n_shells = n // 2
    sums = np.bincount(shells.ravel(), full.ravel())[:n_shells]
    counts = np.bincount(shells.ravel())[:n_shells]
    indices = shell_indices(n, dimensions, binning=binning)
    half = torch.from_numpy(half)
    np.testing.assert_allclose(shell_sum(half, indices, n_shells, box_size=n), sums, rtol=1e-6)
    np.testing.assert_allclose(shell_average(half, indices, n_shells, box_size=n), sums / counts, rtol=1e-6)
    batch = torch.stack([half, 2 * half])
    assert shell_sum(batch, indices, n_shells, box_size=n).shape == (2, n_shells)


@SIZES
def test_shell_power_is_the_shell_average(n, rng):
    volume = noise(rng, (n, n, n))
    power = fft_volume(volume).abs() ** 2
    count = (n + 1) // 2
    expected = shell_average(power, shell_indices(n, 3), count, box_size=n)
    np.testing.assert_allclose(shell_power(volume), expected, rtol=1e-5)
