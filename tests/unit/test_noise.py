"""Noise does not depend on how it is drawn; signal variance, by pixels and in closed form."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.special import ndtr

from cryobench.fourier import ifft_images
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.ctf_and_shift import apply_transfer
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.kernels.white_noise import LANES, philox
from cryobench.imaging.noise import draw_white_noise, expected_signal_variance, signal_variance
from cryobench.imaging.slices import extract_slices
from cryobench.rng import make_counter_key


@pytest.mark.parametrize("box_size", [8, 9, 33])
def test_noise_of_a_particle_is_its_own(box_size):
    torch.set_num_threads(1)
    whole = draw_white_noise(3, np.arange(20), box_size)
    torch.set_num_threads(4)
    assert np.array_equal(draw_white_noise(3, np.arange(20), box_size), whole)
    assert np.array_equal(draw_white_noise(3, np.array([11, 4]), box_size), whole[[11, 4]])
    assert not np.any(draw_white_noise(4, np.arange(20), box_size) == whole)
    assert not np.any(draw_white_noise(3, np.arange(20), box_size, purpose="structural noise") == whole)
    far = draw_white_noise(3, np.array([5 + 2**32]), box_size)
    assert not np.any(far[0] == whole[5])


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_published_words(counter, key, expected):
    """The known answers that its authors publish with it (Random123, kat_vectors)."""
    words = np.array(counter, dtype=np.uint32)[:, None].repeat(LANES, axis=1)
    philox(words, np.array(key, dtype=np.uint32))
    assert np.array_equal(words, np.array(expected, dtype=np.uint32)[:, None].repeat(LANES, axis=1))


def test_noise_is_box_muller_of_philox_words():
    """In NumPy's double precision, with its own logarithm, sine and cosine."""
    seed, particle, box_size = 11, 3 + 2**33, 37
    found = draw_white_noise(seed, np.array([particle]), box_size).ravel()
    words = np.zeros((4, -(-(box_size**2) // (4 * LANES)) * LANES), dtype=np.uint32)
    words[0], words[2], words[3] = np.arange(words.shape[1]), particle % 2**32, particle >> 32
    philox(words, make_counter_key(seed, "noise"))
    uniform = (words.astype(np.float64) + 0.5) / 2**32
    radius, angle = np.sqrt(-2 * np.log(uniform[::2])), 2 * np.pi * uniform[1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(4, -1, LANES)
    expected = pairs.transpose(1, 0, 2).ravel()[: box_size**2]
    # Near 1, where ln is steep against the spacing of float32, the radius is good to the root of that spacing.
    near_one = np.abs(expected) < 0.01
    np.testing.assert_allclose(found[~near_one], expected[~near_one], atol=2e-5)
    np.testing.assert_allclose(found[near_one], expected[near_one], atol=4e-4)


def test_noise_has_the_moments_of_a_normal_law():
    """Two million numbers: five standard errors each, and the tails beyond four."""
    noise = draw_white_noise(8, np.arange(122), 128).ravel().astype(np.float64)
    n = len(noise)
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs((noise**power).mean() - moment) < 5 * np.sqrt(spread / n), power
    expected = 2 * ndtr(-4.0) * n
    assert abs((np.abs(noise) > 4).sum() - expected) < 5 * np.sqrt(expected)
    neighbours = (noise[:-1] * noise[1:]).mean(), (noise[:-LANES] * noise[LANES:]).mean()
    assert np.abs(neighbours).max() < 5 / np.sqrt(n)


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
        slices = extract_slices(grid, rotations[part])
        spectra = apply_transfer(slices, ctf[part], torch.zeros(len(part), 2), pixel_size=3.0)
        variance.append(signal_variance(ifft_images(spectra, box_size).numpy()))
    assert np.mean(variance) == pytest.approx(expected_signal_variance(volume, ctf, pixel_size=3.0), rel=0.02)
