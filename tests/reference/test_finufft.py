"""Slices against the exact Fourier transform of the voxels at non-uniform points (FINUFFT, type 2)."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import fourier_to_volume, volume_to_fourier
from cryobench.imaging.slices import extract_slices

finufft = pytest.importorskip("finufft")


def molecule(rng, box_size, reach=0.31):
    """Small blobs within ``reach`` boxes of the centre, denser inside, rims within 0.35: power up to Nyquist."""
    directions = rng.standard_normal((150, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = reach * box_size * rng.random((150, 1)) ** (1 / 2)
    axis = np.arange(box_size) - box_size // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    volume = np.zeros((box_size,) * 3)
    for p in directions * radii:
        volume += np.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2 + (z - p[2]) ** 2) / (2 * 0.6**2))
    return volume


def exact_slices(volume, rotations):
    """V at k R for every k of the half-slice, with the sum over voxels done exactly."""
    box_size = len(volume)
    y, x = np.meshgrid(np.fft.fftfreq(box_size), np.fft.rfftfreq(box_size), indexing="ij")
    frequencies = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    points = 2 * np.pi * (frequencies @ rotations).reshape(-1, 3)
    ordered = (np.ascontiguousarray(points[:, axis]) for axis in (2, 1, 0))
    exact = finufft.nufft3d2(*ordered, volume.astype(np.complex128), eps=1e-9, isign=-1, nthreads=1)
    return exact.reshape(len(rotations), *x.shape), np.hypot(x, y)


@pytest.mark.parametrize("box_size", [32, 33])
@pytest.mark.parametrize(
    ("kernel", "padding", "bound"),
    [("trilinear", 1, 0.2), ("trilinear", 2, 3e-2), ("wide", 1, 2e-3), ("wide", 2, 5e-4)],
)
def test_relative_error_up_to_nine_tenths_of_nyquist(box_size, kernel, padding, bound, rng):
    volume = molecule(rng, box_size)
    rotations = Rotation.random(6, random_state=rng).as_matrix()
    exact, radius = exact_slices(volume, rotations)
    grid = volume_to_fourier(torch.as_tensor(volume, dtype=torch.float32), kernel=kernel, padding=padding)
    slices = extract_slices(grid, torch.as_tensor(rotations, dtype=torch.float32)).numpy()
    band = radius <= 0.45
    error = np.linalg.norm((slices - exact)[:, band]) / np.linalg.norm(exact[:, band])
    assert error <= bound
    # Not by way of the molecule's dominant lowest frequencies alone.
    high = (radius > 0.3) & band
    assert np.linalg.norm((slices - exact)[:, high]) <= 2 * bound * np.linalg.norm(exact[:, high])


@pytest.mark.parametrize("box_size", [24, 25])
@pytest.mark.parametrize(("padding", "bound"), [(1, 0.12), (2, 0.05)])
def test_volume_comes_back_from_exact_slices(box_size, padding, bound, rng):
    """Insertion of enough exact slices, divided by the weight, corrected: the volume within the radius."""
    volume = molecule(rng, box_size, reach=0.2)
    rotations = Rotation.random(1500, random_state=rng).as_matrix()
    exact, _ = exact_slices(volume, rotations)
    slices = torch.as_tensor(exact, dtype=torch.complex64)
    sums = SliceAccumulator(box_size, padding=padding)
    sums.add(slices, torch.ones(slices.shape), torch.as_tensor(rotations, dtype=torch.float32))
    numerator, weight = sums.totals()
    back = fourier_to_volume(numerator.with_values(numerator.values / (weight.values + 1e-3)))
    spectrum = torch.fft.rfftn(torch.fft.ifftshift(back))
    truth = torch.fft.rfftn(torch.fft.ifftshift(torch.as_tensor(volume, dtype=torch.float32)))
    axes = (torch.fft.fftfreq(box_size), torch.fft.fftfreq(box_size), torch.fft.rfftfreq(box_size))
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    inside = (z**2 + y**2 + x**2).sqrt() < 0.4
    error = (spectrum - truth)[inside].abs().pow(2).sum().sqrt() / truth[inside].abs().pow(2).sum().sqrt()
    assert float(error) < bound
