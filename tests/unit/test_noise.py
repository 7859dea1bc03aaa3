"""Noise does not depend on how it is drawn; signal variance, by pixels and in closed form."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryobench.fourier import ifft_images
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.noise import draw_white_noise, expected_signal_variance, signal_variance
from cryobench.imaging.operator import ImagingOperator
from cryobench.rng import stream


@pytest.mark.parametrize("box_size", [8, 9])
def test_noise_of_a_particle_is_its_own(box_size):
    whole = draw_white_noise(3, np.arange(20), box_size, threads=1)
    assert np.array_equal(draw_white_noise(3, np.arange(20), box_size, threads=3), whole)
    assert np.array_equal(draw_white_noise(3, np.array([11, 4]), box_size), whole[[11, 4]])
    alone = stream(3, "noise", 7).standard_normal((box_size, box_size), dtype=np.float32)
    assert np.array_equal(alone, whole[7])
    assert not np.any(draw_white_noise(4, np.arange(20), box_size) == whole)


def test_signal_variance_over_all_pixels_and_inside_a_mask(rng):
    images = rng.standard_normal((3, 7, 7)).astype(np.float32) * np.array([1, 2, 3])[:, None, None].astype(np.float32)
    assert signal_variance(images) == pytest.approx(np.mean([image.var() for image in images]), rel=1e-5)
    mask = np.zeros((7, 7))
    mask[2:5, 3:] = 1
    assert signal_variance(images, mask) == pytest.approx(np.mean([i[2:5, 3:].var() for i in images]), rel=1e-5)
    with pytest.raises(ValueError, match="not be empty"):
        signal_variance(images, np.zeros((7, 7)))


@pytest.mark.parametrize("box_size", [32, 33])
def test_closed_form_is_the_mean_over_uniform_orientations(box_size, rng):
    """A long molecule, whose projections differ much in power, beside 4000 explicit images."""
    axis = np.arange(box_size) - box_size // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    volume = sum(
        np.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2 + (z - p[2]) ** 2) / 5)
        for p in rng.standard_normal((15, 3)) * np.array([1.0, 2.0, 5.0])
    )
    volume = torch.from_numpy(np.asarray(volume, dtype=np.float32))
    n = 4000
    defocus = rng.uniform(8e3, 25e3, n)
    ctf = Ctf.from_columns(n, defocus_u=defocus, defocus_v=defocus - 800, defocus_angle=rng.uniform(0, 3, n))
    rotations = torch.from_numpy(Rotation.random(n, random_state=rng).as_matrix()).float()
    grid = volume_to_fourier(volume, kernel="wide", padding=2)
    variance = []
    for part in np.array_split(np.arange(n), 10):
        operator = ImagingOperator.from_poses(
            rotations[part], torch.zeros(len(part), 2), ctf[part], box_size=box_size, pixel_size=3.0
        )
        variance.append(signal_variance(ifft_images(operator.forward(grid), box_size).numpy()))
    assert np.mean(variance) == pytest.approx(expected_signal_variance(volume, ctf, pixel_size=3.0), rel=0.02)
