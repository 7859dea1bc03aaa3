"""Scores of classes: the compiled kernel against extracted slices and against plain squared residuals."""

import pytest
import torch

from cryobench.fourier import fft_images
from cryobench.imaging.class_scores import score_by_slices, score_classes
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.slices import extract_slices
from cryobench.rotations import rotations_from_quaternions


@pytest.mark.parametrize("size", [15, 16])
@pytest.mark.parametrize("padding", [1, 2])
@pytest.mark.parametrize("radius", [3, 7])
def test_compiled_scores_equal_squared_residuals(rng, size, padding, radius):
    disc = HalfDisc(size, (size - 1) // 2)
    data = disc.pack(fft_images(torch.from_numpy(rng.standard_normal((6, size, size))).float()))
    ctf = torch.from_numpy(rng.uniform(-1, 1, data.shape)).float()
    rotations = torch.from_numpy(rotations_from_quaternions(rng.standard_normal((6, 4)))).float()
    volumes = torch.from_numpy(rng.standard_normal((3, size, size, size))).float()
    volume_ft = volume_to_fourier(volumes, padding=padding)
    images = (data, ctf, rotations, disc, radius)
    scores = score_classes(volume_ft, *images)
    torch.testing.assert_close(scores, score_by_slices(volume_ft, *images), rtol=1e-4, atol=2e-2)
    slices = disc.pack(extract_slices(volume_ft, rotations))
    for k in range(3):
        residual = disc.sum_shells((data - ctf * slices[:, k]).abs().square())
        expected = (residual - disc.sum_shells(data.abs().square()))[:, : radius + 1]
        torch.testing.assert_close(scores[..., k].double(), expected, rtol=1e-4, atol=2e-2)


def test_scores_of_a_single_volume_or_another_box_are_refused():
    disc = HalfDisc(16, 7)
    ctf = torch.zeros(1, len(disc.index))
    volume = torch.zeros(1, 16, 16, 16)
    for volume_ft in (volume_to_fourier(volume[0]), volume_to_fourier(volume[:, :14, :14, :14])):
        with pytest.raises(ValueError, match="against a stack of volumes"):
            score_classes(volume_ft, ctf.to(torch.complex64), ctf, torch.eye(3)[None], disc, 7)
