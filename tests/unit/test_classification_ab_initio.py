"""3D classification ab initio: schedule, posterior, constraints, and what it finds on toys."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from cryobench.data import ArrayImages, ClassVolumes, Convergence
from cryobench.fourier import fft_volume, frequency_grid, shell_indices
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.shift_scores import ShiftGrid
from cryobench.methods.classification_ab_initio import (
    ClassificationAbInitio,
    ClassificationAbInitioSettings,
    classification,
)
from cryobench.methods.classification_ab_initio import ascent as ascent_module
from cryobench.methods.classification_ab_initio.ascent import Ascended, Ascent
from cryobench.methods.classification_ab_initio.expectation import Model, Question, expect
from cryobench.methods.classification_ab_initio.settings import plan_ascent
from cryobench.methods.classification_ab_initio.splits import Census
from cryobench.methods.classification_ab_initio.volumes import Constraints, draw_starts
from cryobench.metrics.poses.errors import pose_error
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.images import ImageSpectra
from cryobench.reconstruction.poses import OrientationGrid, SearchPlan, random_rotations
from cryobench.volumes.mask import make_largest_sphere
from toy import toy_dataset

QUICK = {
    "n_classes": 1,
    "initial_resolution": 24.0,
    "initial_iterations": 40,
    "radius_step": 0.5,
    "final_iterations": 5,
    "initial_batch": 45,
    "final_batch": 60,
    "batch_change": 40,
    "step_change": 30,
    "similar_until": 30,
    "noise_memory": 500,
    "shift_range": 6.0,
    "healpix_nside": 2,
    "n_refinements": 3,
    "final_resolution": 8.0,
}


def _quick(**changes: object) -> ClassificationAbInitio:
    return ClassificationAbInitio(ClassificationAbInitioSettings(**{**QUICK, **changes}))  # pyright: ignore


def test_the_schedule_is_the_published_one() -> None:
    """1,026 iterations for a box of 384 Å, 1,289 for 576 Å, about 245,000 visits of images."""
    settings = ClassificationAbInitioSettings()
    looks, notes = plan_ascent(settings, 100_000, 128, 3.0)
    assert (len(looks), notes) == (1026, ())
    assert len(plan_ascent(settings, 100_000, 192, 3.0)[0]) == 1289
    assert looks[-1].first + looks[-1].size == pytest.approx(245_000, rel=0.01)
    assert [looks[k].radius for k in (0, 199, 1025)] == [10, 10, 32]
    assert [looks[k].size for k in (0, 299, 300)] == [90, 90, 300]
    assert [looks[k].step for k in (0, 99, 100)] == [0.4, 0.4, 0.2]
    assert [round(looks[k].similarity, 3) for k in (0, 300, 325, 350, 1000)] == [0.1, 0.1, 0.05, 0, 0]


def test_a_box_that_does_not_hold_the_resolutions_is_refused_or_said() -> None:
    settings = ClassificationAbInitioSettings()
    with pytest.raises(ValueError, match=r"resolves 41\.1 Å at best, coarser than initial_resolution of 35 Å"):
        plan_ascent(settings, 100, 16, 18.0)
    looks, notes = plan_ascent(settings, 100, 32, 12.0)
    assert looks[-1].radius == 15
    assert "up to 25.6 Å" in notes[0]
    with pytest.raises(ValueError, match="exchange them"):
        plan_ascent(ClassificationAbInitioSettings(initial_resolution=10, final_resolution=20), 100, 64, 3.0)


def _ask(dataset, volumes: torch.Tensor, plan: SearchPlan, **options: float):  # pyright: ignore
    disc_radius = (dataset.particles.box_size - 1) // 2
    spectra = ImageSpectra(dataset.particles, disc_radius)
    chosen = np.zeros(len(spectra), dtype=bool)
    chosen[:12] = True
    model = Model(volumes, spectra.mean_power * 0.7)
    return spectra, expect(spectra, model, Question(plan, **options), chosen)


@pytest.fixture(scope="module")
def states():  # pyright: ignore
    dataset = toy_dataset(n=120, snr=2.0)
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    volumes = torch.stack([torch.from_numpy(np.array(dataset.truth.volumes.read(k))) for k in range(3)])
    return dataset, volumes


def test_posteriors_sum_to_one_and_peak_at_the_true_class(states) -> None:
    dataset, volumes = states
    plan = SearchPlan((8, 9, 11), ShiftGrid(1.5, 3), OrientationGrid(2, 12), keep=16)
    _, (sums, rows) = _ask(dataset, volumes, plan)
    np.testing.assert_allclose(rows["posteriors"][:12].sum(1), 1, rtol=1e-5)
    assert sums["classes"].sum() == pytest.approx(12)
    assert (rows["posteriors"][:12].argmax(1) == dataset.truth.states[:12]).mean() > 0.9
    assert (rows["posteriors"][12:] == 0).all()


def test_the_searched_posterior_tends_to_that_over_all_poses(states) -> None:
    """With every orientation kept, a search of one level is the sum over the whole grid."""
    dataset, volumes = states
    everything = SearchPlan((6,), ShiftGrid(1.5, 3), OrientationGrid(1, 6), keep=72)
    _, (full, of_full) = _ask(dataset, volumes, everything, threshold=0.0)
    # The same poses on a second level that does not refine: through the other code.
    spectra = ImageSpectra(dataset.particles, 11)
    chosen = np.zeros(120, dtype=bool)
    chosen[:12] = True
    from cryobench.methods.classification_ab_initio.expectation import _Expectation

    work = _Expectation(spectra, Model(volumes, spectra.mean_power * 0.7), Question(everything, threshold=0.0))
    for batch in spectra.batches(chosen):
        for leaves in work._search.leaves(work._source, work._search.match(batch)):
            work._add_leaves(leaves)
    listed = work.finish()
    np.testing.assert_allclose(listed["likelihood"], full["likelihood"], rtol=1e-5)
    np.testing.assert_allclose(listed["residual"], full["residual"], rtol=1e-3)
    np.testing.assert_allclose(work.rows["posteriors"][:12], of_full["posteriors"][:12], atol=1e-4)
    for index in range(3):
        for one, other in zip(full["volumes"].totals_of(index), listed["volumes"].totals_of(index), strict=True):
            scale = float(one.values.abs().max())
            torch.testing.assert_close(one.values, other.values, rtol=0, atol=1e-4 * scale)


def test_class_similarity_mixes_classes(states) -> None:
    dataset, volumes = states
    plan = SearchPlan((6,), ShiftGrid(1.5, 3), OrientationGrid(1, 6))
    alone, mixed = (_ask(dataset, volumes, plan, similarity=each)[1][1]["posteriors"][:12] for each in (0.0, 0.3))
    np.testing.assert_allclose(mixed, 0.7 * alone + 0.1, atol=1e-5)


def test_similarity_finds_the_poses_of_a_class_however_unlikely_it_is(states) -> None:
    """Its likelihood may be smaller than any number there is."""
    dataset, volumes = states
    plan = SearchPlan((6,), ShiftGrid(1.5, 3), OrientationGrid(1, 6))
    spectra = ImageSpectra(dataset.particles, 11)
    chosen = np.zeros(len(spectra), dtype=bool)
    chosen[:12] = True
    unlikely = torch.stack([volumes[0], -30 * volumes[1]])
    for levels in (plan, SearchPlan((6, 6), plan.shifts, plan.orientations)):
        model = Model(unlikely, spectra.mean_power * 0.02)
        sums, rows = expect(spectra, model, Question(levels, similarity=0.2), chosen)
        np.testing.assert_allclose(rows["posteriors"][:12, 1], 0.1, atol=1e-3)
        assert np.isfinite(sums["likelihood"])
        numerator, weight = sums["volumes"].totals_of(1)
        assert torch.isfinite(torch.view_as_real(numerator.values)).all()
        assert float(weight.values.max()) > 0


def test_the_noise_starts_where_the_wanted_share_of_poses_is_significant(states) -> None:
    dataset, _ = states
    method = _quick(significant_share=0.05, n_classes=2)
    ascent = Ascent(dataset.particles.without_poses(), method.settings, RunContext())
    start = ascent.start()
    look = ascent.looks[0]
    question = Question(ascent.plan(look.radius, fine=False))
    chosen = ascent._draw(0, 32)
    sums, _ = ascent.passes.run(expect, Model(start.volumes, start.noise), question, own=(chosen,))
    assert sums["effective"] / chosen.sum() == pytest.approx(0.05, rel=0.2)


def test_a_step_compares_up_to_its_radius_also_beyond_that_of_a_search() -> None:
    """In a large box 35 Å lie beyond the radius at which a search begins."""
    method = _quick(initial_resolution=9.0, final_resolution=8.0, n_refinements=1, initial_iterations=1)
    ascent = Ascent(toy_dataset(size=32, n=60).particles.without_poses(), method.settings, RunContext())
    assert ascent.looks[0].radius == 14
    assert ascent.plan(14, fine=False).radii == (14,)
    assert ascent.plan(14).radii == (12, 14)
    state = ascent.start()
    for done in (0, 1):
        result = ascent.step(state, done, [])
        assert result.entries[0]["radius"] == 14
        assert np.isfinite(result.entries[0]["objective"])
        state = result.state


def test_a_mini_batch_that_spans_two_rounds_is_averaged_over_its_images() -> None:
    """It holds fewer images than others, since the two rounds have some in common."""
    method = _quick(initial_batch=40, healpix_nside=1, initial_iterations=3)
    ascent = Ascent(toy_dataset(n=60).particles.without_poses(), method.settings, RunContext())
    entry = ascent.step(ascent.start(), 1, []).entries[0]  # images 40 to 80 of an endless sequence of 60
    assert entry["images"] < 40
    assert entry["largest class"] == pytest.approx(1)


def test_a_step_leaves_the_true_volume_where_it_is() -> None:
    """Slices of an off-centre Gaussian, exact in closed form, have no gradient there: only gridding errs."""
    size, width, centre, n = 24, 1.5, torch.tensor([5.0, -4.0, 3.0]), 600
    ascent = Ascent(toy_dataset(n=60).particles, _quick(non_negative=False, recentre=False).settings, RunContext())
    axis = torch.arange(size) - size // 2
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")[::-1], dim=-1)
    volume = torch.exp(-(points - centre).square().sum(-1) / (2 * width**2))
    rotations = random_rotations(n, 0, "views of a Gaussian", 0)
    plane = frequency_grid(size, 2).float()
    frequencies = torch.einsum("yxi,nij->nyxj", plane, rotations[:, :2])
    amplitude = torch.exp(-2 * (np.pi * width) ** 2 * frequencies.square().sum(-1)) * (2 * np.pi * width**2) ** 1.5
    slices = torch.polar(amplitude, -2 * np.pi * (frequencies @ centre))
    precision = 1e6  # so high that the prior has no say
    sums = SliceAccumulator(size, n_volumes=1)
    weights = torch.full(slices.shape, precision)
    sums.add(precision * slices, weights, rotations, class_weights=torch.ones(n, 1))
    look = replace(ascent.looks[-1], radius=11, size=n, step=1.0)
    power = ascent.passes.mean_power
    state = Ascended(volume[None], torch.zeros(1), power, Census.begin(1))
    volumes, _ = ascent._climb(state, sums, power, look, is_first=True)
    assert float((volumes[0] - volume).abs().max()) < 0.1  # of a peak of 1


def test_volumes_are_kept_non_negative_inside_the_sphere_and_centred() -> None:
    sphere = make_largest_sphere(24)
    axis = torch.arange(24).float() - 12
    blob = torch.exp(-((axis[:, None, None] - 3) ** 2 + (axis[:, None] + 2) ** 2 + axis**2) / 6) - 0.3
    kept = Constraints(sphere, True, True).apply(blob)
    assert float(kept.min()) == 0
    assert (kept[sphere == 0] == 0).all()
    offset = [(kept.sum(dim=dims) * axis).sum() / kept.sum() for dims in ((1, 2), (0, 2), (0, 1))]
    assert max(abs(float(each)) for each in offset) <= 0.5
    free = Constraints(sphere, False, False).apply(blob)
    # Neither clipped nor moved: above the solvent's level within the sphere, and outside nothing.
    level = blob[sphere > 0.5].median()
    torch.testing.assert_close(free, (blob - level) * sphere)
    assert float(free.min()) < 0


def test_random_starts_have_the_power_that_is_asked_for_and_differ() -> None:
    sphere = make_largest_sphere(20)
    power = np.full(10, 7.0)
    one, other = draw_starts(2, sphere, 5, power, 0)
    again = draw_starts(2, sphere, 5, power, 0, 1)[0]
    shells = shell_indices(20, 3)
    inside = (shells >= 1) & (shells <= 5)
    found = np.mean([float(fft_volume(each)[inside].abs().square().mean()) for each in (one, other)])
    assert found == pytest.approx(7.0, rel=1e-4)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.95
    assert not torch.equal(one, again)


@pytest.fixture(scope="module")
def one_state():  # pyright: ignore
    dataset = toy_dataset(n=360, n_states=1, snr=0.5)
    return dataset, _quick().reconstruct(dataset.particles.without_poses(), dataset.queries, RunContext(seed=2))


def test_poses_of_one_state_are_found_from_nothing(one_state) -> None:
    dataset, found = one_state
    errors = pose_error(
        dataset.truth.rotations, found.rotations, true_shifts=dataset.truth.shifts, shifts=found.shifts
    )
    assert np.median(errors.rotation_deg) < 15
    assert np.median(errors.shift) < 3
    classes = found.find(ClassVolumes)
    assert classes is not None
    assert not classes.own_frames
    assert classes.populations.tolist() == [1.0]
    log = found.findings[-1].log
    assert log[-1]["objective"] > log[5]["objective"] + 10


def test_classes_of_a_point_group_have_its_symmetry() -> None:
    """The search compares one asymmetric unit: without their equivalents, images would leave most views empty."""
    dataset = toy_dataset(n=40)
    settings = {**ClassificationAbInitio.small, "initial_iterations": 2, "radius_step": 5.0, "symmetry": "D2"}
    found = ClassificationAbInitio.with_settings(settings).reconstruct(
        dataset.particles.without_poses(), dataset.queries
    )
    for volume in found.model["volumes"]:
        for axes in ((0, 1), (0, 2), (1, 2)):
            turned = np.roll(np.flip(volume, axes), (1, 1), axes)
            assert np.corrcoef(volume.ravel(), turned.ravel())[0, 1] > 0.999


def test_a_symmetric_particle_enters_the_sums_at_all_equivalent_orientations(states) -> None:
    dataset, volumes = states
    asymmetric = SearchPlan((6,), ShiftGrid(1.5, 3), OrientationGrid(1, 6))
    for plan in (asymmetric, SearchPlan((6, 6), asymmetric.shifts, OrientationGrid(1, 6))):
        symmetric = replace(plan, orientations=replace(plan.orientations, symmetry="C2"))
        sums = [_ask(dataset, volumes, each, threshold=0.0)[1][0]["volumes"] for each in (plan, symmetric)]
        weights = [each.totals_of(0)[1] for each in sums]
        # Half a turn about z is kz → kz, ky → −ky, kx → −kx, which is the Friedel mate of −kz.
        turned = weights[1].values.flip(0)
        torch.testing.assert_close(turned, weights[1].values, rtol=1e-3, atol=1e-3 * float(turned.max()))
        assert float(weights[1].values.sum()) > 0
        assert not torch.allclose(weights[0].values.flip(0), weights[0].values, rtol=1e-2)


def test_what_it_cannot_use_is_refused() -> None:
    dataset = toy_dataset(n=30)
    particles = dataset.particles.without_poses()
    with pytest.raises(ValueError, match="31 classes were requested but there are only 30"):
        _quick(n_classes=31).reconstruct(particles, dataset.queries)
    blank = replace(particles, images=ArrayImages(np.zeros((30, 24, 24), np.float32)))
    with pytest.raises(ValueError, match="have no power"):
        _quick().reconstruct(blank, dataset.queries)


def test_the_last_pass_is_the_same_in_parts(states, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image keeps its own pose and posterior, however many images are in a part."""
    _, volumes = states
    particles = toy_dataset(n=20).particles.without_poses()
    method = ClassificationAbInitio.with_settings(ClassificationAbInitio.small)
    assert isinstance(method, ClassificationAbInitio)
    context = RunContext()
    ascent = Ascent(particles, method.settings, context)
    climbed = Ascended(volumes[:2], torch.zeros(2), 0.7 * ascent.passes.mean_power, Census.begin(2))
    done = climbed, Convergence((), "it began with volumes of the truth")
    monkeypatch.setattr(classification, "iterate", lambda *args, **options: done)
    found = []
    for at_once in (20, 6):
        monkeypatch.setattr(classification, "_AT_ONCE", at_once)
        found.append(method._run_start(ascent, context.open_checkpoint(particles, {}), context, 0)[0])
    whole, parts = found
    np.testing.assert_allclose(parts.posteriors, whole.posteriors, atol=1e-4)
    np.testing.assert_allclose(parts.rotations, whole.rotations, atol=1e-6)
    np.testing.assert_allclose(parts.shifts, whole.shifts, atol=1e-6)
    assert len(np.unique(whole.rotations, axis=0)) > 10


def test_images_are_in_memory_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start, and the back-projection, may fill the budget."""
    alive: weakref.WeakSet[Passes] = weakref.WeakSet()
    most = []

    class Watched(Passes):
        def __init__(self, *args: object, **options: object) -> None:
            alive.add(self)
            most.append(len(alive))
            super().__init__(*args, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(classification, "Passes", Watched)
    monkeypatch.setattr(ascent_module, "Passes", Watched)
    dataset = toy_dataset(n=30)
    settings = {**ClassificationAbInitio.small, "n_starts": 3, "initial_iterations": 1, "radius_step": 9.0}
    settings |= {"initial_batch": 20, "final_batch": 20}
    method = ClassificationAbInitio.with_settings(settings)
    method.reconstruct(dataset.particles.without_poses(), dataset.queries)
    assert most == [1, 1, 1, 1]


@pytest.mark.slow
def test_two_states_are_told_apart() -> None:
    dataset = toy_dataset(n=600, n_states=2, snr=1.0)
    found = [
        _quick(n_classes=2).reconstruct(dataset.particles.without_poses(), dataset.queries, RunContext(seed=seed))
        for seed in range(3)
    ]
    assert dataset.truth is not None
    indices = [adjusted_rand_score(dataset.truth.states, each.posteriors.argmax(1)) for each in found]
    assert max(indices) > 0.8


def test_noise_of_shells_that_are_not_compared_yet_is_the_power_of_the_images() -> None:
    ascent = Ascent(toy_dataset(n=90).particles, _quick().settings, RunContext())
    look, power = ascent.looks[0], ascent.passes.mean_power
    count = look.radius + 1
    sums = {"power": np.zeros(count), "residual": 2 * power[:count] * look.size * ascent.disc.shell_weights[:count]}
    updated = ascent._update_noise(7 * power, sums, look)
    np.testing.assert_array_equal(updated[count:], power[count:])
    share = look.size / (look.size + ascent.settings.noise_memory)
    np.testing.assert_allclose(updated[:count], (7 - 5 * share) * power[:count])
