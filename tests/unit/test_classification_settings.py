"""3D classification: what its settings do, the half-sets of its classes, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from classified import classify
from cryobench.compute import Compute
from cryobench.data import ArrayImages, ClassVolumes, HalfSetFsc, Particles
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.methods.classification_3d import Classification3D, Classification3DSettings
from cryobench.methods.classification_3d.expectation import Memberships, Model, compare
from cryobench.methods.classification_3d.iterations import Classification
from cryobench.methods.classification_3d.settings import plan_iterations
from cryobench.methods.classification_3d.split_merge import merge_and_split, split_into_empty
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.images import PosedSpectra, draw_stretch
from cryobench.reconstruction.statistics import (
    ClassSums,
    compare_halves,
    disc_of,
    small_box,
    solve_volumes,
    split_halves,
    sum_classes,
)
from cryobench.volumes.mask import make_largest_sphere
from toy import toy_dataset

QUICK = Classification3DSettings(n_classes=3, initial_resolution=12.0, n_components=4)


@pytest.fixture(scope="module")
def toy():
    return toy_dataset()


def _change(**changes) -> Classification3DSettings:
    return QUICK.model_copy(update=changes)


def _found(toy, settings, **options) -> float:
    state, _ = classify(toy.particles, settings, **options)
    return adjusted_rand_score(toy.truth.states, state.members.posteriors.argmax(axis=1))


def test_mini_batches_find_the_states_too(toy):
    state, convergence = classify(toy.particles, _change(batch_per_class=40, convergence=0.0))
    # Five times 360 particles in batches of 3 × 40, then two full passes.
    assert [entry["particles"] for entry in convergence.log] == [120] * 15 + [360] * 2
    assert [entry["radius"] for entry in convergence.log] == [8] * 7 + [9] * 4 + [10] * 4 + [11] * 2
    assert adjusted_rand_score(toy.truth.states, state.members.posteriors.argmax(axis=1)) > 0.9


def test_a_mini_batch_of_all_particles_is_a_full_pass(toy):
    short = _change(n_iterations=3)
    whole, _ = classify(toy.particles, short.model_copy(update={"batch_per_class": 0}))
    batch, _ = classify(toy.particles, short.model_copy(update={"batch_per_class": 120}))
    np.testing.assert_array_equal(whole.members.posteriors, batch.members.posteriors)
    assert torch.equal(whole.model.volumes, batch.model.volumes)


def test_every_particle_is_in_a_mini_batch_before_any_is_again():
    drawn = np.array([draw_stretch(10, 4 * iteration, 4, seed=3) for iteration in range(5)])
    assert (drawn.sum(axis=1) == 4).all()
    assert (drawn[:2].sum(axis=0) <= 1).all()
    assert drawn[:3].any(axis=0).all()
    assert (drawn.sum(axis=0) == 2).all()
    settings = Classification3DSettings(
        n_classes=2, n_iterations=6, batch_per_class=5, online_epochs=2, full_passes=3
    )
    assert [look.size for look in plan_iterations(settings, 11, 24, 4.0)] == [10, 10, 10, 11, 11, 11]
    assert [look.size for look in plan_iterations(settings, 10, 24, 4.0)] == [10] * 6


def test_blended_sums_are_weighted_as_the_memberships_say(toy):
    """What is said to be in the volumes is what is in them: the sum of the held shares makes the same volumes."""
    settings = _change(batch_per_class=40, smallest_class=0.0, posterior_threshold=0.0)
    run = Classification(toy.particles, settings, RunContext())
    state, log = run.start(), []
    for done in range(3):
        step = run.step(state, done, log)
        state, log = step.state, [*log, *step.entries]
    assert state.weight is not None
    # The noise changes from batch to batch, so weights are compared with that of one: only their ratio to it matters.
    sums = sum_classes(run.passes, state.members.held, state.model.noise, scales=state.members.scales)
    blended, direct = state.weight.sum(dim=(1, 2, 3)), sums.sums[1].sum(dim=(1, 2, 3))
    torch.testing.assert_close(blended / blended.sum(), direct / direct.sum(), rtol=1e-2, atol=0)


@pytest.mark.parametrize("start", ["subsets", pytest.param("pca", marks=pytest.mark.slow)])
def test_hard_classes_from_either_pca_start(toy, start):
    state, _ = classify(toy.particles, _change(hard_classification=True, initialisation=start))
    posteriors = state.members.posteriors
    assert set(np.unique(posteriors)) == {0.0, 1.0}
    assert adjusted_rand_score(toy.truth.states, posteriors.argmax(axis=1)) > 0.85


def test_scales_are_found():
    """Images multiplied by 0.7 to 1.4 before the noise: scales follow, have mean one, and stay within bounds."""
    toy = toy_dataset(n=400, snr=2.0)
    rng = np.random.default_rng(1)
    clean = toy_dataset(n=400, snr=1e9).particles.images.read(np.arange(400))
    factors = rng.choice([0.7, 1.0, 1.4], 400).astype(np.float32)
    noise = rng.normal(0, clean.std() / 1.4, clean.shape)
    images = (factors[:, None, None] * clean + noise).astype(np.float32)
    particles = dataclasses.replace(toy.particles, images=ArrayImages(images))
    fitting = Classification3D(_change(fit_scale=True, n_iterations=10))
    scales = fitting.reconstruct(particles, toy.queries).model["scales"]
    assert scales.mean() == pytest.approx(1, abs=1e-5)
    expected = factors / factors.mean()
    assert np.corrcoef(scales, expected)[0, 1] > 0.95
    assert abs(np.polyfit(expected, scales, 1)[0] - 1) < 0.1
    np.testing.assert_array_equal(classify(particles, _change(n_iterations=2))[0].members.scales, 1)


def test_half_sets_give_each_class_its_resolution(toy):
    result = Classification3D(QUICK).reconstruct(toy.particles, toy.queries)
    classes, fsc = result.find(ClassVolumes), result.find(HalfSetFsc)
    assert classes is not None
    assert fsc is not None
    assert fsc.of == "class"
    assert fsc.curves.shape == (3, 13)
    assert np.bincount(result.model["half_sets"]).tolist() == [180, 180]
    assert (fsc.curves[:, 1:6] > 0.9).all()
    # Two halves of the particles agree less than one set with itself.
    assert (fsc.curves[:, 8:12] < 0.9995).all()
    assert classes.resolutions is not None
    assert ((classes.resolutions >= 8) & (classes.resolutions < 16)).all()
    assert result.notes == ()


def test_a_class_with_an_empty_half_is_noted(toy):
    particles = dataclasses.replace(toy.particles.select(np.arange(12)), mask=None)
    settings = Classification3DSettings(n_classes=12, n_iterations=1, n_components=2, smallest_class=0.0)
    result = Classification3D(settings).reconstruct(particles, np.array([0]))
    assert result.notes[0].startswith("No mask is given: volumes are kept within a sphere of 96 Å")
    assert any("half-set without particles" in note or "have no particles" in note for note in result.notes)
    fsc = result.find(HalfSetFsc)
    assert fsc is not None
    assert (fsc.curves == 0).all(axis=1).any()
    assert np.isfinite(fsc.curves).all()


def test_a_solvent_mask_that_is_not_there_is_a_sphere_and_said(toy):
    settings = _change(n_iterations=2, solvent_mask=True)
    bare = dataclasses.replace(toy.particles, mask=None)
    sphere = Classification3D(settings).reconstruct(bare, toy.queries)
    assert sphere.notes == ("No mask is given: volumes are kept within a sphere of 96 Å.",)
    masked = Classification3D(settings).reconstruct(toy.particles, toy.queries)
    assert not np.array_equal(sphere.model["volumes"], masked.model["volumes"])


def test_one_particle_has_no_half_sets(toy):
    with pytest.raises(ValueError, match="two half-sets need"):
        Classification3D(_change(n_classes=1)).reconstruct(toy.particles.select(np.array([0])), np.array([0]))


def test_the_published_settings_are_chosen_by_recipe(toy):
    paper = Classification3D.presets["paper"]
    classes = {name: paper.expand(toy.particles, name)["n_classes"] for name in ("igg-1d", "ribosembly", None)}
    assert classes == {"igg-1d": 10, "ribosembly": 20, None: 20}
    settings = Classification3DSettings(**paper.expand(toy.particles, "igg-1d"))
    # 100,000 particles, 10 classes: five epochs of ten mini-batches, then two full passes.
    looks = plan_iterations(settings, 100_000, 128, 3.0)
    assert [look.size for look in looks] == [10_000] * 50 + [100_000] * 2
    assert (looks[0].radius, looks[-1].radius) == (19, 63)


@pytest.mark.parametrize("size", [15, 16])
@pytest.mark.parametrize("reach", [2, 5])
def test_a_small_box_gives_the_large_one_cropped(size, reach):
    """The same sums, made in a box that holds shells up to ``reach`` and in the whole one."""
    toy = toy_dataset(size=size, n=60)
    spectra = PosedSpectra(toy.particles, (size - 1) // 2)
    noise = spectra.mean_power
    sums = ClassSums(spectra, 1, noise, reach=reach)
    whole = SliceAccumulator(size, n_volumes=1, radius=reach)
    full = disc_of(size)
    for batch in spectra.batches():
        weights = torch.ones(len(batch), 1)
        sums.add(batch, weights)
        inverse = torch.from_numpy(1 / noise[full.shells]).float()
        whole.add(
            full.unpack(batch.ctf * inverse * batch.data),
            full.unpack(batch.ctf**2 * inverse),
            batch.rotations,
            class_weights=weights,
        )
    small = sums.sums
    assert small.box_size == small_box(size, reach) == min(2 * reach + 4, size)
    cut = (whole.sums[0].shape[1] - small.sums[0].shape[1]) // 2
    for large, little in zip(whole.sums, small.sums, strict=True):
        inner = large[:, cut : cut + little.shape[1], cut : cut + little.shape[2], : little.shape[3]]
        torch.testing.assert_close(inner, little, rtol=1e-5, atol=1e-5 * float(large.abs().max()))


def test_left_out_particles_change_nothing(toy):
    passes = Passes(toy.particles, Compute())
    noise, posteriors = passes.mean_power, np.eye(3, dtype=np.float32)[toy.truth.states]
    chosen = np.arange(360) < 100
    sums = sum_classes(passes, posteriors, noise, chosen=chosen)
    alone = Passes(toy.particles.select(np.arange(100)), Compute())
    expected = sum_classes(alone, posteriors[:100], noise)
    for part, other in zip(sums.sums, expected.sums, strict=True):
        torch.testing.assert_close(part, other)
    volumes, leverage = solve_volumes(sums, tau_fudge=4.0, mask=make_largest_sphere(24))
    model = Model(volumes, np.full(3, 1 / 3), noise, leverage)
    members = Memberships.from_posteriors(posteriors, np.ones(360, np.float32))
    found = compare(passes, model, members, QUICK, radius=11, reach=11, chosen=chosen)
    assert (found.posteriors[100:] == 0).all()
    np.testing.assert_allclose(found.posteriors[:100].sum(axis=1), 1, rtol=1e-5)


def test_half_sets_of_classes_see_nothing_of_particles_whose_scale_is_zero(toy):
    """As if these were in no class: scales count in the half-maps as they do in the volumes."""
    passes = Passes(toy.particles, Compute())
    posteriors, halves = np.eye(3, dtype=np.float32)[toy.truth.states], split_halves(360, 0)
    bright = np.arange(360) % 3 > 0
    scales = bright.astype(np.float32)
    scaled, _ = compare_halves(passes, posteriors, passes.mean_power, halves, solve_volumes, scales=scales)
    without = posteriors * bright[:, None]
    expected, _ = compare_halves(passes, without, passes.mean_power, halves, solve_volumes)
    np.testing.assert_allclose(scaled, expected, atol=1e-4)
    assert (expected[:, 1:5] > 0.5).all()


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


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_setting_that_is_not_finite_is_named(value):
    with pytest.raises(ValueError, match=r"tau2_fudge .* finite"):
        Classification3D.with_settings({"tau2_fudge": value})
