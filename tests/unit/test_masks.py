"""A mask must hold a part of the molecule: in one that is almost empty any two volumes agree."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.data import ArrayImages, Dataset
from cryobench.io.adoption.masks import read_mask
from cryobench.io.formats.mrc import write_volume
from cryobench.io.store import load_dataset, load_reconstruction
from cryobench.metrics import score
from cryobench.runs.adopt import adopt
from cryobench.runs.mask_check import judge_mask
from cryobench.runs.run import run
from cryobench.runs.score import HowToScore, score_run
from stored import store_dataset, store_run
from toy import PIXEL_SIZE, toy_dataset

SIZE = 24


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and a run on it."""
    folder = tmp_path_factory.mktemp("masks")
    dataset = store_dataset(toy_dataset(size=SIZE, n=60), folder / "data")
    store_run(dataset, folder / "run")
    return folder


def make(kind: str) -> np.ndarray:
    mask = np.zeros((SIZE,) * 3, np.float32)
    if kind == "voxel":
        mask[SIZE // 2, SIZE // 2, SIZE // 2] = 1
    elif kind == "corner":
        mask[:5, :5, :5] = 1
    elif kind == "domain":
        mask[9:14, 9:14, 9:14] = 1
    elif kind == "side":
        mask[8:16, 8:16, :3] = 1
    elif kind == "everything":
        mask[:] = 1
    return mask


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("zeros", "is almost empty: its values sum to 0 voxels, expected at least 64"),
        ("voxel", "is almost empty: its values sum to 1 voxels"),
        ("corner", "of the power of the true volumes, expected at least 0.001: it is off the molecule"),
    ],
)
def test_no_run_is_scored_in_a_mask_that_holds_nothing(home: Path, tmp_path: Path, kind: str, message: str) -> None:
    write_volume(tmp_path / "mask.mrc", make(kind), PIXEL_SIZE)
    with pytest.raises(FormatError, match=message):
        score_run(home / "run", metrics=["per-image-fsc"], how=HowToScore(mask=tmp_path / "mask.mrc"))
    assert not (home / "run" / "scores").exists()


def test_a_mask_around_a_domain_is_scored_in(home: Path, tmp_path: Path) -> None:
    write_volume(tmp_path / "mask.mrc", make("domain"), PIXEL_SIZE)
    how = HowToScore(mask=tmp_path / "mask.mrc", fresh=True)
    _, scores = score_run(home / "run", metrics=["per-image-fsc"], dataset=home / "data", how=how)
    assert 0.5 < scores["fsc-auc-normalised-masked"].value < 1


@pytest.mark.parametrize(
    ("size", "voxel", "value", "message"),
    [
        (20, PIXEL_SIZE, 1.0, "20 voxels a side, but the images have 24 px. Resample the mask onto 24 voxels of 4 Å"),
        (SIZE, 3.0, 1.0, "has voxels of 3 Å, but the images have pixels of 4 Å"),
        (SIZE, PIXEL_SIZE, 2.0, "is not a mask: its values range from 2 to 2, expected 0 to 1"),
    ],
)
def test_a_mask_is_on_the_grid_of_the_images(
    home: Path, tmp_path: Path, size: int, voxel: float, value: float, message: str
) -> None:
    write_volume(tmp_path / "mask.mrc", np.full((size,) * 3, value, np.float32), voxel)
    with pytest.raises(FormatError, match=message):
        score_run(home / "run", metrics=["per-image-fsc"], how=HowToScore(mask=tmp_path / "mask.mrc"))


def test_a_header_that_states_no_voxel_size_is_no_obstacle(tmp_path: Path) -> None:
    write_volume(tmp_path / "mask.mrc", make("domain"), 1.0)
    assert read_mask(tmp_path / "mask.mrc", SIZE, PIXEL_SIZE).sum() == 125


def test_a_data_set_with_an_empty_mask_is_not_opened(tmp_path: Path) -> None:
    toy = toy_dataset(size=SIZE, n=20)
    with pytest.raises(FormatError, match=r"mask\.mrc is almost empty"):
        store_dataset(with_mask(toy, make("zeros")), tmp_path / "data")
    with pytest.raises(FormatError, match=r"mask\.mrc is almost empty"):
        load_dataset(tmp_path / "data")


def test_arrays_are_judged_as_files_are(home: Path) -> None:

    dataset, run = load_dataset(home / "data"), load_reconstruction(home / "run")
    with pytest.raises(FormatError, match="the mask is almost empty"):
        score(run, dataset, ["per-image-fsc"], mask=make("voxel"))


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Particles of which nothing is known but their poses."""
    toy = toy_dataset(size=SIZE, n=240)
    folder = tmp_path_factory.mktemp("unlabelled") / "data"
    return store_dataset(replace(toy, truth=None, particles=replace(toy.particles, mask=None)), folder)


@pytest.mark.parametrize("kind", ["corner", "side"])
def test_without_true_volumes_a_mask_beside_the_molecule_is_told_by_a_consensus(
    unlabelled: Dataset, tmp_path: Path, kind: str
) -> None:
    write_volume(tmp_path / "mask.mrc", make(kind), PIXEL_SIZE)
    message = r"mask\.mrc holds .*% of the power of a consensus of the particles in .*% of the box, expected at least"
    with pytest.raises(FormatError, match=message):
        adopt(unlabelled.path / "particles.star", tmp_path / "adopted", mask=tmp_path / "mask.mrc")
    assert not (tmp_path / "adopted").exists()
    with pytest.raises(FormatError, match=message):
        run("consensus", unlabelled, tmp_path / "run", mask=tmp_path / "mask.mrc")
    assert not (tmp_path / "run").exists()
    run("consensus", unlabelled, tmp_path / "run")
    with pytest.raises(FormatError, match=message):
        score_run(tmp_path / "run", how=HowToScore(mask=tmp_path / "mask.mrc"))


def test_without_true_volumes_a_mask_around_the_molecule_or_a_domain_is_taken(
    unlabelled: Dataset, tmp_path: Path
) -> None:
    for kind in ("domain", "everything"):
        write_volume(tmp_path / f"{kind}.mrc", make(kind), PIXEL_SIZE)
        found = adopt(unlabelled.path / "particles.star", tmp_path / kind, mask=tmp_path / f"{kind}.mrc")
        assert found.particles.mask.sum() == make(kind).sum()
        assert not any("mask" in note or ".mrc" in note for note in found.card["notes"])
    run("consensus", unlabelled, tmp_path / "run", mask=tmp_path / "domain.mrc")
    score_run(tmp_path / "run", how=HowToScore(mask=tmp_path / "domain.mrc"))


def test_a_mask_that_cannot_be_judged_is_taken_and_said_so(unlabelled: Dataset, tmp_path: Path) -> None:
    particles = replace(unlabelled.particles, rotations=None, shifts=None)
    noise = np.random.default_rng(0).standard_normal((240, SIZE, SIZE)).astype(np.float32)
    said = judge_mask(make("corner"), particles, None, "m.mrc")
    assert said == "m.mrc was not compared with the particles: they come without poses, and no true volume is known"
    nothing = replace(unlabelled.particles, images=ArrayImages(noise))
    assert "too few or too noisy for a consensus" in judge_mask(make("corner"), nothing, None, "m.mrc")


def test_runs_are_judged_by_true_volumes_too(home: Path, tmp_path: Path) -> None:
    write_volume(tmp_path / "mask.mrc", make("corner"), PIXEL_SIZE)
    with pytest.raises(FormatError, match="of the power of the true volumes"):
        run("consensus", load_dataset(home / "data"), tmp_path / "run", mask=tmp_path / "mask.mrc")
    assert not (tmp_path / "run").exists()


def test_no_mask_can_be_asked_for(home: Path, tmp_path: Path) -> None:
    """As of ``run``: nothing is scored in a mask, and what was kept of one is measured again."""
    shutil.copytree(home / "run", tmp_path / "run")
    for mask, masked in ((None, True), ("none", False), (None, True)):
        _, scores = score_run(
            tmp_path / "run", metrics=["per-image-fsc"], dataset=home / "data", how=HowToScore(mask=mask)
        )
        assert ("fsc-auc-normalised-masked" in scores.scores) == masked
        assert "fsc-auc-normalised" in scores.scores


def with_mask(dataset: Dataset, mask: np.ndarray) -> Dataset:

    return replace(dataset, particles=replace(dataset.particles, mask=mask))
