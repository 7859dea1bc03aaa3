"""3D variability on data of a known linear model: subspace, embedding, scales and noise are found."""

from functools import lru_cache

import numpy as np
import pytest

from cryobench.data import Reconstruction
from cryobench.methods.variability_3d import Variability3D, Variability3DSettings
from linear_toy import LinearTruth, embedding_correlations, linear_dataset, subspace_angles_deg


@lru_cache
def solved(
    size: int, n: int, k: int, snr: float, contrast: float, iterations: int
) -> tuple[Reconstruction, LinearTruth]:
    dataset, truth = linear_dataset(size=size, n=n, k=k, snr=snr, contrast_deviation=contrast)
    settings = Variability3DSettings(n_components=k, n_iterations=iterations, filter_resolution=9.0)
    return Variability3D(settings).reconstruct(dataset.particles, dataset.queries), truth


CASES = pytest.mark.parametrize(
    "case", [(24, 3000, 2, 2.0, 0.15, 12), pytest.param((25, 4000, 3, 2.0, 0.1, 20), marks=pytest.mark.slow)]
)


@CASES
def test_subspace_and_embedding_are_those_of_the_truth(case):
    result, truth = solved(*case)
    assert subspace_angles_deg(result.model["components"], truth.components).max() < 5
    assert result.latents is not None
    assert embedding_correlations(result.latents, truth.latents).min() > 0.95
    np.testing.assert_allclose(np.sqrt(result.model["variances"]), truth.deviations, rtol=0.05)


@CASES
def test_scale_of_each_particle_is_recovered(case):
    result, truth = solved(*case)
    scales = result.model["scales"]
    assert np.corrcoef(scales, truth.contrasts)[0, 1] > 0.9
    assert np.polyfit(truth.contrasts, scales, 1)[0] == pytest.approx(1, abs=0.1)


@CASES
def test_components_are_orthonormal_and_latents_uncorrelated_in_order(case):
    result, _ = solved(*case)
    flat = result.model["components"].reshape(case[2], -1).astype(float)
    np.testing.assert_allclose(flat @ flat.T, np.eye(case[2]), atol=1e-5)
    assert result.latents is not None
    covariance = np.cov(result.latents.astype(float), rowvar=False, bias=True)
    np.testing.assert_allclose(covariance, np.diag(result.model["variances"]), atol=1e-3 * covariance.max())
    assert (np.diff(result.model["variances"]) < 0).all()
    assert ((flat**3).sum(axis=1) > 0).all()


@CASES
def test_precisions_say_how_far_latents_are_off(case):
    """Turned into the basis found, the true latents differ by about what the precisions say, or a little more."""
    result, truth = solved(*case)
    assert result.latents is not None
    found = result.latents.astype(float)
    design = np.column_stack([np.ones(len(found)), truth.latents])
    left = found - design @ np.linalg.lstsq(design, found, rcond=None)[0]
    squared = np.einsum("ni,nij,nj->n", left, result.model["precisions"].astype(float), left)
    assert 1 < np.median(squared) / np.median(np.random.default_rng(0).chisquare(case[2], 10_000)) < 1.8


@pytest.mark.parametrize("size", [pytest.param(24, marks=pytest.mark.slow), 25])
def test_noise_spectrum_is_found(size):
    """At SNR 0.2, from 2,500 particles, converged: within 3 % at every shell."""
    result, truth = solved(size, 2500, 2, 0.2, 0.0, 15)
    ratio = result.model["noise"] / (size**2 * truth.noise_variance)
    np.testing.assert_allclose(ratio[1:], 1, atol=0.03)
