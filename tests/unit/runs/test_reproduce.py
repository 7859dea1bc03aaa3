"""A run made again from its record: the same bits, and what is not the same is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cryobench
from cryobench._errors import FormatError
from cryobench.cli.main import app
from cryobench.data import IndexedVolumes, Reconstruction
from cryobench.io.formats.mrc import read_volume, write_volume
from cryobench.runs.reproduce import compare, reproduce
from stored import edit_json, store_dataset, store_run
from toy import PIXEL_SIZE, toy_dataset

SETTINGS = {"n_classes": 2, "n_iterations": 2, "initial_resolution": 12.0, "n_components": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reproduce")
    store_dataset(toy_dataset(size=16, n=60, n_queries=5), folder / "data")
    dataset = cryobench.load_dataset(folder / "data")
    cryobench.run("3d-class", dataset, folder / "run", seed=3, settings=SETTINGS)
    return folder


def test_the_record_says_all_that_a_repetition_needs(folder):
    record = cryobench.load_run(folder / "run").record
    assert record.settings["n_classes"] == 2
    assert len(record.settings) > 8  # spelled out, not only what was changed
    assert record.command is not None
    for word in ("cryobench run 3d-class", "--seed 3", "n_classes=2"):
        assert word in record.command
    assert {"python", "numpy", "torch", "numba"} <= set(record.software)


def test_a_run_is_made_again_to_the_bit(folder):
    typed = ["reproduce", str(folder / "run"), "-o", str(folder / "again")]
    found = CliRunner().invoke(app, typed)
    assert found.exit_code == 0, found.output
    assert "posteriors: the same bits" in found.output
    assert "volumes: the same bits" in found.output
    assert cryobench.load_run(folder / "again").record.seed == 3


def test_a_run_is_not_compared_with_itself(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder / "run")
    for output in (folder / "run", tmp_path / "link"):
        with pytest.raises(ValueError, match=r"is the run itself: choose another folder"):
            reproduce(folder / "run", output)


def test_maps_of_classes_lie_there_as_files(folder):
    classes = sorted(path.name for path in (folder / "run" / "classes").iterdir())
    assert classes == ["class-000.mrc", "class-001.mrc"]
    volume, pixel_size = read_volume(folder / "run" / "classes" / "class-001.mrc")[:2]
    np.testing.assert_array_equal(volume, cryobench.load_run(folder / "run").model["volumes"][1])
    assert pixel_size == pytest.approx(PIXEL_SIZE)


def test_a_result_that_is_another_is_no_success(folder, tmp_path):
    run = cryobench.load_run(folder / "run")
    assert run.posteriors is not None
    other = replace(run, posteriors=run.posteriors[:, ::-1].copy())
    compared = compare(run, other)
    assert not compared.agrees
    assert compared.differences["volumes"] == 0
    assert compare(run, Reconstruction(run.queries)).differences == {"posteriors": np.inf}
    fewer = Reconstruction(run.queries[:1], IndexedVolumes(run.volumes.read(0)[None], np.array([0])))
    assert compare(run, fewer).differences["volumes"] == np.inf
    cryobench.run("3d-class", cryobench.load_dataset(folder / "data"), tmp_path / "run", seed=3, settings=SETTINGS)
    np.save(tmp_path / "run" / "posteriors.npy", other.posteriors)
    found = CliRunner().invoke(app, ["reproduce", str(tmp_path / "run"), "-o", str(tmp_path / "again")])
    assert found.exit_code == 1
    assert "differ by more than rounding" in found.output


def test_what_cannot_be_made_again(folder, tmp_path):
    dataset = cryobench.load_dataset(folder / "data")
    for name, method in (("imported", "mine"), ("foreign", "3d-class")):
        store_run(dataset, tmp_path / name, method)
        with pytest.raises(FormatError, match="not made by cryobench run"):
            reproduce(tmp_path / name, tmp_path / "again")
    edit_json(tmp_path / "imported" / "run.json", seed=0, preset="paper")
    with pytest.raises(FormatError, match="not made by an installed method"):
        reproduce(tmp_path / "imported", tmp_path / "again")
    mask = np.ones((16, 16, 16), np.float32)
    mask[:2] = 0
    write_volume(tmp_path / "mask.mrc", mask, PIXEL_SIZE)
    cryobench.run("random-latent", dataset, tmp_path / "masked", mask=tmp_path / "mask.mrc")
    with pytest.raises(ValueError, match=r"give that file with --mask"):
        reproduce(tmp_path / "masked", tmp_path / "again")
    assert reproduce(tmp_path / "masked", tmp_path / "again", mask=tmp_path / "mask.mrc")[1].agrees
    write_volume(tmp_path / "mask.mrc", np.ones((16, 16, 16), np.float32), PIXEL_SIZE)
    with pytest.raises(ValueError, match=r"was given the mask file mask\.mrc .*give the same with --mask"):
        reproduce(tmp_path / "masked", tmp_path / "of another mask", mask=tmp_path / "mask.mrc")
    assert not (tmp_path / "of another mask").exists()
    with pytest.raises(ValueError, match="was given no mask file"):
        reproduce(folder / "run", tmp_path / "anew", mask=tmp_path / "mask.mrc")
    edit_json(tmp_path / "masked" / "run.json", status="failed")
    with pytest.raises(FormatError, match="did not finish"):
        reproduce(tmp_path / "masked", tmp_path / "anew", mask=tmp_path / "mask.mrc")


def test_a_result_of_ones_own_is_saved_and_scored(folder, tmp_path):
    dataset = cryobench.load_dataset(folder / "data")
    latents = np.random.default_rng(1).standard_normal((60, 2))
    saved = cryobench.save_run(Reconstruction(dataset.queries, latents=latents), tmp_path / "mine", dataset)
    assert saved.record.dataset.sha256 == dataset.card["sha256"]
    found = CliRunner().invoke(app, ["score", str(tmp_path / "mine"), "--metric", "decodability"])
    assert found.exit_code == 0, found.output
    with pytest.raises(FormatError, match="not an empty folder"):
        cryobench.save_run(saved, tmp_path / "mine", dataset)
    (tmp_path / "file").touch()
    with pytest.raises(FormatError, match="file exists and is not an empty folder"):
        cryobench.save_run(saved, tmp_path / "file", dataset)
    with pytest.raises(ValueError, match="7 particles"):
        cryobench.save_run(Reconstruction(dataset.queries[:1], latents=latents[:7]), tmp_path / "few", dataset)


@pytest.mark.parametrize("part", ["latents", "posteriors", "rotations", "shifts", "volumes"])
def test_a_difference_in_any_part_is_seen(part):
    queries = np.array([0, 1])
    parts = {
        "latents": np.ones((4, 2)),
        "posteriors": np.full((4, 2), 0.5),
        "rotations": np.tile(np.eye(3), (4, 1, 1)),
        "shifts": np.ones((4, 2)),
        "volumes": IndexedVolumes(np.ones((1, 4, 4, 4), np.float32), np.zeros(2, int)),
    }
    changed = {
        "latents": 2 * np.ones((4, 2)),
        "posteriors": np.tile([1.0, 0.0], (4, 1)),
        "rotations": np.tile(np.diag([1.0, -1.0, -1.0]), (4, 1, 1)),
        "shifts": -np.ones((4, 2)),
        "volumes": IndexedVolumes(2 * np.ones((1, 4, 4, 4), np.float32), np.zeros(2, int)),
    }
    one = Reconstruction(queries, **parts)
    assert compare(one, one).agrees
    assert not compare(one, Reconstruction(queries, **{**parts, part: changed[part]})).agrees
