"""A folder that was left half-made is taken on by the same command; what is refused leaves nothing in its way."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cryobench._errors import FormatError
from cryobench.cli import main
from cryobench.cli.main import app, run_cli
from cryobench.data import Dataset
from cryobench.io.store import load_dataset, load_reconstruction
from cryobench.runs.decode import write_volumes
from cryobench.runs.run import run
from cryobench.runs.score import HowToScore, load_dataset_of, load_or_score, score_run
from stored import store_dataset, store_run
from toy import toy_dataset

SIZE = 16


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return store_dataset(toy_dataset(size=SIZE, n=60, n_queries=3), tmp_path_factory.mktemp("dead-ends") / "data")


@pytest.fixture
def scored(dataset: Dataset, tmp_path: Path) -> Path:
    store_run(dataset, tmp_path / "run", decodes_by="classes")
    score_run(tmp_path / "run", metrics=["per-image-fsc"])
    return tmp_path / "run"


def auc(folder: Path) -> float:
    return load_or_score(folder)[1]["fsc-auc"].value


@pytest.mark.parametrize("left", ["", "checkpoint", "checkpoint/work"])
def test_killed_before_the_first_record(dataset: Dataset, tmp_path: Path, left: str) -> None:
    (tmp_path / "run" / left).mkdir(parents=True)
    assert run("consensus", dataset, tmp_path / "run").record.status == "finished"


def test_killed_before_the_last_record(dataset: Dataset, tmp_path: Path) -> None:
    """All is written but that it is finished, and what it cost."""
    whole = run("consensus", dataset, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    (tmp_path / "run" / "checkpoint").mkdir()
    (tmp_path / "run" / "checkpoint" / "attempt-000.json").write_text('{"wall_seconds": 1000.0}')
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "status": "running", "cost": {}}))
    again = run("consensus", dataset, tmp_path / "run")
    assert again.record.status == "finished"
    assert again.record.cost.attempts == 2
    assert again.record.cost.wall_seconds > 1000
    assert not (tmp_path / "run" / "checkpoint").exists()
    np.testing.assert_array_equal(again.volumes.read(0), whole.volumes.read(0))


def test_a_refused_setting_does_not_block_the_corrected_command(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="60"):
        run("3d-class", dataset, tmp_path / "run", settings={"n_classes": 61})
    found = run("3d-class", dataset, tmp_path / "run", settings={"n_classes": 2, "n_iterations": 1})
    assert found.record.status == "finished"


def test_a_scheduler_that_does_not_answer_leaves_nothing(dataset: Dataset, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("cryobench.compute.workers._PATIENCE", 0.2)
    with pytest.raises(OSError, match="no Dask scheduler answers at"):
        run("consensus", dataset, tmp_path / "run", scheduler="tcp://127.0.0.1:9")
    assert not list((tmp_path / "run").rglob("*"))
    assert run("consensus", dataset, tmp_path / "run").record.status == "finished"


def test_a_data_set_that_moved_is_the_same_one(dataset: Dataset, scored: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset.path, tmp_path / "first")
    run("consensus", load_dataset(tmp_path / "first"), tmp_path / "consensus")
    path = scored / "run.json"
    path.write_text(path.read_text().replace(str(dataset.path), str(tmp_path / "first")))
    (tmp_path / "first").rename(tmp_path / "second")
    moved = load_dataset(tmp_path / "second")
    assert run("consensus", moved, tmp_path / "consensus").record.status == "finished"
    for needs in (lambda: score_run(scored), lambda: write_volumes(scored, tmp_path / "volumes", particles=[0])):
        with pytest.raises(ValueError, match="--dataset FOLDER"):
            needs()
    assert score_run(scored, dataset=tmp_path / "second")[1].scores
    assert write_volumes(scored, tmp_path / "volumes", particles=[0], dataset=tmp_path / "second")
    with pytest.raises(ValueError, match="there is no data set at"):
        score_run(scored, dataset=tmp_path / "third")


def test_a_data_set_of_another_hash_is_refused(dataset: Dataset, scored: Path, tmp_path: Path) -> None:
    other = store_dataset(toy_dataset(size=SIZE, n=64, n_queries=3), tmp_path / "other")
    with pytest.raises(FormatError, match=r"holds toy of hash .* another one, or the same, changed since"):
        score_run(scored, dataset=other.path)
    with pytest.raises(FormatError, match="another one, or the same, changed since"):
        load_dataset_of([scored], other.path)
    store_run(other, tmp_path / "of-other")
    with pytest.raises(FormatError, match=r"different data sets and cannot be on one page: .*run.*of-other"):
        load_dataset_of([scored, tmp_path / "of-other"])


@pytest.mark.parametrize("fresh", [False, True])
def test_damaged_scores_are_measured_again(scored: Path, fresh: bool) -> None:
    before = auc(scored)
    (scored / "scores" / "scores.json").write_text("{")
    with pytest.raises(FormatError, match=r"scores\.json is not valid JSON.* cryobench score .*run"):
        load_or_score(scored)
    score_run(scored, metrics=["per-image-fsc"], how=HowToScore(fresh=fresh))
    assert auc(scored) == before


def test_scores_of_volumes_that_have_changed_since_are_not_shown(scored: Path) -> None:
    before = auc(scored)
    for path in (scored / "volumes").iterdir():
        content = path.read_bytes()
        path.write_bytes(content[:1024] + bytes(len(content) - 1024))
    assert auc(scored) < 0.2 * before


def test_an_unfinished_run_keeps_no_other_from_being_scored(dataset: Dataset, scored: Path, tmp_path: Path) -> None:
    shutil.copytree(scored, tmp_path / "unfinished")
    shutil.rmtree(tmp_path / "unfinished" / "scores")
    record = json.loads((scored / "run.json").read_text())
    (tmp_path / "unfinished" / "run.json").write_text(json.dumps({**record, "status": "running"}))
    folders = [str(tmp_path / "unfinished"), str(scored)]
    found = CliRunner().invoke(app, ["score", *folders, "--metric", "per-image-fsc"])
    assert found.exit_code == 2
    assert "not scored" in found.output
    assert "unfinished" in found.output
    assert "FSC-AUC" in found.output


def test_every_particle_a_state_of_its_own_has_no_back_projection(dataset: Dataset, tmp_path: Path) -> None:
    states = np.arange(len(dataset.particles)) * 1000
    (tmp_path / "labels.csv").write_text("\n".join(map(str, states)))
    options = ["--labels", str(tmp_path / "labels.csv"), "-o", str(tmp_path / "data")]
    assert CliRunner().invoke(app, ["adopt", str(dataset.path / "particles.star"), *options]).exit_code == 0
    with pytest.raises(ValueError, match="a volume of one image is meaningless"):
        run("truth-backprojection", load_dataset(tmp_path / "data"), tmp_path / "run")


@pytest.mark.parametrize("error", [KeyError("something"), ValueError("something")])
def test_any_error_is_a_line_and_a_traceback_is_shown_on_demand(monkeypatch, capsys, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    monkeypatch.setattr("sys.argv", ["cryobench", "list"])
    with pytest.raises(SystemExit) as stop:
        run_cli()
    assert stop.value.code == (2 if isinstance(error, ValueError) else 1)
    assert capsys.readouterr().err.startswith("error: ")
    monkeypatch.setattr("sys.argv", ["cryobench", "list", "--traceback"])
    with pytest.raises(type(error), match="something"):
        run_cli()


def test_text_in_place_of_latents_is_named(scored: Path) -> None:
    np.save(scored / "latents.npy", np.full((60, 2), "a"))
    with pytest.raises(ValueError, match=r"latents\.npy"):
        load_reconstruction(scored)
