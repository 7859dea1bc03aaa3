"""The misfit of images: its value by plain sums, its gradient by finite differences."""

import numpy as np
import pytest
import torch

from cryobench.methods.flex_3d.misfit import make_band, misfit


@pytest.mark.parametrize(("box_size", "radius"), [(12, 5), (12, 6), (13, 6)])
def test_value_and_gradient(box_size, radius):
    generator = np.random.default_rng(0)
    noise = generator.uniform(0.5, 2, radius + 1)
    band = make_band(box_size, radius, noise)
    count = len(band) + 1
    images = torch.from_numpy(generator.standard_normal((3, 2 * box_size, 2 * box_size))).float().requires_grad_()
    gain = band.gain(torch.from_numpy(generator.uniform(-1, 1, (3, count))).float())
    data = torch.from_numpy(generator.standard_normal((3, count)) + 1j * generator.standard_normal((3, count)))
    data, weights = data.to(torch.complex64), band.weights("cpu")
    value = misfit(images, gain, data, weights, band)
    # By numpy's own transform about the centre.
    spectra = np.fft.fft2(np.fft.ifftshift(images.detach().numpy().astype(float), axes=(1, 2)))
    x, y = band.disc.frequencies.T
    packed = spectra[:, y % (2 * box_size), x % (2 * box_size)]
    shells = band.disc.shells
    known = np.where(shells > 0, 1 / noise[shells], 0)
    expected = (known * np.abs(gain.numpy() * packed - data.numpy()) ** 2).sum()
    assert float(value.detach()) == pytest.approx(expected, rel=1e-4)
    value.backward()
    change = generator.standard_normal(images.shape)
    turned = np.fft.fft2(np.fft.ifftshift(change, axes=(1, 2)))[:, y % (2 * box_size), x % (2 * box_size)]
    slope = 2 * (known * gain.numpy() * ((gain.numpy() * packed - data.numpy()).conj() * turned).real).sum()
    assert images.grad is not None
    assert float((images.grad * torch.from_numpy(change)).sum()) == pytest.approx(slope, rel=1e-3)
