"""Ensembles of classifications: jobs on a stand-in method, failures, resuming, branches, and the refinement."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from cryobench.compute import Compute, MemoryShortage
from cryobench.data import ArrayImages, ClassVolumes, CoAssignment, Convergence, Particles, Reconstruction
from cryobench.imaging.ctf import Ctf
from cryobench.methods import Method, MethodSettings
from cryobench.methods.classification_ab_initio import ClassificationAbInitio
from cryobench.methods.classification_ab_initio.settings import plan_refinement
from cryobench.methods.classification_ensemble import ClassificationEnsemble, ensemble, jobs
from cryobench.methods.classification_ensemble.starts import choose_classes
from cryobench.metrics.poses.errors import pose_error
from cryobench.reconstruction.engine import Checkpoint, RunContext
from cryobench.rng import stream
from toy import toy_dataset

SIZE, SPECIES = 8, 4


class StandInSettings(MethodSettings):
    n_classes: int = 2
    n_starts: int = 1
    failing: float = 0.0


class StandIn(Method[StandInSettings]):
    """Classes by the species that the images show, joined at random; some jobs fail, as their seed has it."""

    name = "stand-in"
    poses = "estimated"
    Settings = StandInSettings
    calls: ClassVar[list[tuple[int, int]]] = []
    starts: ClassVar[list[np.ndarray]] = []

    def start_from(self, volumes, n_iterations):  # pyright: ignore
        self.starts.append(volumes)
        return StandIn(StandInSettings(n_classes=len(volumes)))

    def estimate(self, particles, queries, context):  # pyright: ignore
        self.calls.append((len(particles), self.settings.n_classes))
        if context.seed % 100 < 100 * self.settings.failing:
            raise ValueError("no luck")
        species = particles.read(np.arange(len(particles)))[:, 0, 0].round().astype(int)
        joined = stream(context.seed, "stand-in").integers(self.settings.n_classes, size=SPECIES)
        found = joined[species] if self.settings.n_classes < SPECIES else species
        volumes = np.zeros((self.settings.n_classes, *3 * (particles.box_size,)), dtype=np.float32)
        volumes[:, 2] = 1
        return Reconstruction(
            queries,
            posteriors=np.eye(self.settings.n_classes)[found],
            rotations=np.tile(np.eye(3), (len(particles), 1, 1)),
            shifts=np.zeros((len(particles), 2)),
            model={"volumes": volumes},
            decodes_by="classes",
            findings=(Convergence(({"iteration": 1, "images": 7, "objective": 2.0},), "all 1 steps done", "x"),),
            notes=("a note of the stand-in",),
        )


@pytest.fixture
def particles(monkeypatch) -> Particles:
    monkeypatch.setattr(jobs, "get_method", lambda name: StandIn)
    monkeypatch.setattr(ensemble, "get_method", lambda name: StandIn)
    monkeypatch.setattr(StandIn, "calls", [])
    monkeypatch.setattr(StandIn, "starts", [])
    images = stream(0, "noise of the images").normal(0, 0.1, (160, SIZE, SIZE))
    images[:, 0, 0] = true_species(160)
    return Particles(ArrayImages(images.astype(np.float32)), 4.0, Ctf.from_columns(160, defocus_u=1e4, defocus_v=1e4))


def true_species(n: int) -> np.ndarray:
    return stream(1, "species of the images").permutation(np.arange(n) % SPECIES)


def make(**changes: object) -> Method:
    settings = {"base": "stand-in", "n_trees": 12, "n_classes": (2, 3), "depth": 1, "n_halves": 3}
    return ClassificationEnsemble.with_settings({**settings, **changes})


def test_jobs_that_join_species_give_all_of_them(particles) -> None:
    found = make().reconstruct(particles, np.arange(3))
    assert found.posteriors.shape == (160, SPECIES)
    assert adjusted_rand_score(found.posteriors.argmax(1), true_species(160)) == 1
    assert adjusted_rand_score(found.model["merged_species"], true_species(160)) == 1
    agreement = found.find(CoAssignment)
    assert len(agreement.populations) == SPECIES
    np.testing.assert_allclose(agreement.populations, 0.25)
    assert StandIn.starts[0].shape == (SPECIES, SIZE, SIZE, SIZE)
    assert StandIn.calls == [*6 * [(160, 3)], *6 * [(160, 2)], (160, SPECIES)]
    assert found.model["visits"][0] == 13 * 167
    assert any(note.startswith("4 species, [") for note in found.notes)
    # The stand-in numbers its classes as the images do, not as the volumes that it was started from.
    moved = (found.posteriors.argmax(1) != found.model["merged_species"]).mean()
    assert (
        f"The refinement assigned {moved:.1%} of the particles to another species than the jobs' votes."
        in found.notes
    )
    assert "a note of the stand-in" in found.notes
    assert found.record.method == "3d-class-ensemble"


def test_classes_are_classified_again(particles) -> None:
    found = make(n_trees=4, n_classes=(2,), depth=3, branch_classes=2, branch_particles=50).reconstruct(
        particles, np.arange(3)
    )
    assert adjusted_rand_score(found.posteriors.argmax(1), true_species(160)) == 1
    sizes = [size for size, _ in StandIn.calls[:-1]]
    assert sizes[:4] == 4 * [160]
    assert len(sizes) > 6
    assert min(sizes) >= 50


def test_labels_of_a_level_divide_those_above() -> None:
    parts = [np.arange(6), np.array([0, 1, 2])]
    first, second = (jobs.Job(name, 0, 2, part) for name, part in zip(("0", "0.0"), parts, strict=True))
    finished = jobs.Finished(Checkpoint(None, {}))
    for job, labels in ((first, [0, 0, 0, 1, 1, 1]), (second, [1, 0, 1])):
        finished.add(job, {"labels": np.array(labels), "visits": np.array(1), "rotations": None, "shifts": None})
    labels, trees = jobs.label_levels(finished, 8, 2)
    assert trees.tolist() == [0, 0]
    assert labels[0].tolist() == [0, 0, 0, 1, 1, 1, -1, -1]
    assert labels[1].tolist() == [3, 2, 3, 1, 1, 1, -1, -1]


def test_subsets_of_the_particles_place_all(particles) -> None:
    found = make(job_particles=80, n_trees=24).reconstruct(particles, np.arange(3))
    assert {size for size, _ in StandIn.calls[:-1]} == {80}
    assert adjusted_rand_score(found.model["merged_species"], true_species(160)) > 0.95


def test_a_failed_job_is_said_and_the_others_are_used(particles) -> None:
    found = make(job_settings={"failing": 0.2}, n_trees=16).reconstruct(particles, np.arange(3))
    said = next(note for note in found.notes if "failed" in note)
    assert "of 16 jobs failed, and the others were used" in said
    assert "ValueError: no luck" in said
    assert adjusted_rand_score(found.model["merged_species"], true_species(160)) == 1


def test_images_that_cannot_be_read_for_a_while_are_no_failed_job(particles, tmp_path, monkeypatch) -> None:
    """Kept as failures, the jobs would be missing after the disk has come back."""

    def lose_disk(*_: object) -> None:
        raise FileNotFoundError("stack.mrcs")

    context, read = RunContext(checkpoint=tmp_path), StandIn.estimate
    monkeypatch.setattr(StandIn, "estimate", lose_disk)
    with pytest.raises(FileNotFoundError):
        make().reconstruct(particles, np.arange(3), context)
    monkeypatch.setattr(StandIn, "estimate", read)
    found = make().reconstruct(particles, np.arange(3), context)
    assert not any("failed" in note for note in found.notes)


def test_jobs_that_all_fail_are_an_error_with_the_first_reason(particles) -> None:
    with pytest.raises(ValueError, match=r"all 12 jobs failed\. The first: ValueError: no luck"):
        make(job_settings={"failing": 1.0}).reconstruct(particles, np.arange(3))


def test_a_killed_run_does_not_repeat_finished_jobs(particles, tmp_path, monkeypatch) -> None:
    whole = make().reconstruct(particles, np.arange(3))
    StandIn.calls.clear()
    run_job = jobs.run_job

    def killed(*arguments):  # pyright: ignore
        if len(StandIn.calls) == 5:
            raise KeyboardInterrupt
        return run_job(*arguments)

    context = RunContext(checkpoint=tmp_path / "checkpoint")
    monkeypatch.setattr(jobs, "run_job", killed)
    with pytest.raises(KeyboardInterrupt):
        make().reconstruct(particles, np.arange(3), context)
    monkeypatch.setattr(jobs, "run_job", run_job)
    again = make().reconstruct(particles, np.arange(3), context)
    assert len(StandIn.calls) == 13
    np.testing.assert_array_equal(whole.posteriors, again.posteriors)
    np.testing.assert_array_equal(whole.find(CoAssignment).shares, again.find(CoAssignment).shares)


def test_one_species_is_one_block(particles) -> None:
    noise = stream(3, "noise of one block").normal(0, 0.1, (160, SIZE, SIZE)).astype(np.float32)
    noise[:, 0, 0] = 0
    same = replace(particles, images=ArrayImages(noise))
    found = make().reconstruct(same, np.arange(3))
    assert found.posteriors.shape == (160, 1)
    assert any(note.startswith("One block:") for note in found.notes)


def test_one_shot_classification_makes_as_many_visits(particles) -> None:
    found = make(one_shot=True).reconstruct(particles, np.arange(3))
    said = next(note for note in found.notes if "One-shot" in note)
    assert "into 4 classes, the best of 13 random starts" in said
    assert "adjusted Rand index between the two 1.00" in said


def test_the_refinement_starts_from_volumes_of_the_point_group_of_the_jobs(monkeypatch) -> None:
    """A job places all images in one asymmetric unit: without their equivalents most views would be empty."""
    begun: list[np.ndarray] = []

    def start_from(self, volumes, n_iterations):  # pyright: ignore
        begun.append(volumes)
        raise InterruptedError("enough")

    monkeypatch.setattr(ClassificationAbInitio, "start_from", start_from)
    small = ClassificationEnsemble.small
    settings = {**small, "n_species": 1, "job_settings": {**small["job_settings"], "symmetry": "C2"}}
    dataset = toy_dataset(size=16, n=40)
    with pytest.raises(InterruptedError):
        ClassificationEnsemble.with_settings(settings).reconstruct(
            dataset.particles.without_poses(), np.zeros(1, int)
        )
    (volume,) = begun[0]
    turned = np.roll(np.flip(volume, (1, 2)), (1, 1), (1, 2))
    assert np.corrcoef(volume.ravel(), turned.ravel())[0, 1] > 0.999


def test_methods_and_settings_that_do_not_suit_are_refused(particles, monkeypatch) -> None:
    with pytest.raises(ValueError, match="200 classes were requested of jobs of 160 particles"):
        make(n_classes=(200,)).reconstruct(particles, np.arange(3))
    with pytest.raises(
        ValueError, match="comparing trees of jobs, and n_trees is 1: set it higher, or give n_species"
    ):
        make(n_trees=1).reconstruct(particles, np.arange(3))
    assert StandIn.calls == []
    with pytest.raises(ValueError, match="or job_particles higher"):
        make(n_classes=(20,), job_particles=10).reconstruct(particles, np.arange(3))
    with pytest.raises(ValueError, match="no preset 'quick'"):
        make(base_preset="quick").reconstruct(particles, np.arange(3))
    with pytest.raises(ValueError, match="leave it out of job_settings"):
        make(job_settings={"box": 8}).reconstruct(particles, np.arange(3))
    with pytest.raises(MemoryShortage, match="tree of co-assignments"):
        make().reconstruct(particles, np.arange(3), RunContext(compute=Compute(memory=100_000)))
    monkeypatch.setattr(jobs, "get_method", lambda name: StandInWithoutStart)
    with pytest.raises(ValueError, match="base=stand-in cannot start from given volumes"):
        make().reconstruct(particles, np.arange(3))
    assert StandIn.calls == []
    monkeypatch.undo()
    with pytest.raises(ValueError, match="base=recovar cannot be the method of the jobs"):
        make(base="recovar").reconstruct(particles, np.arange(3))
    with pytest.raises(NotImplementedError, match="cannot start from given volumes"):
        StandInWithoutStart().start_from(np.zeros((1, 4, 4, 4)), 1)


class StandInWithoutStart(StandIn):
    start_from = Method.start_from


def test_a_species_is_shown_by_the_class_that_holds_most_of_it_and_little_else() -> None:
    species = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    finished = jobs.Finished(Checkpoint(None, {}))
    for name, labels in (("0", [0, 0, 0, 0, 0, 1, 1, 1]), ("1", [0, 0, 0, 1, 1, 1, 1, 1])):
        job = jobs.Job(name, int(name), 2, np.arange(8))
        finished.add(job, {"labels": np.array(labels), "visits": np.array(1), "rotations": None, "shifts": None})
    # 16/5 or 9/3 for the first; 9/3 or 16/5 for the second.
    assert choose_classes(finished, species, 2) == [(0, 0), (1, 1)]


def test_a_refinement_from_the_true_volumes_keeps_the_species_and_finds_the_poses() -> None:
    dataset = toy_dataset(n=60, snr=2.0)
    truth = dataset.truth
    volumes = np.stack([np.array(truth.volumes.read(k)) for k in range(3)])
    settings = {
        "initial_resolution": 24.0,
        "final_resolution": 10.0,
        "final_batch": 30,
        "noise_memory": 60,
        "shift_range": 8.0,
        "healpix_nside": 2,
        "n_refinements": 2,
    }
    method = ClassificationAbInitio.with_settings(settings).start_from(volumes, 4)
    found = method.reconstruct(dataset.particles.without_poses(), np.arange(2))
    classes = found.posteriors.argmax(1)
    assert (classes == truth.states).mean() > 0.9
    errors = pose_error(truth.rotations, found.rotations, states=classes).rotation_deg
    assert np.nanmedian(errors) < 12
    assert len(found.find(ClassVolumes).volumes) == 3
    assert [entry["images"] for entry in found.find(Convergence).log] == 4 * [30]
    with pytest.raises(ValueError, match="volumes to start from have shape"):
        ClassificationAbInitio.with_settings(settings).start_from(volumes[:, :20, :20, :20], 1).reconstruct(
            dataset.particles.without_poses(), np.arange(2)
        )


def test_a_refinement_compares_all_frequencies_from_its_first_iteration() -> None:
    settings = ClassificationAbInitio().settings
    looks, _ = plan_refinement(settings, 1000, 128, 3.0, 5)
    assert {look.radius for look in looks} == {32}
    assert {look.size for look in looks} == {300}
    assert not any(look.splits or look.similarity for look in looks)
    assert [look.first for look in looks] == [0, 300, 600, 900, 1200]
