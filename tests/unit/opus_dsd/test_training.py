"""Laws of a training step, on toy images."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cryobench.compute import Compute
from cryobench.compute.workers import Workers
from cryobench.data import ArrayImages, Particles
from cryobench.methods.opus_dsd import OpusDsd
from cryobench.methods.opus_dsd import training as training_module
from cryobench.methods.opus_dsd.sizes import choose_sizes
from cryobench.methods.opus_dsd.support import make_support
from cryobench.methods.opus_dsd.training import OpusTraining
from cryobench.reconstruction.engine import RunContext
from cryobench.reconstruction.images import require_poses
from cryobench.reconstruction.networks import RealSpaceImages, seeded_weights
from cryobench.rotations import rotations_from_euler
from cryobench.testing.toy import toy_dataset

PLENTY = Compute(memory=10**9)


@pytest.fixture(scope="module")
def particles() -> Particles:
    return toy_dataset(size=16, n=60).particles


def make_training(particles: Particles, *, seed: int = 0, **changes: object) -> OpusTraining:
    method = OpusDsd.with_settings({**OpusDsd.small, "downfrac": 1.0, "template_size": 16, **changes})
    assert isinstance(method, OpusDsd)
    assert particles.mask is not None
    sizes = choose_sizes(particles.mask, particles.box_size, method.settings)
    images = RealSpaceImages(particles, PLENTY, sizes.crop, keep_bytes=1e8)
    support = make_support(particles.mask, sizes, particles.pixel_size)
    with seeded_weights(seed):
        model = method._make_model(sizes)
    rotations, _ = require_poses(particles)
    return OpusTraining(model, images, support, rotations, method.settings, PLENTY, seed)


def gradients(training: OpusTraining) -> torch.Tensor:
    return torch.cat([each.grad.flatten() for each in training.model.parameters() if each.grad is not None])


def compare(training: OpusTraining, scale: float) -> tuple[float, torch.Tensor]:
    """Squared distances of a batch at latents of its own, in which volumes are ``scale`` times the network's."""
    batch = training.images.load(np.arange(12))
    with torch.no_grad():
        last = training.model.decoder.doublings[-1]
        last.weight.mul_(scale)
    latents = torch.randn(12, 6, generator=torch.Generator().manual_seed(5))
    inside = training._support.footprints(batch.rotations)
    found, sums = training._compare(batch, latents, inside, 0, 0, 100.0)
    return float(sums[0]), found


def test_eight_orientations_tend_to_the_given_one_as_their_cone_closes(particles):
    given, by_given = compare(make_training(particles), 30.0)
    errors, slopes = [], []
    for n_side in (32, 256, 4_096, 2**20):
        tilted, by_tilted = compare(make_training(particles, orientations="tilted", cone_n_side=n_side), 30.0)
        errors.append(abs(tilted - given) / given)
        slopes.append(float((by_tilted - by_given).abs().max() / by_given.abs().max()))
    assert errors[0] > 1e-4
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[-1] < 1e-6
    assert slopes[0] > 10 * slopes[2]
    assert slopes[-1] < 1e-3


def test_every_particle_is_visited_once_an_epoch_in_batches_of_one_view(particles):
    rotations = np.array(particles.rotations)
    rotations[7] = rotations_from_euler(np.array([[0.3, 0.02, 1.0]]))[0]
    poled = replace(particles, rotations=rotations)
    training = make_training(poled, view_n_side=8, batch_size=5)
    bins = training._pool._bins
    assert (np.bincount(bins)[bins] == 1).any()
    for epoch in range(2):
        first = epoch * training.batches.steps_per_epoch
        batches = list(training.batches.steps(first, first + training.batches.steps_per_epoch))
        np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(60))
        assert all(len(set(bins[batch])) == 1 for batch in batches)
    training._means.fill_(1.0)
    for step, batch in enumerate(batches):
        terms = training.train(training.images.load(batch), step)
        assert all(torch.isfinite(value) for value in terms.values())


def test_parts_of_a_batch_add_up_to_the_whole(particles):
    found = []
    for at_once in (1, 5, 12):
        training = make_training(particles, at_once=at_once, batch_size=12)
        training._means.fill_(0.5)
        training.train(training.images.load(np.arange(12)), 0)
        found.append(gradients(training))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-5 * float(found[0].abs().max()), rtol=0)


def test_parts_side_by_side_are_those_one_after_another(particles, monkeypatch):
    former, found = torch.get_num_threads(), []
    torch.set_num_threads(3)
    try:
        for largest in (0, 64):
            monkeypatch.setattr(training_module, "LARGEST_SIDE_BY_SIDE", largest)
            training = make_training(particles, at_once=2, batch_size=12)
            training._means.fill_(0.5)
            terms = training.train(training.images.load(np.arange(12)), 0)
            found.append((gradients(training), terms["residual"]))
    finally:
        torch.set_num_threads(former)
    (by_turns, residual), (together, other) = found
    torch.testing.assert_close(together, by_turns, atol=1e-5 * float(by_turns.abs().max()), rtol=0)
    torch.testing.assert_close(other, residual)


def test_the_gradient_through_latents_is_that_of_one_graph(particles):
    """The two passes, decoder then encoder, against finite differences of the loss they report."""
    training = make_training(particles, batch_size=12, disentanglement=0.0, learning_rate=1e-9)
    with torch.no_grad():
        training.model.decoder.doublings[-1].weight.mul_(20)
    batch = training.images.load(np.arange(12))

    def measure() -> float:
        training._means.fill_(0.5)
        return float(training.train(batch, 60)["loss"])

    measure()
    for name in (
        "encoder.mean.bias",
        "encoder.convolutions.0.weight",
        "decoder.second.bias",
        "decoder.affine.1.bias",
    ):
        parameter = training.model.get_parameter(name)
        assert parameter.grad is not None
        direction = parameter.grad / parameter.grad.norm()
        slope = float(parameter.grad.norm())
        values = []
        for step in (2e-3, -2e-3):
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
            values.append(measure())
            with torch.no_grad():
                parameter.sub_(direction, alpha=step)
        np.testing.assert_allclose((values[0] - values[1]) / 4e-3, slope, rtol=0.1, atol=1e-6, err_msg=name)
        measure()


def test_predictions_are_damped_by_the_b_factor(particles, monkeypatch):
    """B of 4 is 158 Å² in the usual form, and in the first epoch it is a twelfth more."""
    image, transfers = training_module.loss.image_projections, []
    monkeypatch.setattr(
        training_module.loss,
        "image_projections",
        lambda projections, transfer, size: (transfers.append(transfer), image(projections, transfer, size))[1],
    )
    training = make_training(particles, b_factor=4.0, at_once=12)
    compare(training, 1.0)
    pixel_size = particles.pixel_size * particles.box_size / training.images.box_size
    x, y = (of(training.images.box_size, pixel_size) for of in (np.fft.rfftfreq, np.fft.fftfreq))
    envelope = np.exp(-157.9 * 13 / 12 * (y[:, None] ** 2 + x**2) / 4)
    (transfer,) = transfers
    np.testing.assert_allclose(transfer, training.images.load(np.arange(12)).ctf.numpy() * envelope, atol=1e-4)


def test_the_prior_has_no_gradient_where_its_weight_is_zero(particles, monkeypatch):
    found = {}
    for weight in (0.0, 1e-12, 2.0):
        training = make_training(particles, batch_size=12, disentanglement=weight)
        training._means.fill_(0.5)
        if weight == 0:
            monkeypatch.setattr(training, "_disentangle", lambda *_: pytest.fail("the prior was worked out"))
        training.train(training.images.load(np.arange(12)), 60)
        found[weight] = gradients(training)
    torch.testing.assert_close(found[0.0], found[1e-12], atol=1e-9, rtol=1e-5)
    assert (found[2.0] - found[0.0]).abs().max() > 1e-6


def test_the_bank_keeps_seven_tenths_and_takes_the_clean_rest(particles):
    training = make_training(particles, batch_size=12)
    before, rows = training.bank.clone(), np.arange(12)
    assert abs(float(before.std()) - 1) < 0.2
    training._remember(rows, torch.ones(12, 2))
    torch.testing.assert_close(training.bank[:12], 0.7 * before[:12] + 0.3)
    torch.testing.assert_close(training.bank[12:], before[12:])


def test_latents_are_those_of_images_as_they_are(particles):
    training = make_training(particles)
    training._means.fill_(5.0)  # with which augmented images differ
    first = training.latents(np.arange(20))
    training.history.add(0, {"loss": 0.0})
    torch.testing.assert_close(training.latents(np.arange(20)), first)
    torch.testing.assert_close(training.latents(np.arange(19, -1, -1)).flip(0), first, atol=1e-5, rtol=1e-4)


def test_predictions_from_the_true_density_are_the_images(particles):
    """Rotation, centre, shift, CTF and scale: the toy's images were made without this package's projector."""
    dataset = toy_dataset(size=24, n=8, n_states=1, snr=1e8)
    images = RealSpaceImages(dataset.particles, PLENTY, 24, keep_bytes=1e8)
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    volume = torch.tensor(dataset.truth.volumes.read(0)) / images.scale
    fine = volume.expand(8, -1, -1, -1)
    batch = images.load(np.arange(8))
    projections = training_module.project_volumes(fine, batch.rotations.mT[:, None], torch.zeros(8, 3), 24)
    predicted = training_module.loss.image_projections(projections, batch.ctf, 24)[:, 0]
    centred = batch.images - batch.images.mean((1, 2), keepdim=True)
    difference = predicted - predicted.mean((1, 2), keepdim=True) - centred
    assert float(difference.square().mean() / centred.square().mean()) < 0.05
    scale = float((predicted * centred).sum() / predicted.square().sum())
    assert abs(scale - 1) < 0.1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": "constant"}, "all pixels of an image are equal"),
        ({"images": "nan"}, "NaN or infinite"),
        ({"mask": "empty"}, "mask is empty"),
        ({"settings": {"batch_size": 200}}, "set batch_size to at most 60"),
        ({"settings": {"template_size": 8}}, "template_size"),
        ({"settings": {"downfrac": 0.3}}, "too few for 3-D convolutions"),
    ],
)
def test_bad_input_is_refused_with_a_way_out(particles, changes: dict, said: str):
    images = particles.images.read(np.arange(60)).copy()
    if changes.get("images") == "constant":
        images[:] = 3
    if changes.get("images") == "nan":
        images[3, 2, 1] = np.nan
    mask = np.zeros_like(particles.mask) if "mask" in changes else particles.mask
    bad = replace(particles, images=ArrayImages(images), mask=mask)
    method = OpusDsd.with_settings(
        {**OpusDsd.small, "epochs": 1, "downfrac": 1.0, "template_size": 16, **changes.get("settings", {})}
    )
    with pytest.raises(ValueError, match=said):
        method.estimate(bad, np.array([0]), RunContext(compute=PLENTY))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beta_ramp": 10, "beta_period": 5}, "beta_ramp"),
        ({"decoder_width": 80}, "cannot be halved"),
        ({"template_size": 100}, "multiple of 16"),
        ({"pool_size": 100}, "pool_size"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict, said: str):
    with pytest.raises(ValueError, match=said):
        OpusDsd.with_settings(settings)


def test_memory_is_that_of_the_threads_of_a_worker(particles: Particles) -> None:
    """Workers started here have one thread each, this process as many as there are cores."""
    method = OpusDsd.with_settings({**OpusDsd.small, "template_size": 20, "at_once": 1, "batch_size": 8})
    assert isinstance(method, OpusDsd)
    assert particles.mask is not None
    sizes = choose_sizes(particles.mask, particles.box_size, method.settings)
    found = {"workers": {name: {"nthreads": 1} for name in ("a", "b")}}
    workers = Workers(SimpleNamespace(scheduler_info=lambda **_: found))
    former, left = torch.get_num_threads(), []
    for n_threads, compute in ((4, Compute(memory=2 * PLENTY.memory, workers=workers)), (1, PLENTY)):
        torch.set_num_threads(n_threads)
        left.append(method._reserve(method._make_model(sizes), sizes, len(particles), compute))
    torch.set_num_threads(former)
    assert left[0] == left[1]


def test_gradients_that_are_kept_until_they_are_summed_are_part_of_the_budget(particles: Particles) -> None:
    left, n_weights = [], 0
    for count in (1, 8):
        chosen = {"template_size": 20, "decoder_width": 512, "at_once": 1, "batch_size": count}
        method = OpusDsd.with_settings({**OpusDsd.small, **chosen})
        assert isinstance(method, OpusDsd)
        assert particles.mask is not None
        sizes = choose_sizes(particles.mask, particles.box_size, method.settings)
        model = method._make_model(sizes)
        n_weights = sum(each.numel() for each in model.decoder.parameters())
        left.append(method._reserve(model, sizes, len(particles), PLENTY))
    assert left[0] - left[1] > 7 * 4 * n_weights
