"""The values everything passes on: checked once, frozen, read on demand."""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from cryobench.data import (
    ArrayImages,
    ClassVolumes,
    CollectiveVariable,
    Components,
    Convergence,
    Dataset,
    DatasetIdentity,
    Finding,
    GroundTruth,
    HalfSetFsc,
    ImageSource,
    IndexedVolumes,
    LatentDensity,
    LatentPath,
    Machine,
    Particles,
    Priors,
    Reconstruction,
    RunCost,
    RunRecord,
    Score,
    Scores,
    VolumeSource,
)
from cryobench.data.plain import read_plain
from cryobench.imaging.ctf import Ctf

N = 7


def ctf_of(n: int) -> Ctf:
    return Ctf.from_columns(n, defocus_u=1e4, defocus_v=1e4)


def make_particles(rng: np.random.Generator, size: int = 5, **replaced: object) -> Particles:
    parts: dict = {
        "images": ArrayImages(rng.normal(size=(N, size, size)).astype(np.float32)),
        "pixel_size": 2.0,
        "ctf": ctf_of(N),
        "rotations": Rotation.random(N, rng=rng).as_matrix(),
        "shifts": rng.normal(size=(N, 2)),
    }
    return Particles(**(parts | replaced))


def make_truth(rng: np.random.Generator, **replaced: object) -> GroundTruth:
    parts: dict = {
        "states": np.array([0, 1, 2, -1, 0, 1, 2]),
        "volumes": IndexedVolumes(rng.normal(size=(3, 4, 4, 4)).astype(np.float32), np.arange(3)),
        "rotations": Rotation.random(N, rng=rng).as_matrix(),
        "shifts": rng.normal(size=(N, 2)),
    }
    return GroundTruth(**(parts | replaced))


@pytest.mark.parametrize("size", [5, 6])
def test_particles_undo_the_stored_sign(rng: np.random.Generator, size: int) -> None:
    dark = make_particles(rng, size)
    bright = dataclasses.replace(dark, images=ArrayImages(-dark.images.images), sign=-1)
    asked = [4, 0, 4]
    np.testing.assert_array_equal(dark.read(asked), dark.images.images[asked])
    np.testing.assert_array_equal(bright.read(np.array(asked)), dark.read(asked))
    assert (len(dark), dark.box_size) == (N, size)
    assert isinstance(dark.images, ImageSource)


@pytest.mark.parametrize(("size", "lengths"), [(3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_chunks_cover_all_particles_in_order(rng: np.random.Generator, size: int, lengths: list[int]) -> None:
    chunks = list(make_particles(rng).chunks(size))
    assert [len(chunk) for chunk in chunks] == lengths
    np.testing.assert_array_equal(np.concatenate(chunks), np.arange(N))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_name_the_particle(rng: np.random.Generator, value: float) -> None:
    images = rng.normal(size=(N, 5, 5)).astype(np.float32)
    images[[3, 5], 2, 1] = value
    particles = make_particles(rng, images=ArrayImages(images))
    with pytest.raises(ValueError, match=r"the image of particle 5 holds NaN or infinite pixels \(2 such"):
        particles.read([0, 5, 3])
    particles.read([0, 1, 2])


def test_large_finite_pixels_are_no_error(rng: np.random.Generator) -> None:
    images = np.full((N, 5, 5), 3e38, dtype=np.float32)
    np.testing.assert_array_equal(make_particles(rng, images=ArrayImages(images)).read([0]), images[:1])


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"pixel_size": 0.0}, r"pixel_size must be positive.*got 0\.0"),
        ({"pixel_size": float("nan")}, "got nan"),
        ({"ctf": ctf_of(N - 1)}, "7 images, but CTF parameters for 6"),
        ({"rotations": None}, "both rotations and shifts, or neither"),
        ({"shifts": None}, "both rotations and shifts, or neither"),
        ({"shifts": np.zeros((N, 3))}, r"shifts must have shape \(7, 2\), got \(7, 3\)"),
        ({"rotations": np.zeros((N - 1, 3, 3))}, r"rotations must have shape \(7, 3, 3\)"),
        ({"rotations": np.tile(-np.eye(3), (N, 1, 1))}, r"rotation of particle 0 .* determinant -1"),
        ({"rotations": np.tile(2 * np.eye(3), (N, 1, 1))}, "not a proper rotation"),
        pytest.param(
            {"rotations": np.full((N, 3, 3), np.nan)},
            "not a proper rotation",
            # NumPy remarks on the determinant before the error is raised.
        ),
        ({"mask": np.ones((4, 4, 4))}, r"mask has shape \(4, 4, 4\), expected \(5, 5, 5\)"),
        ({"mask": np.full((5, 5, 5), 1.5)}, "must lie in .* 1.5"),
        ({"mask": np.full((5, 5, 5), -0.5)}, "must lie in"),
        ({"mask": np.full((5, 5, 5), np.nan)}, "must lie in"),
    ],
)
def test_particles_that_contradict_themselves(rng: np.random.Generator, replaced: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_particles(rng, **replaced)


def test_only_one_rotation_wrong_is_named(rng: np.random.Generator) -> None:
    rotations = Rotation.random(N, rng=rng).as_matrix()
    rotations[4, 0] += 0.01
    with pytest.raises(ValueError, match="rotation of particle 4"):
        make_particles(rng, rotations=rotations)


def test_values_are_frozen(rng: np.random.Generator) -> None:
    particles, truth = make_particles(rng, mask=np.ones((5, 5, 5))), make_truth(rng)
    with pytest.raises(dataclasses.FrozenInstanceError):
        particles.pixel_size = 1.0
    for values in (particles.rotations, particles.shifts, particles.mask, truth.states, truth.rotations):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 4), (2, 3, 4, 4)])
def test_images_must_be_square(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"images of ArrayImages must have shape \(n, y, y\)"):
        ArrayImages(np.zeros(shape))


def test_volumes_by_index(rng: np.random.Generator) -> None:
    volumes = rng.normal(size=(2, 3, 3, 3))
    source = IndexedVolumes(volumes, np.array([1, 0, 1]))
    assert isinstance(source, VolumeSource)
    assert (len(source), source.box_size) == (3, 3)
    np.testing.assert_array_equal(source.read(2), volumes[1].astype(np.float32))
    assert source.read(0).dtype == np.float32
    with pytest.raises(ValueError, match=r"volume index 2 \(entry 1\) is outside 0 to 1"):
        IndexedVolumes(volumes, np.array([0, 2]))
    with pytest.raises(ValueError, match=r"volumes of IndexedVolumes must have shape \(k, z, z, z\)"):
        IndexedVolumes(volumes[:, :2], np.array([0]))


def test_the_true_volume_of_a_particle(rng: np.random.Generator) -> None:
    truth = make_truth(rng)
    np.testing.assert_array_equal(truth.volume_of(5), truth.volumes.read(1))
    with pytest.raises(ValueError, match="particle 3 has no known state"):
        truth.volume_of(3)


def test_truth_may_be_partial(rng: np.random.Generator) -> None:
    labels = make_truth(rng, volumes=None, rotations=None, shifts=None)
    assert (len(labels), labels.n_states) == (N, 3)
    with pytest.raises(ValueError, match="the true volumes are unknown"):
        labels.volume_of(0)
    assert make_truth(rng, volumes=None, state_names=("a", "b", "c", "never seen")).n_states == 4
    assert GroundTruth(np.full(N, -1)).n_states == 0


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"states": np.array([0, 3, 0, 0, 0, 0, 0])}, r"state 3 \(entry 1\) is outside -1 to 2"),
        ({"states": np.array([0, -2, 0, 0, 0, 0, 0])}, r"state -2"),
        ({"states": np.zeros(6, int)}, r"rotations must have shape \(6, 3, 3\)"),
        ({"embedding": np.zeros((6, 2))}, r"embedding must have shape \(7, 2\)"),
        ({"shifts": np.zeros((6, 2))}, r"shifts must have shape \(7, 2\)"),
        ({"variables": {"angle": CollectiveVariable(np.zeros(6), "rad")}}, "collective variable angle"),
        ({"shifts": None}, "give both rotations and shifts, or neither"),
    ],
)
def test_truths_that_contradict_themselves(rng: np.random.Generator, replaced: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_truth(rng, **replaced)


def test_data_sets(rng: np.random.Generator) -> None:
    particles, truth = make_particles(rng), make_truth(rng)
    assert Dataset(particles, truth, np.array([0, 6]), {"name": "x"}).name == "x"
    assert Dataset(particles, None, np.array([], dtype=int), {}).name == "dataset"
    with pytest.raises(ValueError, match=r"query particle 7 \(entry 1\) is outside 0 to 6"):
        Dataset(particles, truth, np.array([0, 7]), {})
    with pytest.raises(ValueError, match="query particle -1"):
        Dataset(particles, truth, np.array([-1]), {})
    shorter = GroundTruth(truth.states[:6], truth.volumes, truth.rotations[:6], truth.shifts[:6])
    with pytest.raises(ValueError, match="7 particles, but the truth describes 6"):
        Dataset(particles, shorter, np.array([0]), {})


def test_reconstructions(rng: np.random.Generator) -> None:
    volumes = IndexedVolumes(rng.normal(size=(2, 3, 3, 3)), np.array([0, 1, 1]))
    made = Reconstruction(np.array([4, 2, 0]), volumes, latents=rng.normal(size=(N, 2)), record=RunRecord("m"))
    assert made.name == "m"
    changed = dataclasses.replace(made, record=made.record.with_(seed=3, method="o"))
    assert (changed.record, made.record) == (RunRecord("o", seed=3), RunRecord("m"))
    assert changed.latents.dtype == np.float32
    assert Reconstruction(np.array([0])).name == "reconstruction"
    left_out = np.full((N, 2), np.nan)
    assert np.isnan(Reconstruction(np.array([0]), latents=left_out).latents).all()
    assert np.isnan(Reconstruction(np.array([0]), posteriors=left_out).posteriors).all()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"volumes": IndexedVolumes(np.zeros((1, 3, 3, 3)), np.zeros(2, int))}, "1 query particles, but 2 volumes"),
        ({"latents": np.zeros((5, 2)), "posteriors": np.ones((6, 1))}, "differ in length: .*5.*6"),
        ({"latents": np.zeros(5)}, r"latents must have shape .* got \(5,\)"),
        ({"posteriors": np.array([[0.5, 0.5], [0.5, 0.4]])}, r"posteriors of particle 1 sum to 0\.(8999|9)"),
        (
            {"posteriors": np.array([[0.5, 0.5], [1.5, -0.5]])},
            "posteriors of particle 1 sum to 1.0, with a minimum of -0.5",
        ),
        ({"posteriors": np.array([[1.0, np.nan], [0.5, 0.5]])}, "posteriors of particle 0 .* or only NaN"),
    ],
)
def test_reconstructions_that_contradict_themselves(parts: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Reconstruction(np.array([0]), **parts)


def test_records_come_back_from_json() -> None:
    made = RunRecord(
        "m", {"box": 32, "mask": None, "radii": [1, 2.5]}, "paper", 0, DatasetIdentity("d", "/d", "ab"),
        Priors("given", "data set", truth=("labels",), volumes="linear"), machine=Machine(hardware={"cores": 2}),
        cost=RunCost(1, 2.5, attempts=2), command="cryobench run m d",
    )  # fmt: skip
    plain = json.loads(json.dumps(made.to_json()))
    assert plain["seed"] == 0
    assert "error" not in plain
    assert read_plain(RunRecord, plain) == made
    assert read_plain(RunRecord, {**plain, "queries": [1]}) == made
    assert read_plain(RunRecord, {}) == RunRecord()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"cost": {"wall_seconds": "12 s"}}, 'cost.wall_seconds cannot be "12 s": .* number'),
        ({"cost": {"wall_seconds": True}}, "cost.wall_seconds cannot be true"),
        ({"cost": 3}, "cost cannot be 3"),
        ({"status": "done"}, "status cannot be \"done\": .*'running', 'failed' or 'finished'"),
        ({"seed": "3"}, "seed cannot be"),
        ({"settings": [1]}, "settings cannot be"),
        ({"method": None}, "method cannot be null"),
        ({"priors": {"truth": "labels"}}, "priors.truth cannot be"),
        ({"priors": {"poses": "guessed"}}, "priors.poses cannot be"),
        ({"dataset": {"sha256": 3}}, "dataset.sha256 cannot be 3"),
    ],
)
def test_records_of_another_form_are_refused(entries: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_plain(RunRecord, entries)


def test_costs_add_up_and_peaks_do_not() -> None:
    total = RunCost.total([RunCost(1.0, 2.0, None, 5.0), RunCost(3.0, None, 1.0, 4.0), RunCost(0.5)])
    assert total == RunCost(4.5, 2.0, 1.0, 5.0, None, attempts=3)
    assert total.is_known
    assert not RunCost(attempts=2).is_known


def test_findings_are_found_by_type() -> None:
    first, second = HalfSetFsc(np.ones(3)), HalfSetFsc(np.ones((2, 3)), of="class")
    made = Reconstruction(np.array([0]), findings=(LatentPath(np.ones((2, 1))), first, second))
    assert made.find(HalfSetFsc) is first
    assert made.find(Components) is None
    assert Convergence((), "converged: nothing moved").converged
    assert not Convergence((), "all 3 steps done").converged


def test_deviations_are_none_where_a_variance_is_not_positive() -> None:
    cube = np.zeros((2, 2, 2))
    found = Components(cube, np.zeros((4, 2, 2, 2)), np.array([4.0, 0.0, -1.0, np.inf, 1.0]))
    assert found.deviations.tolist() == [2, 0, 0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Components(np.zeros((4, 4)), np.zeros((2, 4, 4, 4)), np.ones(2)),
            r"mean of Components must have shape \(n, n, n\), got \(4, 4\)",
        ),
        (
            lambda: Components(np.zeros((5, 5, 5)), np.zeros((2, 4, 4, 4)), np.ones(2)),
            r"\(k, n, n, n\) with n = 5, got \(2, 4, 4, 4\)",
        ),
        (
            lambda: Components(np.zeros((4, 4, 4)), np.zeros((2, 4, 4, 5)), np.ones(2)),
            r"components of Components .* with n = 4, got",
        ),
        (
            lambda: Components(np.zeros((4, 4, 4)), np.zeros((2, 4, 4, 4)), np.ones(1)),
            "2 components need as many variances, got 1",
        ),
        (
            lambda: Components(np.zeros((4, 4, 4)), np.zeros((2, 4, 4, 4)), np.ones((2, 2))),
            r"variances of Components must have shape \(m\), got \(2, 2\)",
        ),
        (
            lambda: ClassVolumes(np.zeros((3, 4, 4, 4)), np.ones(2)),
            r"populations of ClassVolumes must have shape \(k\) with k = 3, got \(2,\)",
        ),
        (
            lambda: ClassVolumes(np.zeros((3, 4, 4, 4)), np.ones(3), np.ones(2)),
            r"resolutions of ClassVolumes .* with k = 3, got \(2,\)",
        ),
        (lambda: LatentDensity(np.ones((3, 3)), np.ones((2, 4))), "does not fit axes"),
        (lambda: LatentDensity(np.ones((1, 1)), np.ones((2, 1))), "does not fit axes"),
        (lambda: LatentDensity(np.ones(()), np.ones((0, 4))), "does not fit axes"),
        (
            lambda: LatentDensity(np.ones(3), np.ones(3)),
            r"axes of LatentDensity must have shape \(d, g\), got \(3,\)",
        ),
        (lambda: LatentPath(np.ones(3)), r"latents of LatentPath must have shape \(f, d\), got \(3,\)"),
        (
            lambda: LatentPath(np.ones((3, 2)), np.ones((2, 4, 4, 4))),
            r"volumes of LatentPath .* with f = 3, got \(2, 4, 4, 4\)",
        ),
        (lambda: HalfSetFsc(np.ones((2, 3))), r"curves of HalfSetFsc must have shape \(s\), got \(2, 3\)"),
        (lambda: HalfSetFsc(np.ones(3), of="class"), r"curves of HalfSetFsc must have shape \(k, s\), got \(3,\)"),
    ],
)
def test_findings_that_contradict_themselves(make: Callable[[], Finding], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_scores_are_looked_up_by_name() -> None:
    score = Score("fsc-auc", 0.4, 0.3, 0.5, 2, pd.DataFrame({"particle": [0, 1], "value": [0.3, 0.5]}))
    scores = Scores({"fsc-auc": score})
    assert scores["fsc-auc"] is score
    with pytest.raises(KeyError):
        scores["other"]
