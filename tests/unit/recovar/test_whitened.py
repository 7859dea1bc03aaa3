"""Whitened rows: the compiled kernel against extracted slices, their products against sums written out."""

import numpy as np
import pytest
import torch

from cryobench.imaging.grid import volume_to_fourier
from cryobench.methods.recovar.whitened import Whitening, whitened_products
from cryobench.reconstruction.images import PosedSpectra, predict_images
from toy import toy_dataset


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("n_volumes", [1, 3, 13, 20])
def test_the_kernel_agrees_with_extracted_slices(size, n_volumes):
    spectra = PosedSpectra(toy_dataset(n=30, size=size).particles, (size - 1) // 2)
    rng = np.random.default_rng(0)
    volumes = torch.from_numpy(rng.standard_normal((n_volumes, size, size, size))).float()
    noise = rng.uniform(1, 2, spectra.disc.radius + 1)
    packed = next(iter(spectra.batches()))
    whitening, stack = Whitening(spectra.disc, noise), volume_to_fourier(volumes)
    for batch in (packed, packed.cut(3, 8)):  # the second lies in memory of the first
        expected = whitening.rows_by_slices(stack, batch)
        torch.testing.assert_close(whitening.rows(stack, batch), expected, rtol=1e-5, atol=1e-4)


def test_products_are_the_inner_products_of_a_log_likelihood():
    """G and b over rows are 2 Re Σ w conj(a) b / σ² over the entries."""
    spectra = PosedSpectra(toy_dataset(n=8, size=16).particles, 7)
    rng = np.random.default_rng(1)
    volumes = torch.from_numpy(rng.standard_normal((4, 16, 16, 16))).float()
    stack = volume_to_fourier(volumes)
    noise = rng.uniform(1, 2, 8)
    packed, disc = next(iter(spectra.batches())), spectra.disc
    whitening = Whitening(disc, noise)
    gram, match = whitened_products(whitening.rows(stack, packed), whitening.data(packed.data))
    factors = 2 * disc.weights / noise[disc.shells]
    images = predict_images(stack, packed, disc).numpy()
    expected = np.einsum("nap,nbp,p->nab", images.conj(), images, factors).real
    np.testing.assert_allclose(gram.numpy(), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    expected = np.einsum("nap,np,p->na", images.conj(), packed.data.numpy(), factors).real
    np.testing.assert_allclose(match.numpy(), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
