"""Sizes, start and rigid corrections of the template decoder, and the encoder of volumes."""

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import nn
from torch.nn import functional

from cryobench.reconstruction.networks import TemplateDecoder, TemplateShape, VolumeEncoder, seeded_weights
from cryobench.reconstruction.networks.doubling import double_grid

SMALL = TemplateShape(2, side=16, width=64, seed_doublings=2, doublings=2)


def test_published_networks_have_the_published_numbers_of_weights():
    with torch.device("meta"):
        decoder, encoder = TemplateDecoder(TemplateShape(12)), VolumeEncoder(16)
    assert round(sum(each.numel() for each in decoder.parameters()) / 1e6, 1) == 33.2
    assert round(sum(each.numel() for each in encoder.parameters()) / 1e6, 1) == 28.2
    assert TemplateShape(12).channels == (2048, 1024, 512, 256, 128, 64, 32, 16, 1)


@pytest.mark.parametrize("side", [16, 24])
def test_first_volumes_are_smooth_without_a_checkerboard(side: int):
    """The same numbers everywhere in a grid give the same number everywhere but at the border."""
    with seeded_weights(0):
        decoder = TemplateDecoder(TemplateShape(2, side=side, width=64, seed_doublings=2, doublings=2))
    for layer in decoder.doublings:
        inputs = torch.randn(1, layer.weight.shape[0], 1, 1, 1).expand(-1, -1, 6, 6, 6)
        inner = layer(inputs)[:, :, 2:-2, 2:-2, 2:-2].detach()
        torch.testing.assert_close(inner, inner[:, :, :1, :1, :1].expand_as(inner), atol=1e-5, rtol=1e-4)
    assert decoder(torch.randn(3, 2)).shape == (3, side, side, side)


def test_rigid_corrections_start_as_the_identity_and_are_rotations():
    decoder = TemplateDecoder(SMALL)
    turns, moves = decoder.correct(torch.randn(5, 4))
    torch.testing.assert_close(turns, torch.eye(3).expand(5, 3, 3))
    assert not moves.any()
    with torch.no_grad():
        decoder.affine[1].weight.normal_()
    turns, moves = decoder.correct(torch.randn(5, 4))
    assert moves.abs().min() > 0
    found = decoder.affine[1](torch.nn.functional.leaky_relu(decoder.affine[0](torch.ones(1, 4)), 0.2))[0, :3]
    expected = Rotation.from_quat([*found.detach().tolist(), 4.0]).as_matrix()
    torch.testing.assert_close(
        decoder.correct(torch.ones(1, 4))[0][0].double(), torch.from_numpy(expected), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(5, 3, 3), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"side": 18}, "multiple of 4"), ({"width": 20}, "multiple of 8")],
)
def test_sizes_that_cannot_be_doubled_or_halved_are_refused(changes: dict, said: str):
    with pytest.raises(ValueError, match=said):
        TemplateShape(2, **{"side": 16, "width": 64, "seed_doublings": 2, "doublings": 2, **changes})


@pytest.mark.parametrize("side", [8, 17, 64])
def test_volumes_of_all_sizes_are_encoded(side: int):
    mean, log_deviation = VolumeEncoder(3, width=1)(torch.randn(2, side, side, side))
    assert mean.shape == log_deviation.shape == (2, 3)


@pytest.mark.parametrize(("shape", "kernel"), [((8, 1, 24), 4), ((5, 3, 7), 4), ((4, 16, 3), 4), ((6, 2, 1), 2)])
def test_doubling_is_the_transposed_convolution(shape: tuple[int, int, int], kernel: int):
    inputs, outputs, side = shape
    layer = nn.ConvTranspose3d(inputs, outputs, kernel, stride=2, padding=kernel // 2 - 1)
    values = torch.randn(2, inputs, side, side + 1, side + 2, requires_grad=True)
    expected, found = layer(values), double_grid(layer, values)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    gradient, sources = torch.randn_like(expected), [values, *layer.parameters()]
    pairs = zip(
        torch.autograd.grad(found, sources, gradient), torch.autograd.grad(expected, sources, gradient), strict=True
    )
    for own, reference in pairs:
        torch.testing.assert_close(own, reference, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("side", [20, 64])
def test_the_encoder_is_its_layers(side: int):
    """The last of them, which makes one sample, is a matrix product."""
    encoder, volumes = VolumeEncoder(3, width=2), torch.randn(2, side, side, side)
    values = volumes[:, None]
    for number, layer in enumerate(encoder.convolutions):
        if number == 3:
            values = functional.interpolate(values, size=(12 if side == 64 else 8,) * 3, mode="trilinear")
        values = functional.leaky_relu(layer(values), 0.2)
    hidden = functional.leaky_relu(encoder.hidden(values.flatten(1)), 0.2)
    torch.testing.assert_close(encoder(volumes)[0], encoder.mean(hidden), atol=1e-5, rtol=1e-4)
