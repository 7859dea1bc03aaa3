"""RECOVAR's subspace, covariance within it, embedding and noise against dense sums and closed forms."""

import dataclasses

import numpy as np
import pytest
import torch

from cryobench.compute import Compute, MemoryShortage
from cryobench.data import ArrayImages
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.half_disc import HalfDisc
from cryobench.methods.recovar import subspace
from cryobench.methods.recovar.embedding import _solve
from cryobench.methods.recovar.mean import HalfSetMean, estimate_mean
from cryobench.methods.recovar.noise import bound_noise, estimate_noise_outside
from cryobench.methods.recovar.plan import make_plan
from cryobench.methods.recovar.settings import RecovarSettings
from cryobench.methods.recovar.subspace import (
    find_subspace,
    principal_volumes,
    project_covariance,
    solve_moments,
)
from cryobench.reconstruction.decoders.kernel_regression import KernelSizes
from cryobench.reconstruction.engine import Passes
from cryobench.reconstruction.images import PosedSpectra, predict_images
from cryobench.reconstruction.statistics import split_halves
from toy import toy_dataset


def test_the_subspace_is_that_of_the_dense_decomposition(rng):
    left = np.linalg.qr(rng.standard_normal((300, 6)))[0]
    columns = (rng.standard_normal((40, 6)) * [9, 7, 5, 4, 3, 2]) @ left.T + 0.01 * rng.standard_normal((40, 300))
    basis, values = find_subspace(columns.astype(np.float32), 6, 0)
    _, expected, right = np.linalg.svd(columns, full_matrices=False)
    np.testing.assert_allclose(values, expected[:6], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.svd(right[:6] @ basis.numpy().T)[1], 1, atol=1e-4)
    np.testing.assert_allclose((basis @ basis.T).numpy(), np.eye(6), atol=1e-5)


@pytest.mark.parametrize("direct", [True, False])
def test_the_projected_covariance_solves_the_dense_normal_equations(rng, monkeypatch, direct):
    k, n = 4, 30
    factors = rng.standard_normal((n, k, k + 2))
    gram = factors @ factors.swapaxes(1, 2)
    wanted = rng.standard_normal((k, k))
    wanted = wanted + wanted.T
    right = np.einsum("nab,bc,ncd->ad", gram, wanted, gram)
    rows, columns = np.triu_indices(k)
    entries = gram[:, rows, columns]
    monkeypatch.setattr(subspace, "MOST_DIRECT", 100 if direct else 1)
    found = solve_moments(torch.from_numpy(entries.T @ entries).float(), torch.from_numpy(right)).numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-3 * np.abs(wanted).max())
    np.testing.assert_array_equal(found, found.T)


def test_the_projected_covariance_is_the_true_one_in_strong_noise(rng):
    """Images of a dense linear model by the method's own operator, at SNR 0.1: no noise is taken for variance."""
    size, n, k = 16, 700, 2
    particles = toy_dataset(size=size, n=n).particles
    disc = HalfDisc(size, (size - 1) // 2)
    axis = np.arange(size) - size // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    blob = np.exp(-((distance / 3) ** 2))
    volumes = torch.from_numpy(rng.standard_normal((k + 1, size, size, size)) * blob).float()
    basis = torch.linalg.qr(volumes[1:].flatten(1).T)[0].T.reshape(k, size, size, size)
    latents = (rng.standard_normal((n, k)) @ np.array([[3.0, 1.0], [0.0, 2.0]])).astype(np.float32)
    posed = PosedSpectra(particles, disc.radius)
    clean = np.empty((n, size, size))
    for batch in posed.batches():
        predicted = predict_images(volume_to_fourier(torch.cat([volumes[:1], basis])), batch, disc)
        factors = torch.from_numpy(np.pad(latents[batch.indices], ((0, 0), (1, 0)), constant_values=1))
        mixed = torch.einsum("nk,nkp->np", factors.to(predicted.dtype), predicted)
        clean[batch.indices] = disc.to_images(mixed).numpy()
    deviation = np.std(clean) / 0.1**0.5
    images = clean + deviation * rng.standard_normal((n, size, size))
    still = dataclasses.replace(particles, images=ArrayImages(images.astype(np.float32)), shifts=np.zeros((n, 2)))
    passes = Passes(still, Compute())
    noise = np.full(disc.radius + 1, deviation**2 * size**2)
    mean_ft, basis_ft = volume_to_fourier(volumes[0]), volume_to_fourier(basis)
    found = project_covariance(passes, mean_ft, basis_ft, noise).numpy()
    # A fit by the true volumes leaves nothing but noise: what is above it comes down to it, what is below stays.
    np.testing.assert_allclose(bound_noise(passes, mean_ft, basis_ft, 3 * noise)[1:], noise[1:], rtol=0.05)
    np.testing.assert_array_equal(bound_noise(passes, mean_ft, basis_ft, 0.5 * noise), 0.5 * noise)
    true = latents.T @ latents / n
    np.testing.assert_allclose(found, true, atol=0.05 * np.trace(true))


def test_principal_volumes_are_orthonormal_descending_and_positive(rng):
    basis = torch.linalg.qr(torch.from_numpy(rng.standard_normal((50, 3))))[0].T.float()
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    covariance = torch.from_numpy(turn @ np.diag([4.0, 1.0, -0.2]) @ turn.T)
    volumes, variances = principal_volumes(basis, covariance)
    np.testing.assert_allclose(variances, [4, 1, 4e-6], rtol=1e-5)
    np.testing.assert_allclose((volumes @ volumes.T).numpy(), np.eye(3), atol=1e-5)
    assert ((volumes**3).sum(1) >= 0).all()


def test_the_embedding_is_the_posterior_mean_of_a_dense_model(rng):
    """y = c A (μ + U z) + ε, all dense: latents, precision, contrast and evidence against NumPy."""
    d, rows, truth = 3, 40, 1.2
    variances = np.array([4.0, 2.0, 0.5])
    images, mean = rng.standard_normal((rows, d)), 3 * rng.standard_normal(rows)
    latents = rng.standard_normal(d) * np.sqrt(variances)
    data = truth * (mean + images @ latents) + 0.05 * rng.standard_normal(rows)
    tensors = [torch.from_numpy(np.asarray(values))[None] for values in (images.T @ images, images.T @ mean)]
    products = (*tensors, torch.tensor([mean @ mean]))
    matches = (torch.from_numpy(images.T @ data)[None], torch.tensor([mean @ data]))
    prior = torch.from_numpy(np.diag(1 / variances))
    found, precision, contrast, gain = _solve(
        products, matches, prior, torch.tensor([1.0, truth], dtype=torch.float64)
    )
    assert float(contrast[0]) == pytest.approx(truth)
    gram = truth**2 * images.T @ images
    expected = np.linalg.solve(gram + np.diag(1 / variances), truth * images.T @ (data - truth * mean))
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)
    both = gram + np.diag(1 / variances)
    np.testing.assert_allclose(precision[0], both @ np.linalg.inv(gram) @ both, rtol=1e-4)
    spread = np.eye(rows) + truth**2 * images @ np.diag(variances) @ images.T
    residual, alone = data - truth * mean, data - mean
    evidence = -(residual @ np.linalg.solve(spread, residual) + np.linalg.slogdet(spread)[1]) / 2 + alone @ alone / 2
    assert float(gain[0]) == pytest.approx(evidence, rel=1e-4)
    free, own, *_ = _solve(products, matches, torch.zeros_like(prior), torch.ones(1, dtype=torch.float64))
    np.testing.assert_allclose(free[0], np.linalg.lstsq(images, data - mean, rcond=None)[0], rtol=1e-4)
    np.testing.assert_allclose(own[0], images.T @ images, rtol=1e-4)


@pytest.mark.parametrize("size", [23, 24])
def test_noise_is_found_outside_the_mask(size):
    dataset = toy_dataset(size=size, n=400, snr=0.05)
    particles = dataset.particles
    passes = Passes(particles, Compute())
    halves = split_halves(len(particles), 0)
    axis = np.arange(size) - size // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    ball = torch.from_numpy(np.clip(0.4 * size - distance, 0, 1)).float()
    white = np.full(passes.disc.radius + 1, passes.mean_power[-2:].mean())
    mean = estimate_mean(passes, halves, white, torch.ones((size,) * 3))
    assert mean.fsc[1] > 0.9
    noise, inside = estimate_noise_outside(passes, mean.spectrum(), ball)
    # The toy's noise is white, and nothing but noise is in its highest shells.
    np.testing.assert_allclose(noise[3:], white[3:], rtol=0.06)
    assert (inside >= noise - 1e-6 * noise).all()


def test_the_prior_of_the_mean_is_the_power_that_half_sets_agree_on():
    power, weight = np.array([5.0, 2.0, 0.1]), np.array([0.3, 1.0, 4.0])
    fsc = power / (power + 1 / weight)  # of halves with noise 1 / W each
    mean = HalfSetMean(torch.zeros(4, 4, 4), torch.zeros(2, 4, 4, 4), fsc, 2 * weight)
    np.testing.assert_allclose(mean.prior, power, rtol=1e-6)


def test_components_and_bins_do_not_follow_the_memory():
    roomy, tight = (
        make_plan(RecovarSettings(), Compute(memory=int(memory)), 5000, 64, 20_000, is_kept=True)
        for memory in (4e9, 1.05e9)
    )
    assert (roomy.n_components, roomy.sizes) == (tight.n_components, tight.sizes) == (100, KernelSizes(50, 17, 141))
    assert tight.column_batch < roomy.column_batch
    assert roomy.image_bytes > 0
    few = make_plan(RecovarSettings(n_columns=20), Compute(memory=10**9), 5000, 64, 20_000, is_kept=True)
    assert few.n_components == 40
    published = make_plan(
        RecovarSettings(n_components=200), Compute(memory=20 * 10**9), 5000, 64, 20_000, is_kept=True
    )
    assert published.n_components == 200
    streamed = make_plan(RecovarSettings(), Compute(memory=4 * 10**9), 200_000, 64, 20_000, is_kept=True)
    assert streamed.image_bytes == 0


@pytest.mark.parametrize(
    ("settings", "memory", "message"),
    [
        ({"n_components": 200}, 2e9, r"n_components=1\d\d would fit.*Alternatively lower n_columns, or dimensions"),
        ({}, 4e8, r"17 bandwidths of volumes of 64 px take .* n_bandwidths=\d+ would fit"),
        ({}, 6e8, r"100 components and 300 columns of 64 px take .*n_components=\d+ would fit"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_what_would(settings, memory, message):
    with pytest.raises(MemoryShortage, match=message):
        make_plan(RecovarSettings(**settings), Compute(memory=int(memory)), 5000, 64, 20_000, is_kept=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dimension": 3}, "latent_dimension 3 is not among the dimensions 1, 2, 4, 10, 20"),
        ({"n_components": 5}, "n_components is 5"),
        ({"dimensions": (1, 6000), "latent_dimension": 1}, "only 5000 particles"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_plan(RecovarSettings(**settings), Compute(memory=4 * 10**9), 5000, 64, 20_000, is_kept=True)
