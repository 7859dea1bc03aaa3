"""3D classification: what its settings do, the half-sets of its classes, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from cryobench.data import ArrayImages, Particles
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.methods._shared.passes import Passes
from cryobench.methods.classification_3d import Classification3D, Classification3DSettings, classify
from cryobench.methods.classification_3d.expectation import Memberships, Options, add_up, compare
from cryobench.methods.classification_3d.limits import check_memory, count_class_bytes
from cryobench.methods.classification_3d.moves import merge_and_split, split_into_empty
from cryobench.methods.classification_3d.schedule import draw_batch, plan_batches
from cryobench.methods.classification_3d.volumes import Model, disc_of, largest_sphere, small_box, solve_volumes
from toy import toy_dataset

QUICK = Classification3DSettings(n_classes=3, initial_resolution=12.0, n_components=4)


@pytest.fixture(scope="module")
def toy():
    return toy_dataset()


def _change(**changes) -> Classification3DSettings:
    return QUICK.model_copy(update=changes)


def _found(toy, settings, **options) -> float:
    result = classify(toy.particles, settings, **options)
    return adjusted_rand_score(toy.truth.states, result.posteriors.argmax(axis=1))


def test_mini_batches_find_the_states_too(toy):
    settings = _change(batch_per_class=40, n_iterations=12)
    result = classify(toy.particles, settings)
    assert [entry["particles"] for entry in result.log][:7] == [120] * 7
    assert result.log[-1]["particles"] == 360
    assert adjusted_rand_score(toy.truth.states, result.posteriors.argmax(axis=1)) > 0.9


def test_a_mini_batch_of_all_particles_is_a_full_pass(toy):
    short = _change(n_iterations=3)
    whole = classify(toy.particles, short.model_copy(update={"batch_per_class": 0}))
    batch = classify(toy.particles, short.model_copy(update={"batch_per_class": 120}))
    np.testing.assert_array_equal(whole.posteriors, batch.posteriors)
    assert torch.equal(whole.model.volumes, batch.model.volumes)


def test_every_particle_is_in_a_mini_batch_before_any_is_again():
    drawn = np.array([draw_batch(10, iteration, 4, seed=3) for iteration in range(5)])
    assert (drawn.sum(axis=1) == 4).all()
    assert (drawn[:2].sum(axis=0) <= 1).all()
    assert drawn[:3].any(axis=0).all()
    assert (drawn.sum(axis=0) == 2).all()
    settings = Classification3DSettings(n_classes=2, n_iterations=6, batch_per_class=5)
    assert plan_batches(11, settings) == [10, 10, 10, 11, 11, 11]
    assert plan_batches(10, settings) == [10] * 6


@pytest.mark.slow
def test_blended_sums_are_weighted_as_the_memberships_say(toy, tmp_path):
    """What is said to be in the volumes is what is in them: the sum of the held shares makes the same volumes."""
    settings = _change(batch_per_class=40, n_iterations=8, smallest_class=0.0, posterior_threshold=0.0)
    stopped = {}

    class Stop(Exception):
        pass

    def keep(state, *_):
        stopped["state"] = state
        if state.done == 3:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cryobench.methods.classification_3d.classification.keep_progression", keep)
        with pytest.raises(Stop):
            classify(toy.particles, settings, checkpoint=tmp_path)
    state = stopped["state"]
    passes = Passes(toy.particles, 11, method="test")
    # The noise changes from batch to batch, so weights are compared with that of one: only their ratio to it matters.
    sums = add_up(
        passes, state.members.held, state.members.scales, state.model.noise, Options(11, 0.0), np.ones(360, bool)
    )
    blended, direct = state.sums.sums[1].sum(dim=(1, 2, 3)), sums.sums[1].sum(dim=(1, 2, 3))
    torch.testing.assert_close(blended / blended.sum(), direct / direct.sum(), rtol=1e-2, atol=0)


@pytest.mark.parametrize("start", ["subsets", pytest.param("pca", marks=pytest.mark.slow)])
def test_hard_classes_from_either_pca_start(toy, start):
    settings = _change(hard_classification=True, initialisation=start)
    result = classify(toy.particles, settings)
    assert set(np.unique(result.posteriors)) == {0.0, 1.0}
    assert adjusted_rand_score(toy.truth.states, result.posteriors.argmax(axis=1)) > 0.85


def test_scales_are_found():
    """Images multiplied by 0.7 to 1.4 before the noise: scales follow, have mean one, and stay within bounds."""
    toy = toy_dataset(n=400, snr=2.0)
    rng = np.random.default_rng(1)
    clean = toy_dataset(n=400, snr=1e9).particles.images.read(np.arange(400))
    factors = rng.choice([0.7, 1.0, 1.4], 400).astype(np.float32)
    noise = rng.normal(0, clean.std() / 1.4, clean.shape)
    images = (factors[:, None, None] * clean + noise).astype(np.float32)
    particles = dataclasses.replace(toy.particles, images=ArrayImages(images))
    result = classify(particles, _change(fit_scale=True, n_iterations=10))
    scales = result.members.scales
    assert scales.mean() == pytest.approx(1, abs=1e-5)
    expected = factors / factors.mean()
    assert np.corrcoef(scales, expected)[0, 1] > 0.95
    assert abs(np.polyfit(expected, scales, 1)[0] - 1) < 0.1
    np.testing.assert_array_equal(classify(particles, _change(n_iterations=2)).members.scales, 1)


def test_half_sets_give_each_class_its_resolution(toy):
    result = Classification3D(QUICK).reconstruct(toy.particles, queries=toy.queries)
    fsc, resolutions, halves = (result.model[name] for name in ("half_set_fsc", "resolutions", "half_sets"))
    assert fsc.shape == (3, 13)
    assert np.bincount(halves).tolist() == [180, 180]
    assert (fsc[:, 1:6] > 0.9).all()
    # Two halves of the particles agree less than one set with itself.
    assert (fsc[:, 8:12] < 0.9995).all()
    assert ((resolutions >= 8) & (resolutions < 16)).all()
    assert result.record["notes"] == []


def test_a_class_with_an_empty_half_is_noted(toy):
    particles = dataclasses.replace(toy.particles.select(np.arange(12)), mask=None)
    settings = Classification3DSettings(n_classes=12, n_iterations=1, n_components=2, smallest_class=0.0)
    result = Classification3D(settings).reconstruct(particles, queries=np.array([0]))
    assert result.record["notes"][0].startswith("the data set has no mask: volumes are kept within a sphere of 96 Å")
    assert any("half-set without particles" in note or "have no particles" in note for note in result.record["notes"])
    assert (result.model["half_set_fsc"] == 0).all(axis=1).any()
    assert np.isfinite(result.model["half_set_fsc"]).all()


def test_a_solvent_mask_that_is_not_there_is_a_sphere_and_said(toy):
    settings = _change(n_iterations=2, solvent_mask=True)
    bare = dataclasses.replace(toy.particles, mask=None)
    sphere = Classification3D(settings).reconstruct(bare, queries=toy.queries)
    assert len(sphere.record["notes"]) == 1
    masked = Classification3D(settings).reconstruct(toy.particles, queries=toy.queries)
    assert not np.array_equal(sphere.model["volumes"], masked.model["volumes"])


def test_classes_that_do_not_fit_into_memory_are_refused_before_any_work():
    each = count_class_bytes(128, online=False)
    assert 30e6 < each < 60e6
    settings = Classification3DSettings(n_classes=100, memory_gb=50.5 * each / 1e9)
    with pytest.raises(ValueError, match=r"100 classes of 128 pixels take .* 50 classes fit"):
        check_memory(128, settings, online=False)
    assert check_memory(64, settings, online=False) > 0
    with pytest.raises(ValueError, match="not even one class fits"):
        classify(toy_dataset(n=40).particles, _change(memory_gb=1e-4))


def test_one_particle_has_no_half_sets(toy):
    with pytest.raises(ValueError, match="two half-sets need"):
        classify(toy.particles.select(np.array([0])), _change(n_classes=1))


@pytest.mark.parametrize("size", [15, 16])
@pytest.mark.parametrize("reach", [2, 5])
def test_a_small_box_gives_the_large_one_cropped(rng, size, reach):
    """The same sums, made in a box that holds shells up to ``reach`` and in the whole one."""
    toy = toy_dataset(size=size, n=60)
    passes = Passes(toy.particles, (size - 1) // 2, method="test")
    members = np.ones((60, 1), np.float32)
    noise, everyone = passes.mean_power, np.ones(60, bool)
    small = add_up(passes, members, members[:, 0], noise, Options(reach), everyone)
    assert small.box_size == small_box(size, reach) == min(2 * reach + 4, size)
    whole = SliceAccumulator(size, n_volumes=1, radius=reach)
    full = disc_of(size)
    for packed in passes._shares[0].batches():
        inverse = torch.from_numpy(1 / noise[full.shells]).float()
        whole.add(
            full.unpack(packed.ctf * inverse * packed.data),
            full.unpack(packed.ctf**2 * inverse),
            packed.rotations,
            class_weights=torch.ones(len(packed.indices), 1),
        )
    cut = (whole.sums[0].shape[1] - small.sums[0].shape[1]) // 2
    for large, little in zip(whole.sums, small.sums, strict=True):
        inner = large[:, cut : cut + little.shape[1], cut : cut + little.shape[2], : little.shape[3]]
        torch.testing.assert_close(inner, little, rtol=1e-5, atol=1e-5 * float(large.abs().max()))


def test_left_out_particles_change_nothing(toy):
    passes = Passes(toy.particles, 11, method="test")
    ones, posteriors = np.ones(360, np.float32), np.eye(3, dtype=np.float32)[toy.truth.states]
    options, chosen = Options(11), np.arange(360) < 100
    sums = add_up(passes, posteriors, ones, passes.mean_power, options, chosen)
    alone = Passes(toy.particles.select(np.arange(100)), 11, method="test")
    expected = add_up(alone, posteriors[:100], ones[:100], passes.mean_power, options, np.ones(100, bool))
    for part, other in zip(sums.sums, expected.sums, strict=True):
        torch.testing.assert_close(part, other)
    volumes, leverage = solve_volumes(sums, 4.0, largest_sphere(24))
    model = Model(volumes, np.full(3, 1 / 3), passes.mean_power, leverage)
    members = Memberships.from_posteriors(posteriors, ones)
    found = compare(passes, model, members, options, 11, chosen)
    assert (found.posteriors[100:] == 0).all()
    np.testing.assert_allclose(found.posteriors[:100].sum(axis=1), 1, rtol=1e-5)


def _two_clouds(rng, apart: float) -> np.ndarray:
    coordinates = rng.standard_normal((600, 4))
    coordinates[:300, 0] += apart
    return coordinates


def test_a_mixed_class_is_split_and_a_plain_one_left_whole(rng):
    posteriors = np.zeros((600, 3), np.float32)
    posteriors[:, 1] = 1
    split, moved = split_into_empty(posteriors, np.array([0]), _two_clouds(rng, 6.0))
    assert moved == 1
    labels = split.argmax(axis=1)
    assert max((labels[:300] == 0).mean(), (labels[300:] == 0).mean()) > 0.99
    np.testing.assert_allclose(split.sum(axis=1), 1, rtol=1e-6)
    whole, moved = split_into_empty(posteriors, np.array([0, 2]), _two_clouds(rng, 0.0))
    assert moved == 0
    np.testing.assert_array_equal(whole, posteriors)


def test_two_halves_of_one_cloud_make_room_for_two_clouds_in_one_class(rng):
    coordinates = np.concatenate([_two_clouds(rng, 8.0), rng.normal([0, 30, 0, 0], 1, (200, 4))])
    labels = np.r_[np.zeros(600, int), rng.integers(1, 3, 200)]
    posteriors = np.eye(3, dtype=np.float32)[labels]
    moved, count = merge_and_split(posteriors, coordinates)
    assert count == 1
    assert adjusted_rand_score(np.r_[np.zeros(300), np.ones(300), np.full(200, 2)], moved.argmax(axis=1)) > 0.98
    assert merge_and_split(moved, coordinates)[1] == 0


def test_a_start_that_merges_two_states_and_halves_another_is_mended(toy):
    """Two states in one class and one in two: iterations swap particles until one is gone; a trial mends it."""
    rng = np.random.default_rng(0)
    start = np.where(toy.truth.states == 2, rng.integers(1, 3, 360), 0)
    assert _found(toy, _change(initial_resolution=8.0), initial_labels=start) > 0.9


def test_particles_of_bad_shape_are_refused(toy):
    images = toy.particles.images.read(np.arange(20))
    particles = Particles(ArrayImages(images), 4.0, toy.particles.ctf[np.arange(20)])
    with pytest.raises(ValueError, match="come without"):
        classify(particles, QUICK)
