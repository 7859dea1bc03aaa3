"""The residual in one sweep: against automatic differentiation, and what it must not depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cryobench.compute import Compute
from cryobench.data import ArrayImages, Particles
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.half_disc import HalfDisc
from cryobench.reconstruction.networks import (
    CoordinateNetwork,
    NetworkBatch,
    NetworkImages,
    NetworkShape,
    SliceEncoder,
    make_slice_encoder,
    slice_residual,
)
from cryobench.rotations import rotations_from_quaternions

SIZE = 16
DOMAINS = ("fourier", "hartley")


def make_case(
    rng: np.random.Generator, domain: str, count: int = 5
) -> tuple[CoordinateNetwork, SliceEncoder, NetworkBatch, torch.Tensor]:
    torch.manual_seed(2)
    network = CoordinateNetwork(NetworkShape(SIZE, 3, 20, 2, domain)).double()  # pyright: ignore
    disc = HalfDisc(SIZE, SIZE // 2)
    p = len(disc.frequencies) - 1
    batch = NetworkBatch(
        np.arange(count),
        torch.from_numpy(rng.standard_normal((count, p, 2))),
        torch.from_numpy(rng.uniform(-1, 1, (count, p))),
        torch.from_numpy(rotations_from_quaternions(rng.standard_normal((count, 4)))),
    )
    latents = torch.from_numpy(rng.standard_normal((count, 3))).requires_grad_()
    return network, make_slice_encoder(network, disc), batch, latents


def squared_residual(predicted: torch.Tensor, batch: NetworkBatch) -> torch.Tensor:
    """Mean over images and pixels of the Hartley disc of (C H' − H)², from predicted halves (b, p, 2)."""
    return (batch.ctf[..., None] * predicted - batch.data).square().sum(-1).mean()


def divide(monkeypatch, batch, domain: str, groups: int, at_once: int) -> None:
    """Sweep a batch in so many groups, with so many images of each at once."""
    outputs = batch.ctf.shape[1] * 20 * (1 if domain == "fourier" else 2)
    module = "cryobench.reconstruction.networks.residual"
    monkeypatch.setattr(f"{module}._AT_ONCE", {"cpu": at_once * outputs})
    monkeypatch.setattr(f"{module}._GROUP_OUTPUTS", len(batch.ctf) * outputs // groups)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize(("groups", "at_once"), [(1, 1), (1, 2), (1, 5), (2, 2), (5, 1)])
def test_one_sweep_is_automatic_differentiation(domain, groups, at_once, rng, monkeypatch):
    network, encoder, batch, latents = make_case(rng, domain)
    divide(monkeypatch, batch, domain, groups, at_once)
    assert batch.rotations is not None
    batch = replace(batch, data=batch.data.requires_grad_(), rotations=batch.rotations.requires_grad_())
    assert batch.rotations is not None
    wanted = [latents, batch.data, batch.rotations, *network.parameters()]
    plain = squared_residual(network.slices(encoder, batch.rotations, latents), batch)
    swept = slice_residual(network, encoder, batch, latents, torch.float64)
    torch.testing.assert_close(swept, plain, atol=1e-12, rtol=1e-12)
    pairs = zip(torch.autograd.grad(3 * swept, wanted), torch.autograd.grad(3 * plain, wanted), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("domain", DOMAINS)
def test_threads_change_no_bit(domain, rng, monkeypatch):
    network, encoder, batch, latents = make_case(rng, domain)
    divide(monkeypatch, batch, domain, groups=3, at_once=1)
    former, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            value = slice_residual(network, encoder, batch, latents, torch.float64)
            found.append([value, *torch.autograd.grad(value, [latents, *network.parameters()])])
    finally:
        torch.set_num_threads(former)
    for others in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], others, strict=True))


def test_a_gradient_by_poses_changes_no_other(rng):
    network, encoder, batch, latents = make_case(rng, "fourier")
    assert batch.rotations is not None
    wanted = [latents, *network.parameters()]
    alone = torch.autograd.grad(slice_residual(network, encoder, batch, latents, torch.float64), wanted)
    batch = replace(batch, rotations=batch.rotations.requires_grad_())
    beside = torch.autograd.grad(slice_residual(network, encoder, batch, latents, torch.float64), wanted)
    assert all(torch.equal(*pair) for pair in zip(alone, beside, strict=True))


@pytest.mark.parametrize("domain", DOMAINS)
def test_bfloat16_is_close_and_keeps_float32_gradients(domain, rng):
    network, encoder, batch, latents = make_case(rng, domain)
    network, latents = network.float(), latents.detach().float().requires_grad_()
    encoder = make_slice_encoder(network, HalfDisc(SIZE, SIZE // 2))
    assert batch.rotations is not None
    rotations = batch.rotations.float().requires_grad_()
    batch = NetworkBatch(batch.indices, batch.data.float(), batch.ctf.float(), rotations)
    wanted = [latents, rotations, *network.parameters()]
    exact, rough = (slice_residual(network, encoder, batch, latents, d) for d in (torch.float32, torch.bfloat16))
    torch.testing.assert_close(rough, exact, rtol=1e-2, atol=0)
    assert rough != exact
    for found, expected in zip(torch.autograd.grad(rough, wanted), torch.autograd.grad(exact, wanted), strict=True):
        assert found.dtype == torch.float32
        assert (found - expected).norm() < 0.2 * expected.norm()


def test_the_loss_does_not_count_pixels_or_images(rng):
    """Every pixel and image twice: the same loss; and it is the mean over the Hartley disc."""
    network, encoder, batch, latents = make_case(rng, "fourier")
    assert batch.rotations is not None
    predicted = network.slices(encoder, batch.rotations, latents)
    once = squared_residual(predicted, batch)
    twice = NetworkBatch(
        np.concatenate([batch.indices] * 2),
        batch.data.repeat(2, 2, 1),
        batch.ctf.repeat(2, 2),
        batch.rotations.repeat(2, 1, 1),
    )
    torch.testing.assert_close(squared_residual(predicted.repeat(2, 2, 1), twice), once)

    def hartley(halves: torch.Tensor) -> torch.Tensor:
        real, imaginary = halves.unbind(-1)
        return torch.cat([real - imaginary, real + imaginary], dim=1)

    difference = hartley(batch.ctf[..., None] * predicted) - hartley(batch.data)
    torch.testing.assert_close(difference.square().mean(), once)


def make_particles(images: np.ndarray, rotations: np.ndarray, shifts: np.ndarray) -> Particles:
    ctf = Ctf.from_columns(len(images), defocus_u=9000.0, defocus_v=9000.0)
    return Particles(ArrayImages(images.astype(np.float32)), 3.0, ctf, rotations=rotations, shifts=shifts)


def loss_of(particles: Particles, moves: np.ndarray | None = None) -> float:
    """Of particles whose images are moved by ``moves`` (n, 2) in px beyond their shifts."""
    torch.manual_seed(3)
    network = CoordinateNetwork(NetworkShape(particles.box_size, 2, 16, 1))
    images = NetworkImages(particles, Compute(), keep_bytes=1e9)
    batch = images.load(np.arange(len(particles)))
    if moves is not None:
        assert batch.rotations is not None
        batch = images.move(batch, batch.rotations, torch.from_numpy(moves).float())
    encoder = make_slice_encoder(network, images.disc)
    return float(slice_residual(network, encoder, batch, torch.ones(len(particles), 2)).detach())


def test_turning_images_and_poses_by_a_right_angle_leaves_the_loss(rng):
    size = SIZE + 1  # an odd box turns onto itself
    images, shifts = rng.standard_normal((4, size, size)), rng.uniform(-3, 3, (4, 2))
    rotations = rotations_from_quaternions(rng.standard_normal((4, 4)))
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # x to y, y to -x
    turned = np.rot90(images, -1, axes=(1, 2))
    before = loss_of(make_particles(images, rotations, shifts))
    after = loss_of(make_particles(turned, turn @ rotations, shifts @ turn[:2, :2].T))
    assert abs(after / before - 1) < 1e-5
    assert abs(loss_of(make_particles(turned, turn.T @ rotations, shifts @ turn[:2, :2])) / before - 1) > 1e-5
    moves = rng.uniform(-2, 2, (4, 2))
    moved = loss_of(make_particles(images, rotations, shifts), moves)
    both = loss_of(make_particles(turned, turn @ rotations, shifts @ turn[:2, :2].T), moves @ turn[:2, :2].T)
    assert abs(both / moved - 1) < 1e-5
    assert abs(moved / before - 1) > 1e-4


def test_a_move_is_a_shift_in_pixels(rng):
    """What is left of a shift can be given to the images, or found on top of it: the loss is the same."""
    images, shifts = rng.standard_normal((40, SIZE, SIZE)), rng.uniform(-6, 6, (40, 2))
    rotations = rotations_from_quaternions(rng.standard_normal((40, 4)))
    moves = rng.uniform(-1, 1, (40, 2))
    given = loss_of(make_particles(images, rotations, shifts + 3.0 * moves))
    found = loss_of(make_particles(images, rotations, shifts), moves)
    assert abs(found / given - 1) < 1e-5
    assert abs(loss_of(make_particles(images, rotations, shifts)) / given - 1) > 1e-4


def test_rolling_images_with_their_shifts_leaves_the_prepared_images(rng):
    """Within the flat part of the window; a shift is what centres a particle, so it is minus the roll."""
    axis = np.arange(32) - 16
    blob = np.exp(-((axis[:, None] - 2) ** 2 + axis**2) / 6)
    images = blob * (1 + rng.random((3, 1, 1)))
    rotations = rotations_from_quaternions(rng.standard_normal((3, 4)))
    rolled = np.roll(images, (1, -2), axis=(1, 2))
    first = NetworkImages(make_particles(images, rotations, np.zeros((3, 2))), Compute(), keep_bytes=1e9)
    shifts = np.tile([2.0, -1.0], (3, 1)) * 3.0
    second = NetworkImages(make_particles(rolled, rotations, shifts), Compute(), keep_bytes=1e9)
    everyone = np.arange(3)
    one, other = first.load(everyone).data, second.load(everyone).data
    assert first.scale == pytest.approx(second.scale, rel=1e-5)
    assert float((one - other).abs().max()) < 2e-3 * float(one.abs().max())  # half precision
