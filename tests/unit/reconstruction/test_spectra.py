"""Images on half-discs: centred as images are shifted, the same kept or read anew, and refusals."""

import dataclasses

import numpy as np
import pytest
import torch

from cryobench.data import CHUNK, ArrayImages
from cryobench.fourier import fft_images
from cryobench.imaging.ctf import evaluate_ctf
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.shift import shift_images
from cryobench.reconstruction.images import (
    ImageSpectra,
    PosedSpectra,
    block_size,
    centre,
    require_poses,
    spectra_bytes,
    transform_images,
)
from toy import toy_dataset


@pytest.fixture(scope="module", params=[16, 17])
def particles(request):
    return toy_dataset(size=request.param, n=40).particles


@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize("radius", [None, 3])
def test_centring_is_shifting_the_image(size, radius, rng):
    disc = HalfDisc(size, radius or (size - 1) // 2)
    images = fft_images(torch.from_numpy(rng.standard_normal((5, size, size))).float())
    shifts = rng.uniform(-6, 6, (5, 2))
    moved = shift_images(images, torch.from_numpy(shifts).float(), size, pixel_size=1.7)
    found = centre(disc.pack(images), shifts, disc, pixel_size=1.7)
    torch.testing.assert_close(found, disc.pack(moved), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(centre(found, -shifts, disc, pixel_size=1.7), disc.pack(images), rtol=1e-4, atol=1e-4)


def test_spectra_hold_images_and_ctfs_at_the_entries_of_the_disc(particles):
    disc, chosen, size = HalfDisc(particles.box_size, 6), np.array([3, 17, 4]), particles.box_size
    found = transform_images(particles, chosen, disc)
    images = torch.from_numpy(particles.read(chosen))
    torch.testing.assert_close(found.data, disc.pack(fft_images(images)))
    frequencies = torch.from_numpy(disc.frequencies / (size * particles.pixel_size))
    expected = evaluate_ctf(particles.ctf[chosen], frequencies.float())
    torch.testing.assert_close(found.ctf, expected)
    torch.testing.assert_close(found.power, disc.sum_shells(found.data.abs().square()))
    torch.testing.assert_close(found.ctf_power, disc.sum_shells(expected.square()))
    np.testing.assert_array_equal(found.indices, chosen)


def test_parts_of_a_batch_keep_what_belongs_together(particles):
    batch = next(PosedSpectra(particles, 6).batches())
    part, chosen = batch.cut(4, 9), batch.select(np.array([8, 2]))
    np.testing.assert_array_equal(part.indices, batch.indices[4:9])
    np.testing.assert_array_equal(chosen.indices, batch.indices[[8, 2]])
    assert (len(part), len(chosen)) == (5, 2)
    for name in ("data", "ctf", "power", "ctf_power", "rotations"):
        values = getattr(batch, name)
        assert torch.equal(getattr(part, name), values[4:9])
        assert torch.equal(getattr(chosen, name), values[[8, 2]])
    factors = torch.linspace(0.5, 2, len(batch))
    scaled = batch.scaled(factors)
    torch.testing.assert_close(scaled.ctf, batch.ctf * factors[:, None])
    torch.testing.assert_close(scaled.ctf_power, HalfDisc(particles.box_size, 6).sum_shells(scaled.ctf.square()))
    assert torch.equal(scaled.data, batch.data)


def test_posed_spectra_are_image_spectra_centred_with_rotations(particles):
    plain, posed = ImageSpectra(particles, 6), PosedSpectra(particles, 6)
    one, other = next(plain.batches()), next(posed.batches())
    order = other.indices
    np.testing.assert_array_equal(np.sort(order), one.indices)
    moved = centre(one.data, particles.shifts, plain.disc, pixel_size=particles.pixel_size)
    torch.testing.assert_close(other.data, moved[order])
    assert torch.equal(one.ctf[order], other.ctf)
    expected = torch.tensor(particles.rotations[order])
    torch.testing.assert_close(other.rotations.double(), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(plain.mean_power, posed.mean_power, rtol=1e-5)
    entries = len(particles) * plain.disc.shell_weights
    np.testing.assert_allclose(plain.mean_power[1:], (one.power.sum(0).numpy() / entries)[1:])


@pytest.mark.parametrize("n", [1, 2, 5, 31])
def test_a_particle_is_centred_alike_alone_and_in_a_block(n, rng):
    disc, shifts = HalfDisc(17, 8), rng.uniform(-6, 6, (31, 2))
    block = torch.from_numpy(rng.standard_normal((31, len(disc.index), 2)).astype(np.float32))
    block = torch.view_as_complex(block)
    rows = rng.permutation(31)[:n]
    whole = centre(block, shifts, disc, pixel_size=2.0)
    assert torch.equal(whole[rows], centre(block[rows], shifts[rows], disc, pixel_size=2.0))
    double = centre(block.to(torch.complex128), shifts, disc, pixel_size=2.0)  # the PyTorch body
    torch.testing.assert_close(whole.to(torch.complex128), double, rtol=1e-5, atol=1e-5)
    assert centre(block[:0], shifts[:0], disc, pixel_size=2.0).shape == (0, len(disc.index))


def test_batches_of_large_images_are_smaller():
    assert [block_size(size) for size in (16, 64, 256, 4096)] == [CHUNK, CHUNK, 64, 1]
    assert all(block_size(size) * size**2 * 8 <= 2**25 for size in (91, 128, 255, 256, 400))  # as complex64


@pytest.mark.parametrize("kind", [ImageSpectra, PosedSpectra])
def test_kept_or_read_anew_batches_are_the_same_bits(kind):
    particles = toy_dataset(size=8, n=CHUNK + 30).particles
    block = CHUNK * spectra_bytes(HalfDisc(8, 3))
    kept, partly, streamed = (kind(particles, 3, keep_bytes=amount) for amount in (2 * block, block, block - 1))
    order = np.concatenate([batch.indices for batch in kept.batches()])
    np.testing.assert_array_equal(np.sort(order), np.arange(len(particles)))
    chosen = np.zeros(len(particles), dtype=bool)
    chosen[order[[5, 7, CHUNK + 2]]] = True
    for which, expected in ((None, order), (chosen, order[[5, 7, CHUNK + 2]])):
        batches = list(zip(*(each.batches(which) for each in (kept, partly, streamed)), strict=True))
        assert len(batches) == 2
        np.testing.assert_array_equal(np.concatenate([one.indices for one, *_ in batches]), expected)
        for one, *others in batches:
            for other in others:
                assert torch.equal(one.data, other.data)
                assert torch.equal(one.ctf, other.ctf)
    chosen[order[CHUNK:]] = False
    assert len(list(kept.batches(chosen))) == 1  # a block with none of them is passed over
    again = [
        [one is other for one, other in zip(each.batches(), each.batches(), strict=True)]
        for each in (kept, partly, streamed)
    ]
    assert again == [[True, True], [True, False], [False, False]]


def test_contrasts_scale_the_ctf(particles):
    contrasts = np.linspace(0.5, 1.5, len(particles))
    plain, scaled = (next(ImageSpectra(particles, 6, contrasts=values).batches()) for values in (None, contrasts))
    torch.testing.assert_close(scaled.ctf, plain.ctf * torch.from_numpy(contrasts).float()[:, None])


def test_withheld_poses_are_refused_where_they_are_needed(particles):
    withheld = particles.without_poses()
    assert withheld.mask is None
    ImageSpectra(withheld, 6)
    with pytest.raises(ValueError, match="come without poses"):
        PosedSpectra(withheld, 6)
    with pytest.raises(ValueError, match="come without poses"):
        require_poses(withheld)
    rotations, shifts = require_poses(particles)
    assert rotations.shape == (40, 3, 3)
    assert shifts.shape == (40, 2)


@pytest.mark.parametrize("kind", [ImageSpectra, PosedSpectra])
def test_blank_stacks_and_repeated_images_are_refused(kind, particles):
    size = particles.box_size
    blank = dataclasses.replace(particles, images=ArrayImages(np.full((40, size, size), 3, dtype=np.float32)))
    with pytest.raises(ValueError, match="no power"):
        _ = kind(blank, 6).mean_power
    image = particles.images.read(np.zeros(40, dtype=np.int64))
    with pytest.raises(ValueError, match="all 40 particles have the same image"):
        _ = kind(dataclasses.replace(particles, images=ArrayImages(image)), 6).mean_power
