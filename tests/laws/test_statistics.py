"""What random draws must look like: uniform rotations, white noise, independent named streams."""

import numpy as np
import pytest
import torch
from scipy import stats

from cryobench.fourier import fft_images, shell_average, shell_indices
from cryobench.imaging.noise import draw_white_noise
from cryobench.rng import IndexedStream, stream
from cryobench.rotations import sample_uniform_rotation

LEVEL = 1e-4
"""Seeds are fixed, so a test fails always or never; the level only says how far from chance it was chosen."""


def draw_many(n, seed=3):
    streams = IndexedStream(seed, "poses")
    return np.stack([sample_uniform_rotation(streams.at(index)) for index in range(n)])


def test_rotation_angle_and_axis_are_uniform():
    matrices = draw_many(4000)
    angle = np.arccos(np.clip((np.trace(matrices, axis1=1, axis2=2) - 1) / 2, -1, 1))
    # Haar measure: density (1 − cos θ) / π of the angle.
    assert stats.kstest(angle, lambda t: (t - np.sin(t)) / np.pi).pvalue > LEVEL
    axis = np.stack([matrices[:, i, j] - matrices[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))], axis=1)
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    for component in range(3):
        assert stats.kstest(axis[:, component], stats.uniform(-1, 2).cdf).pvalue > LEVEL


def test_viewing_direction_and_in_plane_angle_are_uniform():
    matrices = draw_many(4000, seed=8)
    for component in range(3):
        assert stats.kstest(matrices[:, 2, component], stats.uniform(-1, 2).cdf).pvalue > LEVEL
    psi = np.arctan2(matrices[:, 1, 2], -matrices[:, 0, 2])
    assert stats.kstest(psi, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > LEVEL


@pytest.mark.parametrize("box_size", [32, 33])
def test_noise_is_white_normal_and_independent_between_particles(box_size):
    noise = draw_white_noise(5, np.arange(400), box_size)
    assert stats.kstest(noise[::7].ravel(), "norm").pvalue > LEVEL
    assert noise.var() == pytest.approx(1, abs=5 * np.sqrt(2 / noise.size))
    spectra = fft_images(torch.from_numpy(noise))
    indices = shell_indices(box_size, 2)
    power = shell_average(spectra.abs() ** 2, indices, box_size // 2, box_size=box_size).mean(0) / box_size**2
    np.testing.assert_allclose(power.numpy()[2:], 1, atol=0.06)
    correlation = np.corrcoef(noise.reshape(400, -1)[:60])
    assert np.abs(correlation - np.eye(60)).max() < 5.5 / box_size


def test_streams_of_different_names_are_independent():
    """Poses, noise and CTF of a particle share a seed and an index, and nothing else."""
    names = ["poses", "noise", "ctf", "labels", "labels2"]
    draws = {name: np.stack([stream(11, name, i).standard_normal(4) for i in range(1500)]) for name in names}
    table = np.concatenate([draws[name] for name in names], axis=1)
    correlation = np.corrcoef(table.T)
    assert np.abs(correlation - np.eye(len(correlation))).max() < 5 / np.sqrt(1500)
    # Nor do nearby particles repeat each other.
    shifted = np.corrcoef(draws["noise"][:-1, 0], draws["noise"][1:, 0])[0, 1]
    assert abs(shifted) < 5 / np.sqrt(1500)


def test_a_label_is_not_predictable_from_other_draws():
    """Numbers of other streams of the same particles have the same law whatever the label (Kruskal and Wallis)."""
    labels = np.array([stream(2, "states", i).integers(4) for i in range(2000)])
    for name in ("ctf", "contrast", "poses", "noise"):
        values = np.array([stream(2, name, i).random() for i in range(2000)])
        assert stats.kruskal(*(values[labels == label] for label in range(4))).pvalue > LEVEL
