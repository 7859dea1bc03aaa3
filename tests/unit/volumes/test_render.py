"""Rendered density: the Gaussian itself, its mass, its place, its unit, and the box it must fit."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from cryobench.atoms import AtomicModel, sigma_from_resolution
from cryobench.fourier import crop_with_power
from cryobench.volumes import render


def _random_model(rng: np.random.Generator, count: int, radius: float) -> AtomicModel:
    positions = rng.uniform(-radius, radius, (count, 3))
    return AtomicModel.from_positions(positions, rng.choice([6, 7, 8, 16], count))


def _density_at(model: AtomicModel, box_size: int, pixel_size: float, resolution: float) -> np.ndarray:
    """Witness: scipy's normal density at every voxel centre, in the order [z, y, x]."""
    axis = (np.arange(box_size) - box_size // 2) * pixel_size
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    points = np.stack([x, y, z], axis=-1)
    sigma = resolution / (np.pi * np.sqrt(2))
    total = np.zeros((box_size,) * 3)
    for position, number in zip(model.positions, model.atomic_numbers, strict=True):
        total += number * multivariate_normal(position, sigma**2).pdf(points)
    return total


@pytest.mark.parametrize("box_size", [20, 21])
@pytest.mark.parametrize(("pixel_size", "resolution"), [(1.0, 6.0), (1.5, 3.0), (3.0, 6.0)])
def test_density_is_a_sum_of_normal_densities(rng, box_size, pixel_size, resolution):
    model = _random_model(rng, 30, 0.35 * box_size * pixel_size)
    expected = _density_at(model, box_size, pixel_size, resolution)
    volume = render(model, box_size, pixel_size, resolution)
    assert volume.dtype == torch.float32
    # What the cutoff leaves out is at most exp(-5² / 2) of one atom's peak, from each of the atoms.
    peak = 16 * (2 * np.pi) ** -1.5 * sigma_from_resolution(resolution) ** -3
    np.testing.assert_allclose(volume.numpy(), expected, atol=2 * np.exp(-12.5) * peak, rtol=1e-5)


def test_cutoff_is_per_axis_and_inclusive():
    model = AtomicModel.from_positions(np.zeros((1, 3)), np.array([6]))
    resolution = np.pi * np.sqrt(2)  # sigma of 1 Å
    inside = render(model, 21, 1.0, resolution, cutoff=3.0) > 0
    kept = torch.zeros(21, 21, 21, dtype=torch.bool)
    kept[7:14, 7:14, 7:14] = True
    assert torch.equal(inside, kept)


@pytest.mark.parametrize("box_size", [32, 33])
def test_atom_at_a_voxel_sits_on_that_voxel(box_size):
    model = AtomicModel.from_positions(np.array([[3.0, -4.5, 6.0]]), np.array([8]))
    volume = render(model, box_size, 1.5, 6.0)
    half = box_size // 2
    assert np.unravel_index(volume.argmax().item(), volume.shape) == (half + 4, half - 3, half + 2)


@pytest.mark.parametrize("box_size", [40, 41])
def test_mass_is_the_sum_of_atomic_numbers(rng, box_size):
    model = _random_model(rng, 200, 20.0)
    volume = render(model, box_size, 2.0, 9.0)
    assert volume.double().sum().item() * 2.0**3 == pytest.approx(model.atomic_numbers.sum(), rel=1e-5)


def test_density_ignores_occupancy_and_b_factor(rng):
    model = _random_model(rng, 20, 8.0)
    fields = {name: getattr(model, name) for name in model.__dataclass_fields__}
    other = AtomicModel(**fields | {"b_factors": np.full(20, 80.0), "occupancies": np.full(20, 0.5)})
    assert torch.equal(render(model, 24, 1.0, 4.0), render(other, 24, 1.0, 4.0))


def test_same_bits_for_any_number_of_threads(rng):
    model = _random_model(rng, 3000, 25.0)
    torch.set_num_threads(1)
    alone = render(model, 48, 1.5, 3.0)
    torch.set_num_threads(4)
    assert torch.equal(alone, render(model, 48, 1.5, 3.0))


@pytest.mark.parametrize(("box_size", "needed"), [(16, 17), (17, 17)])
def test_smallest_box_is_named(box_size, needed):
    model = AtomicModel.from_positions(np.array([[8.0, 0, 0], [-7.0, 0, 0]]), np.array([6, 6]))
    if box_size == needed:
        render(model, box_size, 1.0, 3.0)
        return
    with pytest.raises(ValueError, match=r"1 atoms lie outside.*-7\.0 to 8\.0 Å.*16 voxels.*at least 17 voxels"):
        render(model, box_size, 1.0, 3.0)


def test_an_even_box_reaches_further_below_than_above():
    low = AtomicModel.from_positions(np.array([[0.0, -8.0, 0.0]]), np.array([6]))
    render(low, 16, 1.0, 3.0)
    with pytest.raises(ValueError, match="at least 16 voxels"):
        render(low, 15, 1.0, 3.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0.0}, "resolution must be a positive number of Å, got 0.0"),
        ({"pixel_size": -1.0}, "16 voxels of -1.0 Å"),
        ({"box_size": 0}, "0 voxels"),
    ],
)
def test_nonsense_is_refused(options, message):
    model = AtomicModel.from_positions(np.zeros((1, 3)), np.array([6]))
    with pytest.raises(ValueError, match=message):
        render(model, **({"box_size": 16, "pixel_size": 1.0, "resolution": 3.0} | options))


@pytest.mark.parametrize("box_size", [24, 25])
def test_band_limited_volume_has_the_exact_spectrum_below_nyquist(rng, box_size):
    """Its transform is the atoms' structure factor times the Gaussian's, by direct summation."""
    model = _random_model(rng, 12, 12.0)
    pixel_size, resolution = 2.0, 3.5
    sigma = sigma_from_resolution(resolution)
    volume = crop_with_power(render(model, 2 * box_size, pixel_size / 2, resolution), box_size)[0].double()
    spectrum = np.fft.fftn(np.fft.ifftshift(volume.numpy())) * pixel_size**3
    frequency = np.fft.fftfreq(box_size, pixel_size)
    kz, ky, kx = np.meshgrid(frequency, frequency, frequency, indexing="ij")
    phase = np.tensordot(np.stack([kx, ky, kz], axis=-1), model.positions, axes=([3], [1]))
    exact = (model.atomic_numbers * np.exp(-2j * np.pi * phase)).sum(-1)
    exact *= np.exp(-2 * np.pi**2 * sigma**2 * (kx**2 + ky**2 + kz**2))
    below = (np.abs(np.stack([kx, ky, kz])) < 0.45 / pixel_size).all(axis=0)
    error = np.linalg.norm((spectrum - exact)[below]) / np.linalg.norm(exact[below])
    assert error < 2e-3
    naive = np.fft.fftn(np.fft.ifftshift(render(model, box_size, pixel_size, resolution).numpy())) * pixel_size**3
    assert np.linalg.norm((naive - exact)[below]) / np.linalg.norm(exact[below]) > 10 * error
