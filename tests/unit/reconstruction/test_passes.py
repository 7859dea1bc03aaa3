"""Passes in shards: over two local workers what this process finds, to rounding; errors name the right particle."""

import dataclasses
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from classified import classify
from cryobench._progress import Silent
from cryobench.compute import Compute
from cryobench.data import CHUNK, ArrayImages, Convergence, HalfSetFsc
from cryobench.imaging.moments import MomentAccumulator
from cryobench.methods.classification_3d import Classification3DSettings
from cryobench.methods.variability_3d import Variability3D, Variability3DSettings
from cryobench.reconstruction.engine import Passes, RunContext
from linear_toy import linear_dataset
from toy import toy_dataset


def test_two_workers_find_what_one_process_finds(two_workers):
    """A whole classification: principal volumes, k-means, scores, volumes, noise. 241 particles: unequal shards."""
    toy = toy_dataset(n=241)
    settings = Classification3DSettings(
        n_classes=3, initial_resolution=12.0, n_components=4, n_iterations=3, fit_scale=True
    )
    here, steps = classify(toy.particles, settings)
    there, other_steps = classify(toy.particles, settings, RunContext(compute=Compute(workers=two_workers)))
    np.testing.assert_allclose(there.members.posteriors, here.members.posteriors, atol=1e-3)
    np.testing.assert_allclose(there.members.scales, here.members.scales, rtol=1e-4)
    np.testing.assert_allclose(there.model.noise, here.model.noise, rtol=1e-5)
    scale = float(here.model.volumes.abs().max())
    np.testing.assert_allclose(there.model.volumes.numpy(), here.model.volumes.numpy(), atol=2e-4 * scale)
    np.testing.assert_allclose(other_steps.log[-1]["objective"], steps.log[-1]["objective"], rtol=1e-5)


def test_two_workers_find_the_components_that_one_process_finds(two_workers):
    dataset, _ = linear_dataset(size=16, n=301, snr=1.0)
    settings = Variability3DSettings(n_components=2, n_iterations=3)
    here, there = (
        Variability3D(settings).reconstruct(
            dataset.particles, dataset.queries, RunContext(compute=Compute(workers=workers))
        )
        for workers in (None, two_workers)
    )
    np.testing.assert_allclose(there.latents, here.latents, atol=2e-3 * float(np.abs(here.latents).max()))
    np.testing.assert_allclose(there.model["noise"], here.model["noise"], rtol=1e-4)
    np.testing.assert_allclose(there.find(HalfSetFsc).curves, here.find(HalfSetFsc).curves, atol=1e-4)
    np.testing.assert_allclose(there.model["components"], here.model["components"], atol=1e-3)
    last, other = (result.find(Convergence).log[-1]["objective"] for result in (there, here))
    assert last == pytest.approx(other, rel=1e-4)


def test_a_worker_names_the_particle_with_nan_pixels_as_the_table_counts(two_workers):
    toy = toy_dataset(size=16, n=40)
    images = toy.particles.images.read(np.arange(40))
    images[33, 2, 3] = np.nan
    particles = dataclasses.replace(toy.particles, images=ArrayImages(images))
    for workers in (None, two_workers):
        with pytest.raises(ValueError, match="image of particle 33 holds NaN"):
            Passes(particles, Compute(workers=workers))
    with pytest.raises(ValueError, match="image of particle 33 holds NaN"):
        particles.select(np.array([5, 33])).read(np.array([1]))


def test_as_many_shards_as_workers_but_not_more_than_particles(two_workers):
    toy = toy_dataset(size=16, n=40)
    spread = Compute(workers=two_workers)
    assert Passes(toy.particles, spread).n_shards == 2
    assert Passes(toy.particles.select(np.array([3])), spread).n_shards == 1
    whole, shared = (Passes(toy.particles, compute) for compute in (Compute(), spread))
    np.testing.assert_allclose(whole.mean_power, shared.mean_power, rtol=1e-10)


@pytest.mark.parametrize("value", [None, 0.0])
def test_a_shard_may_hold_one_image_many_times_or_blank_ones(two_workers, value):
    """Whether anything varies is asked of all particles: here the second shard alone has nothing to show."""
    toy = toy_dataset(size=16, n=40)
    images = toy.particles.images.read(np.arange(40))
    images[20:] = images[20] if value is None else value
    particles = dataclasses.replace(toy.particles, images=ArrayImages(images))
    whole, shared = (Passes(particles, compute) for compute in (Compute(), Compute(workers=two_workers)))
    np.testing.assert_allclose(whole.mean_power, shared.mean_power, rtol=1e-10)
    images[:] = images[0]
    with pytest.raises(ValueError, match="all 40 particles have the same image"):
        Passes(particles, Compute(workers=two_workers))


def test_the_same_image_for_all_particles_is_refused():
    toy = toy_dataset(size=16, n=40)
    images = np.repeat(toy.particles.images.read(np.array([0])), 40, axis=0)
    particles = dataclasses.replace(toy.particles, images=ArrayImages(images))
    with pytest.raises(ValueError, match="all 40 particles have the same image"):
        Passes(particles, Compute())


def sum_data(spectra, factor, own):
    """A work: Σ factor · own · data, and the particles' own numbers doubled."""
    total = sum(
        (factor * torch.from_numpy(own[batch.indices]).float()[:, None] * batch.data).sum(0)
        for batch in spectra.batches()
    )
    return {"total": total, "count": len(spectra)}, {"doubled": 2 * own}


def test_a_pass_sums_over_shards_and_keeps_the_order_of_rows(two_workers):
    particles, own = toy_dataset(size=16, n=41).particles, np.arange(41.0)
    results = [
        Passes(particles, Compute(workers=workers)).run(sum_data, 3.0, own=[own]) for workers in (None, two_workers)
    ]
    for sums, rows in results:
        assert sums["count"] == 41
        np.testing.assert_array_equal(rows["doubled"], 2 * own)
    here, there = (sums["total"] for sums, _ in results)
    torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-4 * float(here.abs().max()))


def test_images_beyond_memory_give_the_same_bits():
    particles, own = toy_dataset(size=16, n=41).particles, np.arange(41.0)
    kept, streamed = (
        Passes(particles, Compute(), keep_bytes=amount).run(sum_data, 1.0, own=[own])[0]["total"]
        for amount in (1e9, 0)
    )
    assert torch.equal(kept, streamed)


def test_without_poses_passes_hand_out_images_that_are_not_centred():
    particles = toy_dataset(size=16, n=40, with_poses=False).particles
    with pytest.raises(ValueError, match="come without poses"):
        Passes(particles, Compute())
    passes = Passes(particles, Compute(), posed=False, radius=5)
    assert passes.disc.radius == 5
    assert passes.run(sum_data, 1.0, own=[np.ones(40)])[0]["count"] == 40


def test_accumulators_of_other_shapes_are_not_merged():
    one, other = (MomentAccumulator(size, n_numerators=1, n_weights=1) for size in (8, 10))
    with pytest.raises(ValueError, match="cannot merge"):
        one.merge(other)


class Counting(Silent):
    """Progress that keeps label, total and what was reported of each task."""

    def __init__(self):
        self.tasks = []

    @contextmanager
    def task(self, label, total=None):
        reported = []
        self.tasks.append((label, total, reported))
        yield SimpleNamespace(advance=reported.append)


@pytest.mark.parametrize("spread", [False, True])
def test_particles_of_a_pass_are_shown_as_they_are_visited(spread, two_workers):
    toy = toy_dataset(size=16, n=CHUNK + 40)
    passes = Passes(toy.particles, Compute(workers=two_workers if spread else None))
    progress = Counting()
    with passes.shown(progress, "power", passes=2):
        for _ in range(2):
            passes.run(_count)
    passes.run(_count)
    each = [(CHUNK + 40) // 2] * 2 if spread else [CHUNK, 40]
    assert progress.tasks == [("power", 2 * (CHUNK + 40), 2 * each)]


def _count(spectra):
    return {"count": sum(len(batch) for batch in spectra.batches())}, {}
