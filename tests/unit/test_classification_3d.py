"""3D classification: leave-one-out scores, what it finds, and how it goes on after an interruption."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from classified import classify, start_from_labels
from cryobench._errors import FormatError
from cryobench.compute import Compute
from cryobench.compute.memory import MemoryShortage
from cryobench.data import ArrayImages, ClassVolumes, Convergence, Particles
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.half_disc import HalfDisc
from cryobench.methods.classification_3d import Classification3D, Classification3DSettings
from cryobench.methods.classification_3d.expectation import Memberships, Model, compare
from cryobench.methods.classification_3d.iterations import _BATCHES, class_bytes
from cryobench.methods.classification_3d.settings import plan_iterations
from cryobench.reconstruction.decoders import open_decoder
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.images import block_size, spectra_bytes
from cryobench.reconstruction.statistics import solve_volumes, sum_classes
from cryobench.rotations import rotations_from_quaternions
from cryobench.volumes.mask import make_largest_sphere
from toy import toy_dataset

QUICK = Classification3DSettings(n_classes=3, initial_resolution=12.0, n_components=4)


@pytest.fixture(scope="module")
def toy():
    return toy_dataset()


@pytest.fixture(scope="module")
def own(toy):
    """The toy, classified from its own start."""
    return classify(toy.particles, QUICK)


def _change(**changes) -> Classification3DSettings:
    return QUICK.model_copy(update=changes)


def _found(toy, state) -> float:
    return adjusted_rand_score(toy.truth.states, state.members.posteriors.argmax(axis=1))


def _noise_particles(rng, size: int, n: int) -> Particles:
    return Particles(
        ArrayImages(rng.standard_normal((n, size, size)).astype(np.float32)),
        4.0,
        Ctf.from_columns(n, defocus_u=rng.uniform(6e3, 2e4, n), defocus_v=1e4),
        rotations_from_quaternions(rng.standard_normal((n, 4))),
        np.zeros((n, 2)),
    )


@pytest.mark.parametrize("tau_fudge", [1.0, 1e6])
def test_noise_does_not_favour_the_class_it_was_put_in(rng, tau_fudge):
    """Nothing but noise, put into two classes at random: leave-one-out scores leave no one where he was put, while
    plain scores keep nearly everyone. With a strong and with hardly any prior on the volumes."""
    n, size = 400, 20
    passes = Passes(_noise_particles(rng, size, n), Compute())
    labels = rng.permutation(np.arange(n) % 2)
    former = np.eye(2, dtype=np.float32)[labels]
    noise, ones, everyone = passes.mean_power.copy(), np.ones(n, np.float32), np.ones(n, bool)
    sums = sum_classes(passes, former, noise)
    volumes, leverage = solve_volumes(sums, tau_fudge=tau_fudge, mask=make_largest_sphere(size))
    model = Model(volumes, np.array([0.5, 0.5]), noise, leverage)
    # With leverage zeroed (nobody belonged anywhere) the scores are the plain ones.
    plain, fair = (
        compare(passes, model, Memberships.from_posteriors(held, ones), QUICK, radius=9, reach=9, chosen=everyone)
        for held in (np.zeros_like(former), former)
    )
    kept = {
        name: (outcome.posteriors.argmax(axis=1) == labels).mean()
        for name, outcome in (("plain", plain), ("fair", fair))
    }
    assert abs(kept["fair"] - 0.5) < 0.12
    if tau_fudge > 1:
        assert kept["plain"] > 0.85
        # The plain likelihood rewards fitting noise; the fair one knows that two classes of noise explain nothing.
        assert plain.objective > 0 > fair.objective


def test_finds_the_states_of_the_toy_from_principal_volumes(toy, own):
    state, convergence = own
    assert _found(toy, state) > 0.9
    assert convergence.converged
    np.testing.assert_allclose(state.members.posteriors.sum(axis=1), 1, atol=1e-5)


def test_finds_the_states_of_the_toy_from_random_subsets(toy):
    assert _found(toy, classify(toy.particles, _change(initialisation="random"))[0]) > 0.9


def test_own_start_is_as_good_as_the_true_one(toy, own):
    found = own[1].log[-1]
    best = classify(toy.particles, QUICK, initial_labels=toy.truth.states)[1].log[-1]
    assert found["radius"] == best["radius"] == 11
    assert found["objective"] > 0.999 * best["objective"]


def test_noise_power_is_found(toy, own):
    images = toy.particles.read(np.arange(len(toy.particles)))
    # SNR 0.5: two thirds of the variance are noise, white, of power variance × pixels in every shell.
    expected = images.var() * 24**2 * 2 / 3
    # Interpolation errors of this coarse toy add a tenth at the lowest frequencies.
    np.testing.assert_allclose(own[0].model.noise[4:], expected, rtol=0.05)


def test_more_classes_than_states_and_one_class_alone(toy):
    crowded, convergence = classify(toy.particles, _change(n_classes=5, n_iterations=4))
    assert crowded.members.posteriors.shape == (360, 5)
    assert convergence.stopped == "all 4 steps done"
    alone, _ = classify(toy.particles, _change(n_classes=1, n_iterations=2))
    np.testing.assert_array_equal(alone.members.posteriors, 1)


def test_an_empty_class_takes_part_of_a_mixed_one(toy):
    start = np.minimum(toy.truth.states, 1)
    state, convergence = classify(toy.particles, QUICK, initial_labels=start)
    assert sum(entry["reseeded"] for entry in convergence.log) >= 1
    assert _found(toy, state) > 0.9


@pytest.mark.parametrize("size", [20, 21])
def test_odd_and_even_boxes(size):
    toy = toy_dataset(size=size, n=240)
    assert _found(toy, classify(toy.particles, _change(initial_resolution=14.0))[0]) > 0.9


def _least_memory(box_size: int, n_classes: int, *, online: bool = False) -> int:
    """Bytes with which classes fit and no image is kept."""
    disc = HalfDisc(box_size, (box_size - 1) // 2)
    batches = _BATCHES * block_size(box_size) * spectra_bytes(disc)
    return int(n_classes * class_bytes(box_size, online=online) + batches) + 1


def test_streamed_particles_give_the_bits_of_kept_ones(toy):
    short = _change(n_iterations=3)
    kept, _ = classify(toy.particles, short)
    little = Compute(memory=_least_memory(24, 3))
    streamed, _ = classify(toy.particles, short, RunContext(compute=little))
    np.testing.assert_array_equal(kept.members.posteriors, streamed.members.posteriors)
    assert torch.equal(kept.model.volumes, streamed.model.volumes)


class _Stop(Exception):
    """The user's ctrl-C."""


class _Interrupted:
    """Progress that ends the work after some iterations."""

    def __init__(self, after: int) -> None:
        self.after = after

    @contextmanager
    def task(self, label, total=None):
        outer = self

        class Task:
            count = 0

            def advance(self, steps=1, **shown):
                self.count += steps
                if label == "classes" and self.count >= outer.after:
                    raise _Stop

        yield Task()

    def note(self, text):
        """Say nothing."""


@pytest.mark.parametrize(("batch_per_class", "steps"), [(1000, 4), (25, 4)])
def test_a_run_interrupted_after_any_iteration_goes_on_to_the_same_bits(tmp_path, batch_per_class, steps):
    """Also between two mini-batches, and when it goes on with so little memory that images are read in every pass."""
    toy = toy_dataset(size=16, n=150)
    short = _change(n_iterations=4, convergence=0.0, batch_per_class=batch_per_class, online_epochs=1, full_passes=2)
    whole, convergence = classify(toy.particles, short)
    assert len(convergence.log) == steps
    little = Compute(memory=_least_memory(16, 3, online=True))
    for after in range(1, steps):
        folder = tmp_path / str(after)
        with pytest.raises(_Stop):
            classify(toy.particles, short, RunContext(checkpoint=folder, progress=_Interrupted(after)))
        assert len((folder / "log.jsonl").read_text().splitlines()) == after
        resumed, _ = classify(toy.particles, short, RunContext(checkpoint=folder, compute=little))
        np.testing.assert_array_equal(resumed.members.posteriors, whole.members.posteriors)
        assert torch.equal(resumed.model.volumes, whole.model.volumes)
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert [line["objective"] for line in lines] == [entry["objective"] for entry in convergence.log]


def test_sums_of_a_mini_batch_stand_for_all_particles(toy):
    """A quarter of the particles: sums, populations and objective are as large as those of all of them."""
    settings = _change(batch_per_class=30, online_epochs=1, full_passes=1, posterior_threshold=0.0)
    steps, whole = (
        start_from_labels(toy.particles, each, toy.truth.states)
        for each in (settings, _change(posterior_threshold=0.0))
    )
    assert (steps.looks[0].size, whole.looks[0].size) == (90, 360)
    start = steps.start()
    state, entry = steps._iterate(start, 0, [])
    _, entry_of_all = whole._iterate(whole.start(), 0, [])
    full = sum_classes(steps.passes, start.members.posteriors, state.model.noise)
    rate = settings.learning_rate
    expected = (1 - rate) * start.weight.sum() + rate * full.sums[1].sum()
    torch.testing.assert_close(state.weight.sum(), expected, rtol=0.12, atol=0)
    assert state.members.held.sum() == pytest.approx(360, rel=1e-4)
    assert entry["objective"] == pytest.approx(entry_of_all["objective"], rel=0.25)


def test_a_mini_batch_that_spans_two_rounds_stands_for_all_particles(toy):
    """It holds fewer particles than others, since the two rounds have some in common."""
    settings = _change(batch_per_class=50, online_epochs=2, full_passes=1, posterior_threshold=0.0)
    run = start_from_labels(toy.particles, settings, toy.truth.states)
    assert run.looks[2].size == 150  # particles 300 to 450 of an endless sequence of 360
    state, entry = run._iterate(run.start(), 2, [])
    assert 100 < entry["particles"] < 150
    assert state.members.held.sum() == pytest.approx(360, rel=1e-4)


def test_a_checkpoint_of_another_call_is_refused(toy, tmp_path):
    short = _change(n_iterations=1)
    context = RunContext(checkpoint=tmp_path)
    classify(toy.particles, short, context)
    with pytest.raises(FormatError, match="another call"):
        classify(toy.particles, short, RunContext(checkpoint=tmp_path, seed=1))
    with pytest.raises(FormatError, match="differs in settings"):
        classify(toy.particles, _change(n_iterations=2), context)
    (tmp_path / "iteration.npz").write_bytes(b"not a checkpoint")
    with pytest.raises(FormatError, match="remove it"):
        classify(toy.particles, short, context)


def test_decodes_the_most_probable_class(toy):
    result = Classification3D(_change(n_iterations=3)).reconstruct(toy.particles, toy.queries)
    classes, convergence = result.find(ClassVolumes), result.find(Convergence)
    assert classes is not None
    assert classes.volumes is result.model["volumes"]
    assert convergence is not None
    assert len(convergence.log) == 3
    assert result.posteriors is not None
    assert result.volumes is not None
    chosen = result.posteriors.argmax(axis=1)
    for item, query in enumerate(toy.queries):
        np.testing.assert_array_equal(result.volumes.read(item), classes.volumes[chosen[query]])
    decoder = open_decoder(result, toy.particles, RunContext())
    assert decoder.width == 3
    (volume,) = decoder.decode(np.array([[0.1, 0.2, 0.7]]))
    np.testing.assert_array_equal(volume, classes.volumes[2])


def test_radii_grow_from_the_first_resolution_to_the_last():
    radii = [look.radius for look in plan_iterations(QUICK, 360, 24, 4.0)]
    assert len(radii) == 25
    assert (radii[0], radii[-1]) == (8, 11)
    assert sorted(radii) == radii
    limited = plan_iterations(_change(likelihood_resolution=16.0), 360, 24, 4.0)
    assert {look.radius for look in limited} == {6}


def test_bad_calls_are_named(toy):
    few = toy_dataset(n=5, n_queries=2)
    with pytest.raises(ValueError, match="10 classes were requested but there are only 5 particles"):
        classify(few.particles, Classification3DSettings())
    with pytest.raises(ValueError, match="likelihood_resolution of 3"):
        classify(toy.particles, _change(likelihood_resolution=3.0))
    with pytest.raises(ValueError, match="mask_diameter of 500"):
        classify(toy.particles, _change(mask_diameter=500.0))
    blank = _noise_particles(np.random.default_rng(0), 16, 8)
    blank = Particles(ArrayImages(np.zeros((8, 16, 16), np.float32)), 4.0, blank.ctf, blank.rotations, blank.shifts)
    with pytest.raises(ValueError, match="no power"):
        classify(blank, QUICK)


def test_classes_that_do_not_fit_into_memory_are_refused_before_any_work(toy):
    each = class_bytes(24, online=False)
    assert 30e6 < class_bytes(128, online=False) < 60e6
    enough = int(_least_memory(24, 3) + 3 * each)
    for memory, message in (
        (enough, r"10 classes of 24 px take .* n_classes=6 would fit"),
        (100_000, "not even one"),
    ):
        with pytest.raises(MemoryShortage, match=message):
            classify(toy.particles, _change(n_classes=10), RunContext(compute=Compute(memory=memory)))
