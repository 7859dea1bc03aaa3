"""Poses that a run found in place of those given: a data set for methods at given poses, with its truth."""

from pathlib import Path

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.data import ClassVolumes, Dataset, DatasetIdentity, Reconstruction, RunRecord
from cryobench.io.store import load_dataset, save_reconstruction
from cryobench.metrics.volumes.frames import choose_mode
from cryobench.rotations import rotations_from_quaternions
from cryobench.runs.adopt import adopt

TURN = rotations_from_quaternions(np.array([[0.4, 0.3, -0.2, 0.7]]))[0]


def _store(
    original: Dataset, folder: Path, *, n_classes: int = 1, turn: np.ndarray = TURN, **changes: object
) -> Path:
    """A run whose poses are the true ones in a frame of its own."""
    truth = original.truth
    assert truth is not None
    assert truth.rotations is not None
    classes = np.arange(len(original.particles)) % n_classes
    volumes = np.random.default_rng(0).random((n_classes, 16, 16, 16)).astype(np.float32)
    record = RunRecord("3d-class-ab-initio", dataset=DatasetIdentity("toy", None, original.card["sha256"]))
    own: dict[str, object] = {"rotations": truth.rotations @ turn, "shifts": truth.shifts, "record": record}
    run = Reconstruction(
        original.queries,
        posteriors=np.eye(n_classes)[classes],
        findings=(ClassVolumes(volumes, np.full(n_classes, 1 / n_classes), own_frames=n_classes > 1),),
        **{**own, **changes},  # pyright: ignore[reportArgumentType]
    )
    save_reconstruction(run, folder, pixel_size=original.particles.pixel_size)
    return folder


def test_poses_of_a_run_are_given_and_the_truth_stays(original: Dataset, home: Path, tmp_path: Path) -> None:
    run = _store(original, tmp_path / "run")
    posed = adopt(home / "toy", tmp_path / "posed", poses_of=run)
    again = load_dataset(tmp_path / "posed")
    assert original.truth is not None
    for found in (posed, again):
        assert found.truth is not None
        np.testing.assert_allclose(found.particles.rotations, original.truth.rotations @ TURN, atol=1e-6)
        np.testing.assert_allclose(found.particles.shifts, original.truth.shifts, atol=1e-4)
        np.testing.assert_allclose(found.truth.rotations, original.truth.rotations, atol=1e-6)
        np.testing.assert_array_equal(found.truth.states, original.truth.states)
        np.testing.assert_array_equal(found.queries, original.queries)
        assert found.particles.mask is None
        everyone = np.arange(len(found.particles))
        np.testing.assert_array_equal(found.particles.read(everyone), original.particles.read(everyone))
        assert any("in its own frame" in note for note in found.card["notes"])
    assert adopt(home / "toy", tmp_path / "posed", poses_of=run).card == posed.card


def test_a_method_at_adopted_poses_is_aligned_before_it_is_scored(
    original: Dataset, home: Path, tmp_path: Path
) -> None:
    blind = Reconstruction(original.queries, latents=np.zeros((len(original.particles), 1)))
    turned = adopt(home / "toy", tmp_path / "turned", poses_of=_store(original, tmp_path / "run"))
    assert choose_mode(blind, turned)[0] == "reconstruction"
    same = adopt(home / "toy", tmp_path / "same", poses_of=_store(original, tmp_path / "same run", turn=np.eye(3)))
    assert choose_mode(blind, same)[0] == "none"
    assert choose_mode(blind, original)[0] == "none"


def test_what_has_no_poses_for_these_particles_is_refused(original: Dataset, home: Path, tmp_path: Path) -> None:
    dataset = home / "toy"
    without = _store(original, tmp_path / "without", rotations=None, shifts=None)
    with pytest.raises(FormatError, match="has no poses of its own"):
        adopt(dataset, tmp_path / "new", poses_of=without)
    several = _store(original, tmp_path / "several", n_classes=2)
    with pytest.raises(ValueError, match=r"each of the 2 classes of .* has its own frame.*n_classes=1"):
        adopt(dataset, tmp_path / "new", poses_of=several)
    record = RunRecord("3d-class-ab-initio", dataset=DatasetIdentity("another", None, "of other images"))
    other = _store(original, tmp_path / "other", record=record)
    with pytest.raises(FormatError, match=r"was made from another, of .* name the data set that it was made from"):
        adopt(dataset, tmp_path / "new", poses_of=other)
    run = _store(original, tmp_path / "run")
    with pytest.raises(ValueError, match="is not a data set folder"):
        adopt(dataset / "particles.star", tmp_path / "new", poses_of=run)
    with pytest.raises(ValueError, match="--labels cannot be combined with --poses-of"):
        adopt(dataset, tmp_path / "new", poses_of=run, labels=tmp_path / "labels.npy")
    assert not (tmp_path / "new").exists()
