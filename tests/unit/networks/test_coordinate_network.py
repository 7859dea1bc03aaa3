"""Coordinate networks against plain NumPy, known outputs, finite differences and the grid's projector."""

import numpy as np
import pytest
import torch

from cryobench.compute import Compute
from cryobench.fourier import fourier_crop
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.slices import extract_slices
from cryobench.reconstruction.networks import (
    CoordinateNetwork,
    ImageEncoder,
    NetworkBatch,
    NetworkImages,
    NetworkShape,
    encode_points,
    make_slice_encoder,
    slice_residual,
    spectrum,
)
from cryobench.reconstruction.networks.encoding import draw_frequencies
from cryobench.reconstruction.networks.spectrum import evaluate_spectrum
from cryobench.reconstruction.networks.volumes import decode_volumes
from cryobench.reconstruction.poses import rotations_from_rows
from cryobench.rotations import rotations_from_quaternions
from cryobench.testing.toy import toy_dataset

SIZE = 16
DOMAINS = ("fourier", "hartley")


def make_network(domain: str = "fourier", *, width: int = 12, depth: int = 2, z_dim: int = 3) -> CoordinateNetwork:
    torch.manual_seed(1)
    return CoordinateNetwork(NetworkShape(SIZE, z_dim, width, depth, domain)).double()  # pyright: ignore


def numpy_outputs(network: CoordinateNetwork, point: np.ndarray, latent: np.ndarray) -> np.ndarray:
    """Outputs at one point, written out: no symmetry, the ReLU of a block after its sum."""
    phases = network.frequencies.numpy() @ point
    layers = [network.first, *network.blocks, network.last]
    weights = [layer.weight.detach().numpy() for layer in layers]  # pyright: ignore
    biases = [layer.bias.detach().numpy() for layer in layers]  # pyright: ignore
    values = weights[0] @ np.concatenate([np.sin(phases), np.cos(phases), latent]) + biases[0]
    values = np.maximum(values, 0)
    for weight, bias in zip(weights[1:-1], biases[1:-1], strict=True):
        values = np.maximum(weight @ values + bias + values, 0)
    return weights[-1] @ values + biases[-1]


def spectrum_at(network: CoordinateNetwork, points: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    return torch.cat([found for _, found in evaluate_spectrum(network, points, latents)], dim=1)


def draw_rotations(rng: np.random.Generator, count: int) -> torch.Tensor:
    return torch.from_numpy(rotations_from_quaternions(rng.standard_normal((count, 4))))


def slice_points(disc: HalfDisc, rotations: torch.Tensor) -> torch.Tensor:
    """(b, p, 3) points k R in cycles per pixel."""
    plane = torch.from_numpy(disc.frequencies[1:] / disc.box_size)
    return plane @ rotations[:, :2]


def test_forward_is_the_written_out_network(rng):
    network = make_network()
    points, latents = rng.uniform(-0.3, 0.3, (5, 3)), rng.standard_normal((2, 3))
    points[:, 2] = -np.abs(points[:, 2])
    found = spectrum_at(network, torch.from_numpy(points), torch.from_numpy(latents)).numpy()
    expected = [[numpy_outputs(network, point, latent) for point in points] for latent in latents]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_one_evaluation_serves_a_friedel_pair(rng):
    network = make_network()
    points = torch.from_numpy(rng.uniform(-0.3, 0.3, (20, 3)))
    latents = torch.from_numpy(rng.standard_normal((1, 3)))
    here, there = spectrum_at(network, points, latents), spectrum_at(network, -points, latents)
    torch.testing.assert_close(here, there * torch.tensor([1.0, -1.0], dtype=torch.float64))
    upper = points[:, 2] > 0
    assert upper.any()
    for point, value in zip(points[upper].numpy(), here[0, upper].detach().numpy(), strict=True):
        np.testing.assert_allclose(value * [1, -1], numpy_outputs(network, -point, latents[0].numpy()), atol=1e-12)


def test_hartley_domain_is_real_minus_imaginary(rng):
    network = make_network("hartley")
    points, latents = rng.uniform(-0.3, 0.3, (6, 3)), rng.standard_normal((1, 3))
    found = spectrum_at(network, torch.from_numpy(points), torch.from_numpy(latents))[0].numpy()
    for point, (real, imaginary) in zip(points, found, strict=True):
        np.testing.assert_allclose(real - imaginary, numpy_outputs(network, point, latents[0])[0], atol=1e-12)
        np.testing.assert_allclose(real + imaginary, numpy_outputs(network, -point, latents[0])[0], atol=1e-12)


@pytest.mark.parametrize("domain", DOMAINS)
def test_slices_are_the_spectrum_at_their_points(domain, rng):
    network, disc = make_network(domain), HalfDisc(SIZE, SIZE // 2)
    rotations, latents = draw_rotations(rng, 3), torch.from_numpy(rng.standard_normal((3, 3)))
    found = network.slices(make_slice_encoder(network, disc), rotations, latents)
    points = slice_points(disc, rotations)
    for index in range(3):
        expected = spectrum_at(network, points[index], latents[index : index + 1])[0]
        torch.testing.assert_close(found[index], expected)


def test_encoding_is_zero_and_one_at_zero_and_has_no_two_pi():
    frequencies = draw_frequencies(128, 64, 0)
    assert frequencies.shape == (192, 3)
    assert abs(float(frequencies.std()) / 32 - 1) < 0.1  # 0.5 · 128 / 2
    zero = encode_points(frequencies, torch.zeros(1, 3))
    torch.testing.assert_close(zero, torch.cat([torch.zeros(1, 192), torch.ones(1, 192)], dim=1))
    point = torch.tensor([[0.01, -0.02, 0.005]])
    torch.testing.assert_close(encode_points(frequencies, point)[:, :192], torch.sin(point @ frequencies.T))


def test_a_constant_decoder_is_a_point_and_an_imaginary_one_is_odd():
    network = CoordinateNetwork(NetworkShape(SIZE, 1, 8, 1))
    torch.nn.init.zeros_(network.last.weight)
    network.last.bias.data = torch.tensor([1.0, 0.0])
    (volume,) = decode_volumes(network, np.zeros((1, 1)), 1.0)
    assert np.unravel_index(volume.argmax(), volume.shape) == (SIZE // 2,) * 3
    axis = np.arange(SIZE) - SIZE // 2
    inside = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= (SIZE // 2) ** 2
    # The ball's sum, less the entries at +8 that an even box does not store, over all voxels.
    assert abs(volume.max() - inside.sum() / SIZE**3) < 0.01
    network.last.bias.data = torch.tensor([0.0, 1.0])
    points = torch.tensor([[0.1, 0.2, -0.1], [0.1, 0.2, 0.0], [0.1, 0.2, 0.1]])
    found = spectrum_at(network, points, torch.zeros(1, 1))[0]
    torch.testing.assert_close(found[:, 0] - found[:, 1], torch.tensor([-1.0, -1.0, 1.0]))


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_volume_has_the_same_bits_whatever_is_decoded_beside_it(domain, rng):
    """So that work which was stopped ends as if it had not been."""
    torch.manual_seed(1)
    network, latents = CoordinateNetwork(NetworkShape(32, 8, 64, 3, domain)), rng.standard_normal((7, 8))
    together = list(decode_volumes(network, latents, 1.0))
    for first in (1, 6):
        np.testing.assert_array_equal(list(decode_volumes(network, latents[first:], 1.0)), together[first:])


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("full", [16, 17])
@pytest.mark.parametrize("box", [13, 12])
def test_a_smaller_box_is_the_volume_fourier_cropped(domain, full, box, rng):
    torch.manual_seed(1)
    network, latents = CoordinateNetwork(NetworkShape(full, 3, 12, 2, domain)), rng.standard_normal((3, 3))
    small = torch.from_numpy(np.stack(list(decode_volumes(network, latents, 2.0, box_size=box))))
    cropped = fourier_crop(torch.from_numpy(np.stack(list(decode_volumes(network, latents, 2.0)))), box, dimensions=3)
    # The zero frequency is chosen anew, for the solvent of the smaller box.
    offset = (small - cropped).mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(small - offset, cropped, rtol=1e-4, atol=float(1e-5 * cropped.abs().max()))
    assert float(offset.abs().max()) < 0.01 * float(cropped.abs().max())


def test_points_are_evaluated_in_stretches_that_change_nothing(rng, monkeypatch):
    network, points = make_network("hartley"), torch.from_numpy(rng.uniform(-0.3, 0.3, (40, 3)))
    latents = torch.from_numpy(rng.standard_normal((3, 3)))
    whole = spectrum_at(network, points, latents)
    monkeypatch.setitem(spectrum._AT_ONCE, "cpu", 2 * 3 * 12 * 7)  # 7 points at a time
    torch.testing.assert_close(spectrum_at(network, points, latents), whole)


@pytest.mark.parametrize("domain", DOMAINS)
def test_gradients_are_finite_differences(domain, rng):
    """By poses through plain slices, and by poses, weights and latents through the sweep."""
    network = make_network(domain, width=6, depth=1)
    images = NetworkImages(toy_dataset(size=8, n=9).particles, Compute(), keep_bytes=1e9)
    encoder = make_slice_encoder(network, images.disc)
    rotations, latents = draw_rotations(rng, 2), torch.from_numpy(rng.standard_normal((2, 3)))
    six = (
        1.3 * rotations[:, :2].reshape(2, 6) + 0.1 * torch.from_numpy(rng.standard_normal((2, 6)))
    ).requires_grad_()

    def turned(rows: torch.Tensor) -> torch.Tensor:
        return network.slices(encoder, rotations_from_rows(rows), latents).square().mean()

    assert torch.autograd.gradcheck(turned, (six,), eps=1e-7, atol=1e-5)
    p = images.n_values // 2
    data, ctf = torch.from_numpy(rng.standard_normal((2, p, 2))), torch.from_numpy(rng.uniform(-1, 1, (2, p)))
    batch = NetworkBatch(np.arange(2), data, ctf, rotations)
    layers = [network.first, *network.blocks, network.last]

    def residual(codes: torch.Tensor, rows: torch.Tensor, shifts: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        moved = images.move(batch, rotations_from_rows(rows), shifts)
        return slice_residual(network, encoder, moved, codes, torch.float64)

    shifts = torch.from_numpy(rng.uniform(-1, 1, (2, 2))).requires_grad_()
    tensors = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    assert torch.autograd.gradcheck(residual, (latents.requires_grad_(), six, shifts, *tensors), eps=1e-7, atol=1e-5)


@pytest.mark.gate
def test_a_decoder_fitted_to_a_volume_projects_like_the_grid(rng):
    size = 24
    truth = toy_dataset(size=size, n=3).truth
    assert truth is not None
    assert truth.volumes is not None
    grid = volume_to_fourier(torch.tensor(truth.volumes.read(0)), padding=2)
    disc = HalfDisc(size, size // 2 - 1)

    def project(rotations: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(disc.pack(extract_slices(grid, rotations))[:, 1:].contiguous())

    scale = float(project(draw_rotations(rng, 50)).std())
    torch.manual_seed(0)
    network = CoordinateNetwork(NetworkShape(size, 1, 128, 2))
    encoder = make_slice_encoder(network, disc)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, 250)
    latents = torch.zeros(16, 1)
    ctf = torch.ones(16, len(disc.frequencies) - 1)
    for _ in range(250):
        rotations = draw_rotations(rng, 16)
        batch = NetworkBatch(np.arange(16), project(rotations) / scale, ctf, rotations.float())
        optimiser.zero_grad()
        slice_residual(network, encoder, batch, latents).backward()
        optimiser.step()
        schedule.step()
    (volume,) = decode_volumes(network, np.zeros((1, 1)), scale)
    again = volume_to_fourier(torch.from_numpy(volume), padding=2)
    fresh = draw_rotations(rng, 50)
    expected, found = (disc.pack(extract_slices(each, fresh)) for each in (grid, again))
    for shell in range(1, size // 4):
        one, other = expected[:, disc.shells == shell], found[:, disc.shells == shell]
        fsc = (one * other.conj()).sum().real / (one.abs().square().sum() * other.abs().square().sum()).sqrt()
        assert fsc > 0.99, (shell, float(fsc))


@pytest.mark.parametrize(("size", "pixels"), [(64, 3208), (128, 12852)])
def test_pixels_of_the_loss(size, pixels):
    assert 2 * (len(HalfDisc(size, size // 2).frequencies) - 1) == pixels


def test_sizes_of_the_published_networks():
    def count(module: torch.nn.Module) -> int:
        return sum(each.numel() for each in module.parameters())

    assert count(ImageEncoder(12852, 8)) == 16_326_672
    assert count(CoordinateNetwork(NetworkShape(128, 8, 1024, 3))) == 3_553_282
    assert count(CoordinateNetwork(NetworkShape(128, 4, 256, 3, "hartley", 64))) == 297_217


def test_the_encoder_s_first_layer_is_residual_where_sizes_agree():
    values = torch.randn(2, 10)
    square, other = ImageEncoder(10, 2, width=10, depth=1), ImageEncoder(10, 2, width=12, depth=1)
    for encoder, added in ((square, values), (other, 0)):
        hidden = torch.relu(values @ encoder.first.weight.T + encoder.first.bias + added)
        block = encoder.blocks[0]
        hidden = torch.relu(hidden @ block.weight.T + block.bias + hidden)  # pyright: ignore
        expected = hidden @ encoder.last.weight.T + encoder.last.bias
        torch.testing.assert_close(torch.cat(encoder(values), dim=1), expected)
