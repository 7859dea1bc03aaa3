"""Volumes of a run on the data set's grid: their pixel size, their band, and the projection they stand for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cryobench.compute import Compute
from cryobench.data import Particles, Reconstruction
from cryobench.imaging.real_space.volumes import project_volumes
from cryobench.methods.opus_dsd import OpusDsd
from cryobench.reconstruction.decoders import open_decoder
from cryobench.reconstruction.decoders.template import TemplateNetworkDecoder, pack_template
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.networks import TemplateDecoder, TemplateShape, seeded_weights
from cryobench.testing.toy import toy_dataset

SHAPE = TemplateShape(2, side=16, width=64, seed_doublings=2, doublings=2)
BOX, CROP = 18, 14


@pytest.fixture(scope="module")
def particles() -> Particles:
    return toy_dataset(size=24, n=40).particles


def open_made(particles: Particles) -> tuple[TemplateNetworkDecoder, TemplateDecoder]:
    with seeded_weights(0):
        network = TemplateDecoder(SHAPE)
    model = pack_template(network, 3.0, box=BOX, crop=CROP)
    made = Reconstruction(np.array([0]), latents=np.zeros((40, 2)), model=model, decodes_by="template")
    decoder = open_decoder(made, particles, RunContext())
    assert isinstance(decoder, TemplateNetworkDecoder)
    return decoder, network


def test_a_volume_holds_nothing_beyond_the_nyquist_frequency_of_the_training_box(particles):
    decoder, _ = open_made(particles)
    (volume,) = decoder.decode(np.array([[0.5, -1.0]]))
    spectrum = np.abs(np.fft.fftn(volume))
    frequencies = np.abs(np.fft.fftfreq(24, 1 / 24))
    beyond = np.maximum.reduce(np.meshgrid(*[frequencies] * 3)) >= BOX / 2
    assert spectrum[beyond].max() < 1e-5 * spectrum.max()
    assert spectrum[~beyond].min() > 1e-7 * spectrum.max()


def test_a_volume_has_the_pixel_size_of_the_data_set(particles, monkeypatch):
    """A ball of known place and width in Å stays where it is on the finer grid."""
    decoder, _ = open_made(particles)
    angstroms = particles.pixel_size * 24 / BOX * CROP / SHAPE.side  # a voxel of the template
    axis = (torch.arange(SHAPE.side) - SHAPE.side // 2) * angstroms
    centre, width = (5.0, -8.0, 3.0), 9.0
    ball = torch.ones(1)
    for along in (centre[2], centre[1], centre[0]):
        ball = ball[..., None] * torch.exp(-((axis - along) ** 2) / (2 * width**2))
    monkeypatch.setattr(decoder.network, "forward", lambda latents: ball.float())
    (volume,) = decoder.decode(np.zeros((1, 2)))
    assert volume.shape == (24, 24, 24)
    at = (np.arange(24) - 12) * particles.pixel_size
    density = volume / volume.sum()
    for axis_of, expected in ((2, 5.0), (1, -8.0), (0, 3.0)):
        along = density.sum(tuple({0, 1, 2} - {axis_of}))
        mean = (along * at).sum()
        np.testing.assert_allclose(mean, expected, atol=0.3)
        np.testing.assert_allclose((along * (at - mean) ** 2).sum() ** 0.5, width, rtol=0.08)
    np.testing.assert_allclose(volume.max(), 3.0, rtol=0.12)


def test_its_sum_over_z_is_the_projection_that_images_are_compared_with(particles):
    decoder, network = open_made(particles)
    decoder.box_size = BOX
    latent = np.array([[0.5, -1.0]], dtype=np.float32)
    (volume,) = decoder.decode(latent)
    with torch.no_grad():
        projection = project_volumes(
            network(torch.from_numpy(latent)), torch.eye(3)[None, None], torch.zeros(1, 3), CROP
        )
    first = BOX // 2 - CROP // 2
    middle = volume.sum(0)[first : first + CROP, first : first + CROP]
    np.testing.assert_allclose(middle, 3.0 * projection[0, 0], atol=1e-4 * float(np.abs(middle).max()))
    assert volume.sum() == pytest.approx(middle.sum(), rel=1e-5)


def test_a_run_says_where_its_volumes_end_and_how_the_mask_was_made(particles):
    method = OpusDsd.with_settings({**OpusDsd.small, "epochs": 1, "downfrac": 0.75, "template_size": 16})
    found = method.estimate(replace(particles, mask=None), np.array([0]), RunContext(compute=Compute(memory=10**9)))
    assert any("18 px of 5.33 Å" in note and "10.7 Å at best" in note and "75%" in note for note in found.notes)
    assert any("No mask is given" in note for note in found.notes)
    with_all = OpusDsd.with_settings({**OpusDsd.small, "epochs": 1, "downfrac": 1.0, "template_size": 24})
    assert not with_all.estimate(particles, np.array([0]), RunContext(compute=Compute(memory=10**9))).notes


def test_one_view_alone_trains_and_is_said(particles):
    assert particles.rotations is not None
    same = replace(particles, rotations=np.repeat(particles.rotations[:1], 40, axis=0))
    method = OpusDsd.with_settings({**OpusDsd.small, "epochs": 1})
    found = method.estimate(same, np.array([0]), RunContext(compute=Compute(memory=10**9)))
    assert any("one viewing direction" in note for note in found.notes)
    assert found.latents is not None
    assert np.isfinite(found.latents).all()
