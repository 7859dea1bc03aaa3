"""Losses of the methods that train networks, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cryobench._errors import FormatError
from cryobench.compute import Compute, MemoryShortage
from cryobench.data import ArrayImages, Particles
from cryobench.methods import get_method
from cryobench.methods.cryodrgn import Cryodrgn
from cryobench.methods.cryodrgn.training import AutoencoderTraining, kl_divergence, make_model
from cryobench.methods.cryodrgn_ai.training import HypervolumeTraining
from cryobench.reconstruction.engine import Diverged, RunContext
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import NetworkImages
from cryobench.testing.toy import toy_dataset

NAMES = ("cryodrgn", "cryodrgn-ai-fixed")
PLENTY = Compute(memory=10**9)


def estimate(name: str, particles: Particles, context: RunContext | None = None, **changes: object) -> object:
    kind = get_method(name)
    method = kind.with_settings({**kind.small, "epochs": 1, **changes})
    return method.estimate(particles, np.array([0]), context or RunContext(compute=PLENTY))


def with_images(particles: Particles, images: np.ndarray) -> Particles:
    return replace(particles, images=ArrayImages(images))


@pytest.fixture(scope="module")
def particles() -> Particles:
    return toy_dataset(size=16, n=60).particles


def test_divergence_is_zero_at_the_prior_and_otherwise_that_of_samples():
    torch.testing.assert_close(kl_divergence(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))
    mean, log_variance = torch.tensor([[0.7, -0.3]]), torch.tensor([[-1.0, 0.4]])
    deviation = torch.exp(0.5 * log_variance)
    drawn = mean + deviation * torch.randn(400_000, 2, generator=torch.Generator().manual_seed(1))
    normal = torch.distributions.Normal
    sampled = normal(mean, deviation).log_prob(drawn) - normal(0.0, 1.0).log_prob(drawn)
    torch.testing.assert_close(kl_divergence(mean, log_variance)[0], sampled.sum(1).mean(), atol=5e-3, rtol=0)


def make_training(particles: Particles, **changes: object) -> AutoencoderTraining:
    method = Cryodrgn.with_settings({**Cryodrgn.small, "z_dim": 4, "beta": None, **changes})
    assert isinstance(method, Cryodrgn)
    images = NetworkImages(particles, PLENTY, keep_bytes=1e8)
    model = make_model(method.settings, particles.box_size, 0)
    return AutoencoderTraining(model, images, Minibatches(60, 12, 0), method.settings, PLENTY, 0)


def test_divergence_is_weighted_by_one_over_dimensions_and_pixels(particles):
    training = make_training(particles)
    terms = {name: float(value) for name, value in training.train(training.images.load(np.arange(12)), 0).items()}
    pixels = sum(0 < x * x + y * y <= 64 for x in range(-8, 9) for y in range(-8, 9))
    assert training.images.n_values == pixels
    assert terms["loss"] == pytest.approx(terms["residual"] + terms["kl"] / 4 / pixels, rel=1e-5)


def test_a_controlled_divergence_costs_least_at_its_target(particles):
    training = make_training(particles, kl_target=3.0, beta_control=0.5)
    costs = [float(training._penalty(torch.tensor(value))) for value in (2.0, 3.0, 5.0)]
    assert costs == [0.5, 0.0, 2.0]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_with_nan_is_named(name, particles):
    images = particles.images.read(np.arange(60)).copy()
    images[41, 3, 3] = np.nan
    with pytest.raises(ValueError, match="particle 41 holds NaN"):
        estimate(name, with_images(particles, images))


@pytest.mark.parametrize("name", NAMES)
def test_blank_images_are_refused_and_a_single_one_is_not(name, particles):
    images = particles.images.read(np.arange(60)).copy()
    with pytest.raises(ValueError, match="images are constant"):
        estimate(name, with_images(particles, np.ones_like(images)))
    images[5] = 2.0
    latents = estimate(name, with_images(particles, images)).latents  # pyright: ignore
    assert np.isfinite(latents).all()


@pytest.mark.parametrize("name", NAMES)
def test_too_few_particles_are_refused_with_the_setting(name, particles):
    with pytest.raises(ValueError, match=r"holds 61 images and there are 60: set batch_size to at most 60"):
        estimate(name, particles, batch_size=61)
    with pytest.raises(ValueError, match=r"latent of 60 dimensions .* from 60 images: set z_dim lower"):
        estimate(name, particles, z_dim=60)


@pytest.mark.parametrize("name", NAMES)
def test_divergence_is_said_with_a_way_out(name, particles):
    with pytest.raises(Diverged, match="Lower the learning rate"):
        estimate(name, particles, learning_rate=1e3, epochs=3, batch_size=6)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_of_other_settings_is_refused(name, particles, tmp_path):
    estimate(name, particles, RunContext(compute=PLENTY, checkpoint=tmp_path))
    with pytest.raises(FormatError, match="checkpoint of another call, which differs in settings"):
        estimate(name, particles, RunContext(compute=PLENTY, checkpoint=tmp_path), z_dim=3)


@pytest.mark.parametrize("name", NAMES)
def test_networks_beyond_the_budget_are_refused_before_anything_is_read(name, particles):
    unread = replace(particles, images=_Unreadable(60, 16))
    with pytest.raises(MemoryShortage, match="in a batch, with networks of"):
        estimate(name, unread, RunContext(compute=Compute(memory=10**5)))


class _Unreadable(ArrayImages):
    def __init__(self, n: int, size: int) -> None:
        super().__init__(np.zeros((n, size, size), np.float32))

    def read(self, indices):
        raise AssertionError("images were read")


def test_prepared_images_beyond_the_budget_leave_no_file(particles, tmp_path):
    kept = NetworkImages(particles, PLENTY, keep_bytes=1e8)
    filed = NetworkImages(particles, PLENTY, keep_bytes=10, folder=tmp_path / "checkpoint")
    assert kept.is_in_memory
    assert not filed.is_in_memory
    assert not list((tmp_path / "checkpoint").iterdir())
    chosen = np.array([5, 59, 0])
    assert torch.equal(kept.load(chosen).data, filed.load(chosen).data)


def test_a_full_disk_is_said_before_images_are_prepared(particles, tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 10})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"has 10 bytes free: free space"):
        NetworkImages(particles, PLENTY, keep_bytes=10, folder=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_precision_is_that_of_the_run(name, particles):
    exact = estimate(name, particles).latents  # pyright: ignore
    rough = estimate(name, particles, RunContext(compute=Compute(precision="bfloat16", memory=10**9))).latents  # pyright: ignore
    assert np.isfinite(rough).all()
    assert not np.array_equal(exact, rough)
    assert np.abs(rough - exact).max() < 0.5 * np.abs(exact).max()


def test_every_step_of_the_pretraining_has_latents_of_its_own(particles, monkeypatch):
    draw, drawn = HypervolumeTraining._draw, []
    monkeypatch.setattr(HypervolumeTraining, "_draw", lambda *given: (drawn.append(draw(*given)), drawn[-1])[1])
    estimate("cryodrgn-ai-fixed", particles, pretraining_images=40, batch_size=20)
    first, second = drawn
    assert (first != second).all()
    assert first.std() == pytest.approx(second.std(), rel=0.5)
