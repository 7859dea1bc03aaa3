"""RECOVAR as a whole: the linear truth it must find, resumption, findings, bad input."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from cryobench.compute import Compute
from cryobench.data import (
    ArrayImages,
    Components,
    Dataset,
    HalfSetFsc,
    LatentDensity,
    LatentPath,
    Reconstruction,
)
from cryobench.methods.recovar import Recovar, RecovarSettings, principal_model, recovar
from cryobench.methods.recovar.masks import choose_masks
from cryobench.methods.recovar.plan import make_plan
from cryobench.reconstruction.decoders import open_decoder
from cryobench.reconstruction.decoders.kernel_regression import regression
from cryobench.reconstruction.engine import RunContext
from cryobench.testing.comparisons import assert_same_bits
from cryobench.volumes.mask import make_largest_sphere
from linear_toy import LinearTruth, linear_dataset
from toy import toy_dataset

QUICK = {
    "n_columns": 20,
    "n_components": 6,
    "dimensions": (1, 2),
    "latent_dimension": 2,
    "n_bins": 8,
    "min_particles": 10,
    "path_volumes": 0,
    "density_dimensions": 1,
}


def run(dataset: Dataset, queries: int = 1, **changes) -> Reconstruction:
    method = Recovar(RecovarSettings(**{**QUICK, **changes}))
    return method.reconstruct(dataset.particles, dataset.queries[:queries])


def check_linear_truth(found: Reconstruction, truth: LinearTruth, *, degrees: float, noise: float) -> None:
    """Principal angles, correlation of the embedding and noise spectrum against what the data were made from."""
    k, size = len(truth.components), truth.mean.shape[0]
    cosines = np.linalg.svd(truth.components.reshape(k, -1) @ found.model["components"][:k].reshape(k, -1).T)[1]
    assert np.degrees(np.arccos(np.clip(cosines, -1, 1))).max() < degrees
    assert found.latents is not None
    for own in truth.latents.T:
        predicted = LinearRegression().fit(found.latents, own).predict(found.latents)
        assert np.corrcoef(predicted, own)[0, 1] > 0.95
    level = truth.noise_variance * size**2
    np.testing.assert_allclose(found.model["noise"][1:], level, rtol=noise)
    np.testing.assert_allclose(found.model["variances"][:k], truth.deviations**2, rtol=0.15)


@pytest.fixture(scope="module")
def linear():
    return linear_dataset(size=25, n=2000, k=2, snr=1.0, extent=0.8, seed=3)


def test_finds_the_linear_model_the_images_were_made_from(linear):
    """Angles fall with the number of images: 2,000 here, 10,000 in the slow test."""
    dataset, truth = linear
    found = run(dataset)
    check_linear_truth(found, truth, degrees=12, noise=0.06)
    # The unregularised embedding misses the truth by what its precision says: chi squared of d degrees of freedom.
    free = found.model["latents_2_noreg"]
    error = free - LinearRegression().fit(truth.latents, free).predict(truth.latents)
    first, both, second = found.model["precisions_2_noreg"].T
    chi = first * error[:, 0] ** 2 + 2 * both * error[:, 0] * error[:, 1] + second * error[:, 1] ** 2
    assert 0.7 < chi.mean() / 2 < 1.6  # more than 1 for what is left outside the subspace


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 33])
def test_finds_the_linear_model_to_five_degrees(size):
    """SNR 2, N = 10,000, K = 2: angles < 5 degrees, correlation > 0.95, noise within 3 %."""
    dataset, truth = linear_dataset(size=size, n=10_000, k=2, snr=2.0, extent=0.75)
    check_linear_truth(run(dataset, n_columns=40), truth, degrees=5, noise=0.03)


def test_finds_the_contrast_of_each_particle():
    dataset, truth = linear_dataset(size=24, n=1500, k=1, snr=1.0, extent=0.8, contrast_deviation=0.25)
    found = run(dataset, fit_contrast=True, dimensions=(1,), latent_dimension=1)
    contrasts = found.model["contrasts"]
    assert np.corrcoef(contrasts, truth.contrasts)[0, 1] > 0.8
    assert contrasts.mean() == pytest.approx(truth.contrasts.mean(), abs=0.1)
    # What contrast adds lies along the mean, and no component does.
    mean, component = found.model["mean"].ravel(), found.model["components"][0].ravel()
    assert abs(mean @ component) < 0.05 * np.linalg.norm(mean) * np.linalg.norm(component)


def test_a_killed_run_goes_on_with_less_memory_and_ends_with_the_same_bits(tmp_path, monkeypatch):
    """Columns, components and volumes that are finished are taken up, however many of them fit at a time."""
    dataset = toy_dataset(n=200)
    method = Recovar(RecovarSettings(**{**QUICK, "n_columns": 12}))
    queries = dataset.queries[:3]
    whole = method.reconstruct(dataset.particles, queries, RunContext())
    tight = Compute(memory=int(3.2e8))
    context = RunContext(checkpoint=tmp_path)
    original, made = principal_model.accumulate_columns, []

    def accumulate(passes, frequencies, *rest):
        made.append(len(frequencies))
        if len(made) == 2:  # a kill in the second pass
            raise KeyboardInterrupt
        return original(passes, frequencies, *rest)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(principal_model, "accumulate_columns", accumulate)
        patched.setattr(
            recovar, "make_plan", lambda *given, **also: replace(make_plan(*given, **also), column_batch=5)
        )
        with pytest.raises(KeyboardInterrupt):
            method.reconstruct(dataset.particles, queries, context)
    assert (tmp_path / "first" / "column-004.npz").exists()
    with monkeypatch.context() as patched:
        patched.setattr(principal_model, "accumulate_columns", accumulate)
        patched.setattr(recovar, "embed", stop)
        with pytest.raises(KeyboardInterrupt):
            method.reconstruct(dataset.particles, queries, replace(context, compute=tight))
    assert made == [5, 5, 7]
    with monkeypatch.context() as patched:
        patched.setattr(principal_model, "accumulate_columns", stop)
        resumed = method.reconstruct(dataset.particles, queries, replace(context, compute=tight))
    with monkeypatch.context() as patched:
        for module, name in ((principal_model, "accumulate_columns"), (recovar, "embed"), (regression, "_regress")):
            patched.setattr(module, name, stop)  # the volumes are kept too
        again = method.reconstruct(dataset.particles, queries, context)
    for found in (resumed, again):
        assert_same_bits(whole, found, "interrupted under a large budget, finished under a small one")


def test_findings_hold_the_arrays_of_the_model():
    dataset = toy_dataset(n=200)
    found = run(dataset, queries=2, path_volumes=3)
    components, density = found.find(Components), found.find(LatentDensity)
    assert components is not None
    assert components.mean is found.model["mean"]
    assert components.components is found.model["components"]
    assert components.variances is found.model["variances"]
    assert len(components.variances) == QUICK["n_components"] > len(components.components)
    assert density is not None
    assert density.axes.shape == (1, 128)
    of_mean, of_queries = (each for each in found.findings if isinstance(each, HalfSetFsc))
    assert (of_mean.of, of_queries.of) == ("volume", "query")
    assert of_mean.curves.shape == (13,)
    assert of_queries.curves.shape == (2, 13)
    path = found.find(LatentPath)
    assert path is not None
    assert path.latents.shape == (3, 2)
    decoded = list(open_decoder(found, dataset.particles, RunContext()).decode(path.latents))
    np.testing.assert_array_equal(path.volumes, decoded)
    assert found.model["precisions"] is found.model["precisions_2"]
    assert run(dataset).find(LatentPath) is None


def test_a_sphere_is_used_and_said_where_there_is_no_mask():
    dataset = toy_dataset(n=200)
    bare = replace(dataset, particles=replace(dataset.particles, mask=None))
    found = run(bare)
    assert any("No mask is given: volumes are kept within a sphere" in note for note in found.notes)
    assert run(bare, mask="sphere").notes == run(dataset).notes == ()


def test_masks_are_those_asked_for():
    """The data set's, a sphere although there is one, or what holds the mean; the second of two is the wider."""
    particles = toy_dataset(n=4).particles
    given, size = torch.tensor(particles.mask) > 0.5, particles.box_size
    axis = torch.arange(size) - size // 2
    mean = torch.exp(-((axis[:, None, None] - 3) ** 2 + axis[:, None] ** 2 + (axis + 2) ** 2) / 4)
    own, own_wide, _ = choose_masks(particles, RecovarSettings(), mean)
    sphere, sphere_wide, _ = choose_masks(particles, RecovarSettings(mask="sphere"), mean)
    made, made_wide, _ = choose_masks(particles, RecovarSettings(mask="half-maps"), mean)
    assert (own[given] == 1).all()
    assert (own > 0.99).sum() == given.sum()
    assert torch.equal(sphere, make_largest_sphere(size))
    assert torch.equal(sphere_wide, sphere)
    assert (made[mean > 0.1] > 0.99).all()
    assert (made > 0.5).sum() < 0.5 * (own > 0.5).sum()
    for mask, wide in ((own, own_wide), (made, made_wide)):
        assert (wide >= mask).all()
        assert (wide > 0.99).sum() > (mask > 0.99).sum()


def test_a_background_is_subtracted_and_said():
    dataset = toy_dataset(n=200)
    images = dataset.particles.images.read(np.arange(200))
    level = np.linspace(0, 2, 200, dtype=np.float32)[:, None, None] * images.std()
    lifted = replace(dataset, particles=replace(dataset.particles, images=ArrayImages(images + level)))
    found, expected = run(lifted), run(dataset)
    assert any("background of" in note for note in found.notes)
    assert found.volumes is not None
    assert expected.volumes is not None
    volumes = [each.volumes.read(0).ravel() for each in (found, expected)]
    assert np.corrcoef(*volumes)[0, 1] > 0.95
    assert LinearRegression().fit(found.latents, expected.latents).score(found.latents, expected.latents) > 0.95


def test_bad_input_is_named():
    dataset = toy_dataset(n=60)
    images = np.array(dataset.particles.images.read(np.arange(60)))
    images[17, 3, 4] = np.nan
    broken = replace(dataset.particles, images=ArrayImages(images))
    method = Recovar(RecovarSettings(**QUICK))
    with pytest.raises(ValueError, match="particle 17 holds NaN"):
        method.reconstruct(broken, dataset.queries[:1])
    same = dataset.particles.select(np.zeros(60, dtype=int))
    with pytest.raises(ValueError, match="all 60 particles have the same image"):
        method.reconstruct(same, np.array([0]))
    with pytest.raises(ValueError, match="each half-set of 30 particles must hold min_particles = 100"):
        Recovar(RecovarSettings(**{**QUICK, "min_particles": 100})).reconstruct(
            dataset.particles, dataset.queries[:1]
        )
    nine = {**QUICK, "n_components": 20, "dimensions": (1, 9), "latent_dimension": 9}
    for few, number in (({"column_radius": 0.5}, 0), ({"n_columns": 4}, 4)):
        with pytest.raises(ValueError, match=rf"there are {number} covariance columns .* have no 9 dimensions"):
            Recovar(RecovarSettings(**{**nine, **few})).reconstruct(dataset.particles, dataset.queries[:1])
    with pytest.raises(ValueError, match="two half-sets need at least two particles"):
        method.reconstruct(dataset.particles.select(np.array([0])), np.array([0]))
