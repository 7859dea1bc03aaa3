"""RECOVAR as a whole: the linear truth it must find, resumption, workers, decoding, bad input."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from cryobench.data import ArrayImages, Dataset, Reconstruction
from cryobench.methods.recovar import Recovar, RecovarSettings, recovar
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
    return method.reconstruct(dataset.particles, queries=dataset.queries[:queries])


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
    contrasts = found.model["contrasts_applied"]
    assert np.corrcoef(contrasts, truth.contrasts)[0, 1] > 0.8
    assert contrasts.mean() == pytest.approx(truth.contrasts.mean(), abs=0.1)
    assert [entry["round"] for entry in found.record["log"]] == ["first", "corrected"]


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(tmp_path, monkeypatch):
    dataset = toy_dataset(n=200)
    method = Recovar(RecovarSettings(**QUICK))
    queries = dataset.queries[:3]
    whole = method.reconstruct(dataset.particles, queries=queries)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(recovar, "embed", stop)
        with pytest.raises(KeyboardInterrupt):
            method.reconstruct(dataset.particles, queries=queries, checkpoint=tmp_path)
    assert (tmp_path / "first" / "components.npz").exists()
    with monkeypatch.context() as patched:
        patched.setattr("cryobench.methods.recovar.linear_model.accumulate_columns", stop)
        resumed = method.reconstruct(dataset.particles, queries=queries, checkpoint=tmp_path)
    np.testing.assert_array_equal(resumed.latents, whole.latents)
    for item in range(3):
        np.testing.assert_array_equal(resumed.volumes.read(item), whole.volumes.read(item))
    with monkeypatch.context() as patched:
        patched.setattr(recovar, "kernel_volumes", stop)  # the volumes are kept too
        again = method.reconstruct(dataset.particles, queries=queries, checkpoint=tmp_path)
    np.testing.assert_array_equal(again.volumes.read(2), whole.volumes.read(2))


def test_workers_give_what_one_process_gives():
    from dask.distributed import Client, LocalCluster

    dataset = toy_dataset(n=200)
    method = Recovar(RecovarSettings(**QUICK))
    alone = method.reconstruct(dataset.particles, queries=dataset.queries[:1])
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        spread = method.reconstruct(dataset.particles, queries=dataset.queries[:1], workers=client)
    assert alone.latents is not None
    scale = np.abs(alone.latents).max()
    np.testing.assert_allclose(spread.latents, alone.latents, atol=2e-3 * scale)
    np.testing.assert_allclose(spread.model["noise"], alone.model["noise"], rtol=1e-4)


def test_volumes_are_decoded_from_the_images_anywhere(tmp_path):
    dataset = toy_dataset(n=200)
    method = Recovar(RecovarSettings(**QUICK))
    found = method.reconstruct(dataset.particles, queries=dataset.queries[:2])
    for name, values in found.model.items():
        np.save(tmp_path / f"{name}.npy", values)
    assert found.latents is not None
    wanted = found.latents[dataset.queries[:2]]
    decoded = list(method.decode(tmp_path, wanted, particles=dataset.particles))
    for item in range(2):
        np.testing.assert_allclose(decoded[item], found.volumes.read(item), rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="give the particles"):
        list(method.decode(tmp_path, wanted))
    with pytest.raises(ValueError, match=r"2 numbers a row.*\(2, 5\)"):
        list(method.decode(tmp_path, np.zeros((2, 5)), particles=dataset.particles))


def test_a_sphere_is_used_and_said_where_there_is_no_mask():
    dataset = toy_dataset(n=200)
    bare = dataclasses.replace(dataset, particles=dataclasses.replace(dataset.particles, mask=None))
    found = run(bare)
    assert any("no mask: a sphere" in note for note in found.record["notes"])
    assert run(dataset).record["notes"] == []


def test_bad_input_is_named():
    dataset = toy_dataset(n=60)
    images = np.array(dataset.particles.images.read(np.arange(60)))
    images[17, 3, 4] = np.nan
    broken = dataclasses.replace(dataset.particles, images=ArrayImages(images))
    method = Recovar(RecovarSettings(**QUICK))
    with pytest.raises(ValueError, match="particle 17 holds NaN"):
        method.reconstruct(broken, queries=dataset.queries[:1])
    same = dataset.particles.select(np.zeros(60, dtype=int))
    with pytest.raises(ValueError, match="all 60 particles hold the same image"):
        method.reconstruct(same, queries=np.array([0]))
    with pytest.raises(ValueError, match="each half-set of 30 particles must hold min_particles = 100"):
        Recovar(RecovarSettings(**{**QUICK, "min_particles": 100})).reconstruct(
            dataset.particles, queries=dataset.queries[:1]
        )
    with pytest.raises(ValueError, match="two half-sets need at least two particles"):
        method.reconstruct(dataset.particles.select(np.array([0])), queries=np.array([0]))
