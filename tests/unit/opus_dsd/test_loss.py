"""Schedules, controllers and terms of the loss."""

import numpy as np
import pytest
import torch

from cryobench.methods.opus_dsd import OpusDsdSettings, loss


def test_the_weight_of_the_divergence_rises_stays_and_begins_anew():
    weights = [
        loss.divergence_weight(OpusDsdSettings(), seen, snr=0.5, density=1.0)
        for seen in (0, 50_000, 100_000, 124_999, 125_000, 175_000)
    ]
    np.testing.assert_allclose(weights, [0.001, 0.5005, 1, 1, 0.001, 0.5005], rtol=1e-9)  # beta_control x SNR is 1


@pytest.mark.parametrize(("snr", "density"), [(0.0, 1.0), (1.0, 0.0)])
def test_no_signal_or_no_density_opens_neither_weight(snr: float, density: float):
    assert loss.divergence_weight(OpusDsdSettings(), 100_000, snr, density) == 0
    assert loss.disentanglement_weight(OpusDsdSettings(), 100_000, snr, density) == 0


def test_the_weight_of_the_prior_opens_with_signal_and_density():
    found = loss.disentanglement_weight(OpusDsdSettings(), 100_000, snr=0.02, density=0.002)
    np.testing.assert_allclose(found, 2 * (1 - np.exp(-1)) ** 2)
    assert loss.disentanglement_weight(OpusDsdSettings(disentanglement=0), 100_000, 1.0, 1.0) == 0


def test_the_b_factor_falls_to_its_setting():
    np.testing.assert_allclose(
        [loss.envelope_factor(4, epoch) for epoch in (0, 100)], [4 * 0.975 / 0.9, 4], rtol=1e-6
    )


def test_weights_of_orientations_are_a_posterior_and_carry_no_gradient():
    generator = torch.Generator().manual_seed(0)
    predicted = torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64).requires_grad_()
    images = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64)
    inside = torch.rand(2, 4, 4, generator=generator) > 0.3
    distances, weights = loss.compare(predicted, images, inside)
    squared = (predicted - torch.where(inside, images, 0)[:, None]).square().sum((-2, -1))
    likelihood = torch.exp(-(squared - squared.min()) / 2)
    torch.testing.assert_close(weights, (likelihood / likelihood.sum(1, keepdim=True)).detach())
    torch.testing.assert_close(
        squared - distances, torch.where(inside, images, 0).square().sum((1, 2))[:, None].expand(2, 3)
    )
    assert not weights.requires_grad
    (weights * distances).sum().backward()
    by_hand = weights[..., None, None] * 2 * (predicted.detach() - torch.where(inside, images, 0)[:, None])
    torch.testing.assert_close(predicted.grad, by_hand)


def test_roughness_and_divergence_are_those_of_plain_formulas():
    generator = torch.Generator().manual_seed(1)
    volume = torch.randn(1, 5, 6, 7, generator=generator, dtype=torch.float64)
    v = volume[0].numpy()
    steps = [np.diff(v, axis=axis)[:4, :5, :6] for axis in range(3)]
    variation, density = loss.roughness(volume)
    np.testing.assert_allclose(variation, [np.sqrt(1e-8 + sum(step**2 for step in steps)).mean()])
    np.testing.assert_allclose(density, [np.abs(v).mean()])
    mean, log_deviation = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, log_deviation.exp()), normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(loss.gaussian_divergence(mean, log_deviation), expected)


@pytest.mark.parametrize(("crop", "box"), [(8, 12), (8, 13), (12, 12)])
def test_projections_pass_the_microscope_in_the_whole_box(crop: int, box: int):
    projections = torch.randn(2, 3, crop, crop, generator=torch.Generator().manual_seed(2))
    ones = torch.ones(2, box, box // 2 + 1)
    torch.testing.assert_close(loss.image_projections(projections, ones, box), projections, atol=1e-5, rtol=0)
    transfer = torch.randn(2, box, box // 2 + 1, generator=torch.Generator().manual_seed(3))
    first = box // 2 - crop // 2
    whole = np.zeros((2, 3, box, box))
    whole[..., first : first + crop, first : first + crop] = projections
    filtered = np.fft.irfft2(np.fft.rfft2(whole) * transfer.numpy()[:, None], s=(box, box))
    found = loss.image_projections(projections, transfer, box)
    np.testing.assert_allclose(found, filtered[..., first : first + crop, first : first + crop], atol=1e-5)
