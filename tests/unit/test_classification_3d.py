"""3D classification: its packed images and scores against plain sums, what it finds, and how it goes on."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from cryobench._errors import FormatError
from cryobench.data import ArrayImages, Particles
from cryobench.fourier import fft_images
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.ctf import Ctf
from cryobench.imaging.grid import volume_to_fourier
from cryobench.imaging.slices import extract_slices
from cryobench.methods._shared.class_scores import score_by_slices, score_classes
from cryobench.methods._shared.passes import Passes
from cryobench.methods._shared.spectra import HalfDisc, Packed
from cryobench.methods.classification_3d import Classification3D, Classification3DSettings, classify
from cryobench.methods.classification_3d.expectation import Memberships, Options, add_up, compare
from cryobench.methods.classification_3d.limits import count_class_bytes
from cryobench.methods.classification_3d.schedule import plan_radii
from cryobench.methods.classification_3d.volumes import Model, largest_sphere, solve_volumes
from cryobench.rotations import rotations_from_quaternions
from toy import toy_dataset

SIZES = [15, 16]
QUICK = Classification3DSettings(n_classes=3, initial_resolution=12.0, n_components=4)


@pytest.fixture(scope="module")
def toy():
    return toy_dataset()


@pytest.fixture(scope="module")
def own(toy):
    """The toy, classified from its own start."""
    return classify(toy.particles, QUICK)


def _rotations(rng: np.random.Generator, n: int) -> np.ndarray:
    return rotations_from_quaternions(rng.standard_normal((n, 4)))


@pytest.mark.parametrize("size", SIZES)
def test_half_disc_counts_each_pair_of_mates_once(rng, size):
    disc = HalfDisc(size, (size - 1) // 2)
    image = rng.standard_normal((2, size, size))
    full = np.abs(np.fft.fft2(image)) ** 2
    axis = np.fft.fftfreq(size, 1 / size)
    inside = axis[:, None] ** 2 + axis**2 <= disc.radius**2
    packed = fft_images(torch.from_numpy(image)).flatten(1)[:, torch.from_numpy(disc.index)]
    sums = disc.sum_shells(packed.abs().square())
    np.testing.assert_allclose(2 * sums.sum(1).numpy(), (full * inside).sum(axis=(1, 2)), rtol=1e-10)
    mates = {tuple(pair) for pair in disc.frequencies} & {tuple(-pair) for pair in disc.frequencies}
    assert mates == {(0, 0)}


@pytest.mark.parametrize("size", SIZES)
def test_a_smaller_disc_lies_in_a_larger_one_in_the_same_order(size):
    large, small = HalfDisc(size, (size - 1) // 2), HalfDisc(10, 4)
    inside = (large.frequencies**2).sum(axis=1) <= 16
    np.testing.assert_array_equal(large.frequencies[inside], small.frequencies)
    assert large.count(3) == (large.shells <= 3).sum()


@pytest.mark.parametrize("size", SIZES)
def test_inserting_unpacked_images_equals_inserting_whole_ones(rng, size):
    disc = HalfDisc(size, (size - 1) // 2)
    spectra = fft_images(torch.from_numpy(rng.standard_normal((5, size, size))).float())
    rotations = torch.from_numpy(_rotations(rng, 5)).float()
    totals = []
    for data in (spectra, disc.unpack(spectra.flatten(1)[:, torch.from_numpy(disc.index)])):
        sums = SliceAccumulator(size)
        sums.add(data, data.abs(), rotations)
        totals.append(sums.totals())
    for whole, packed in zip(*totals, strict=True):
        torch.testing.assert_close(whole.values, packed.values, rtol=1e-4, atol=1e-3)


def _packed(rng, size: int, n: int) -> tuple[HalfDisc, Packed]:
    disc = HalfDisc(size, (size - 1) // 2)
    data = fft_images(torch.from_numpy(rng.standard_normal((n, size, size))).float())
    data = data.flatten(1)[:, torch.from_numpy(disc.index)]
    ctf = torch.from_numpy(rng.uniform(-1, 1, data.shape)).float()
    power, own = disc.sum_shells(data.abs().square()), disc.sum_shells(ctf.square())
    return disc, Packed(np.arange(n), data, ctf, torch.from_numpy(_rotations(rng, n)).float(), power, own)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("padding", [1, 2])
@pytest.mark.parametrize("radius", [3, 7])
def test_compiled_scores_equal_squared_residuals(rng, size, padding, radius):
    disc, packed = _packed(rng, size, 6)
    volumes = torch.from_numpy(rng.standard_normal((3, size, size, size))).float()
    volume_ft = volume_to_fourier(volumes, padding=padding)
    scores = score_classes(volume_ft, packed, disc, radius)
    torch.testing.assert_close(scores, score_by_slices(volume_ft, packed, disc, radius), rtol=1e-4, atol=2e-2)
    slices = extract_slices(volume_ft, packed.rotations).flatten(2)[:, :, torch.from_numpy(disc.index)]
    for k in range(3):
        residual = disc.sum_shells((packed.data - packed.ctf * slices[:, k]).abs().square())
        expected = (residual - packed.power)[:, : radius + 1]
        torch.testing.assert_close(scores[..., k].double(), expected, rtol=1e-4, atol=2e-2)


def _noise_particles(rng, size: int, n: int) -> Particles:
    return Particles(
        ArrayImages(rng.standard_normal((n, size, size)).astype(np.float32)),
        4.0,
        Ctf.from_columns(n, defocus_u=rng.uniform(6e3, 2e4, n), defocus_v=1e4),
        _rotations(rng, n),
        np.zeros((n, 2)),
    )


@pytest.mark.parametrize("tau_fudge", [1.0, 1e6])
def test_noise_does_not_favour_the_class_it_was_put_in(rng, tau_fudge):
    """Nothing but noise, put into two classes at random: leave-one-out scores leave no one where he was put, while
    plain scores keep nearly everyone. With a strong and with hardly any prior on the volumes."""
    n, size = 400, 20
    particles = _noise_particles(rng, size, n)
    passes = Passes(particles, 9, method="test")
    labels = rng.permutation(np.arange(n) % 2)
    former = np.eye(2, dtype=np.float32)[labels]
    noise, ones, everyone = passes.mean_power.copy(), np.ones(n, np.float32), np.ones(n, bool)
    options = Options(reach=9)
    sums = add_up(passes, former, ones, noise, options, everyone)
    volumes, leverage = solve_volumes(sums, tau_fudge, largest_sphere(size))
    model = Model(volumes, np.array([0.5, 0.5]), noise, leverage)
    # With leverage zeroed (nobody belonged anywhere) the scores are the plain ones.
    plain, fair = (
        compare(passes, model, Memberships.from_posteriors(held, ones), options, 9, everyone)
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
    assert adjusted_rand_score(toy.truth.states, own.posteriors.argmax(axis=1)) > 0.9
    assert own.converged
    np.testing.assert_allclose(own.posteriors.sum(axis=1), 1, atol=1e-5)


def test_finds_the_states_of_the_toy_from_random_subsets(toy):
    result = classify(toy.particles, QUICK.model_copy(update={"initialisation": "random"}))
    assert adjusted_rand_score(toy.truth.states, result.posteriors.argmax(axis=1)) > 0.9


def test_own_start_is_as_good_as_the_true_one(toy, own):
    best = classify(toy.particles, QUICK, initial_labels=toy.truth.states)
    assert own.log[-1]["radius"] == best.log[-1]["radius"] == 11
    assert own.log[-1]["objective"] > 0.999 * best.log[-1]["objective"]


def test_noise_power_is_found(toy, own):
    images = toy.particles.read(np.arange(len(toy.particles)))
    # SNR 0.5: two thirds of the variance are noise, white, of power variance × pixels in every shell.
    expected = images.var() * 24**2 * 2 / 3
    # Interpolation errors of this coarse toy add a tenth at the lowest frequencies.
    np.testing.assert_allclose(own.model.noise[4:], expected, rtol=0.05)


def test_more_classes_than_states_and_one_class_alone(toy):
    crowded = classify(toy.particles, QUICK.model_copy(update={"n_classes": 5, "n_iterations": 4}))
    assert crowded.posteriors.shape == (360, 5)
    alone = classify(toy.particles, QUICK.model_copy(update={"n_classes": 1, "n_iterations": 2}))
    np.testing.assert_array_equal(alone.posteriors, 1)


def test_an_empty_class_takes_part_of_a_mixed_one(toy):
    start = np.minimum(toy.truth.states, 1)
    result = classify(toy.particles, QUICK, initial_labels=start)
    assert sum(entry["reseeded"] for entry in result.log) >= 1
    assert adjusted_rand_score(toy.truth.states, result.posteriors.argmax(axis=1)) > 0.9


@pytest.mark.parametrize("size", [20, 21])
def test_odd_and_even_boxes(size):
    toy = toy_dataset(size=size, n=240)
    result = classify(toy.particles, QUICK.model_copy(update={"initial_resolution": 14.0}))
    assert adjusted_rand_score(toy.truth.states, result.posteriors.argmax(axis=1)) > 0.9


def test_streamed_particles_give_the_bits_of_kept_ones(toy):
    short = QUICK.model_copy(update={"n_iterations": 3})
    kept = classify(toy.particles, short)
    streamed = classify(
        toy.particles, short.model_copy(update={"memory_gb": (3 * count_class_bytes(24, online=False) + 1) / 1e9})
    )
    np.testing.assert_array_equal(kept.posteriors, streamed.posteriors)
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


@pytest.mark.parametrize(("batch_per_class", "after"), [(1000, 3), (40, 2)])
def test_an_interrupted_run_goes_on_to_the_same_bits(toy, tmp_path, batch_per_class, after):
    """Also one that was stopped between two mini-batches."""
    changes = {"n_iterations": 6, "convergence": 0.0, "batch_per_class": batch_per_class}
    short = QUICK.model_copy(update=changes)
    whole = classify(toy.particles, short)
    with pytest.raises(_Stop):
        classify(toy.particles, short, checkpoint=tmp_path, progress=_Interrupted(after))
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == after
    resumed = classify(toy.particles, short, checkpoint=tmp_path)
    np.testing.assert_array_equal(resumed.posteriors, whole.posteriors)
    assert torch.equal(resumed.model.volumes, whole.model.volumes)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["objective"] for line in lines] == [entry["objective"] for entry in whole.log]


def test_a_checkpoint_of_another_call_is_refused(toy, tmp_path):
    short = QUICK.model_copy(update={"n_iterations": 1})
    classify(toy.particles, short, checkpoint=tmp_path)
    with pytest.raises(FormatError, match="another call"):
        classify(toy.particles, short, checkpoint=tmp_path, seed=1)
    (tmp_path / "classification.npz").write_bytes(b"not a checkpoint")
    with pytest.raises(FormatError, match="remove it"):
        classify(toy.particles, short, checkpoint=tmp_path)


def test_decodes_the_most_probable_class(toy, tmp_path):
    method = Classification3D(QUICK.model_copy(update={"n_iterations": 3}))
    result = method.reconstruct(toy.particles, queries=toy.queries)
    np.save(tmp_path / "volumes.npy", result.model["volumes"])
    assert result.posteriors is not None
    assert result.volumes is not None
    decoded = list(method.decode(tmp_path, result.posteriors[toy.queries]))
    for item, volume in enumerate(decoded):
        np.testing.assert_array_equal(volume, result.volumes.read(item))
    with pytest.raises(ValueError, match="3 class probabilities"):
        next(method.decode(tmp_path, np.ones((2, 4))))


def test_radii_grow_from_the_first_resolution_to_the_last(toy):
    radii = plan_radii(toy.particles, QUICK)
    assert len(radii) == 25
    assert (radii[0], radii[-1]) == (8, 11)
    assert sorted(radii) == radii
    limited = plan_radii(toy.particles, QUICK.model_copy(update={"likelihood_resolution": 16.0}))
    assert set(limited) == {6}


def test_bad_calls_are_named(toy):
    few = toy_dataset(n=5, n_queries=2)
    with pytest.raises(ValueError, match="10 classes were asked for but there are only 5 particles"):
        classify(few.particles, Classification3DSettings())
    with pytest.raises(ValueError, match="likelihood_resolution of 3"):
        classify(toy.particles, QUICK.model_copy(update={"likelihood_resolution": 3.0}))
    with pytest.raises(ValueError, match="mask_diameter of 500"):
        classify(toy.particles, QUICK.model_copy(update={"mask_diameter": 500.0}))
    with pytest.raises(ValueError, match="initial labels"):
        classify(toy.particles, QUICK, initial_labels=toy.truth.states + 1)
    blank = _noise_particles(np.random.default_rng(0), 16, 8)
    blank = Particles(ArrayImages(np.zeros((8, 16, 16), np.float32)), 4.0, blank.ctf, blank.rotations, blank.shifts)
    with pytest.raises(ValueError, match="no power"):
        classify(blank, QUICK)
