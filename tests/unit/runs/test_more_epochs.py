"""``run --more-epochs``: the run of as many epochs at once, and the old one until that is whole."""

import filecmp
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.data import Dataset, Reconstruction
from cryobench.io.store import load_reconstruction
from cryobench.methods import get_method
from cryobench.runs.run import run
from cryobench.testing.interruption import InterruptingProgress, Interruption
from toy import toy_dataset

NAMES = ("cryodrgn", "cryodrgn-ai-fixed")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return toy_dataset(size=16, n=60)


def train(name: str, dataset: Dataset, folder: Path, **options: object) -> Reconstruction:
    epochs = options.pop("epochs", 2)
    settings = {**get_method(name).small, "epochs": epochs}
    return run(name, dataset, folder, settings=settings, memory="1GB", **options)  # pyright: ignore


@pytest.fixture(scope="module")
def finished(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    train("cryodrgn", dataset, folder)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def assert_same_files(one: Path, other: Path) -> None:
    """All but what tells times."""
    names = [{path.relative_to(each) for path in each.rglob("*") if path.is_file()} for each in (one, other)]
    assert names[0] == names[1]
    differing = {name.as_posix() for name in names[0] if not filecmp.cmp(one / name, other / name, shallow=False)}
    assert differing <= {"run.json", "training/iteration.npz"}
    with np.load(one / "training/iteration.npz") as first, np.load(other / "training/iteration.npz") as second:
        for name in set(first) - {"facts"}:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_two_epochs_and_one_more_are_three_to_the_bit(name, dataset, tmp_path):
    short = train(name, dataset, tmp_path / "steps").record
    longer = train(name, dataset, tmp_path / "steps", more_epochs=1).record
    at_once = train(name, dataset, tmp_path / "once", epochs=3).record
    assert_same_files(tmp_path / "steps", tmp_path / "once")
    assert longer.settings == at_once.settings
    assert longer.started == short.started
    assert longer.command is not None
    assert "--set epochs=3" in longer.command
    assert longer.cost.wall_seconds > short.cost.wall_seconds  # pyright: ignore
    assert (short.cost.attempts, longer.cost.attempts) == (1, 2)
    with pytest.raises(FormatError, match="they differ in settings"):
        train(name, dataset, tmp_path / "steps")
    assert train(name, dataset, tmp_path / "steps", epochs=3).record == longer


def test_scores_and_series_of_the_old_result_go_and_files_of_others_stay(dataset, folder):
    (folder / "scores").mkdir()
    (folder / "series" / "pca-1").mkdir(parents=True)
    (folder / "scores" / "scores.json").write_text("{}")
    (folder / "notes.txt").write_text("mine")
    train("cryodrgn", dataset, folder, more_epochs=1)
    assert not (folder / "scores").exists()
    assert not (folder / "series").exists()
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "checkpoint").exists()


def test_only_the_further_epochs_are_trained(dataset, folder):
    counting = InterruptingProgress()
    train("cryodrgn", dataset, folder, more_epochs=1, progress=counting)
    assert counting.seen == 1 + 1 + 3, "images are prepared, the steps before are shown at once, and three are made"


def test_a_link_to_a_folder_stays_one(dataset, folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert train("cryodrgn", dataset, tmp_path / "link", more_epochs=1).record.settings["epochs"] == 3
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("after", [2, 6])
def test_interrupted_it_leaves_the_old_result_and_the_same_command_goes_on(dataset, folder, tmp_path, after):
    before = load_reconstruction(folder)
    with pytest.raises(Interruption):
        train("cryodrgn", dataset, folder, more_epochs=2, progress=InterruptingProgress(after))
    found = load_reconstruction(folder)
    assert found.record == before.record
    np.testing.assert_array_equal(found.latents, before.latents)
    if after > 2:  # once it has kept a state of its own
        with pytest.raises(FormatError, match=r"checkpoint of another call, which differs in settings: resume with"):
            train("cryodrgn", dataset, folder, more_epochs=1)
        assert load_reconstruction(folder).record == before.record
    assert train("cryodrgn", dataset, folder, more_epochs=2).record.settings["epochs"] == 4
    train("cryodrgn", dataset, tmp_path / "once", epochs=4)
    assert_same_files(folder, tmp_path / "once")


@pytest.mark.parametrize("moved", [0, 2])
def test_killed_while_it_takes_its_place_the_same_command_completes_it(dataset, folder, tmp_path, monkeypatch, moved):
    renamed = []
    rename = Path.replace

    def stop(path: Path, target: Path) -> Path:
        if path.parent.name == "done" and not path.name.startswith("."):
            renamed.append(path.name)
            if len(renamed) > moved:
                raise Interruption
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(Interruption):
        train("cryodrgn", dataset, folder, more_epochs=1)
    monkeypatch.setattr(Path, "replace", rename)
    assert json.loads((folder / "run.json").read_text())["status"] == "running"
    assert train("cryodrgn", dataset, folder, more_epochs=1).record.settings["epochs"] == 3
    train("cryodrgn", dataset, tmp_path / "once", epochs=3)
    assert_same_files(folder, tmp_path / "once")


@pytest.mark.parametrize("removed", [0, 1])
def test_killed_while_it_cleans_up_the_same_command_only_cleans_up(dataset, folder, monkeypatch, removed):
    stop_cleaning(monkeypatch, removed)
    with pytest.raises(Interruption):
        train("cryodrgn", dataset, folder, more_epochs=1)
    monkeypatch.undo()
    assert (folder / "checkpoint").exists()
    assert train("cryodrgn", dataset, folder, more_epochs=1).record.settings["epochs"] == 3
    assert not (folder / "checkpoint").exists()


def test_a_run_that_was_killed_while_it_cleaned_up_is_finished(dataset, tmp_path, monkeypatch):
    stop_cleaning(monkeypatch, 0)
    for name in ("run", "other"):
        with pytest.raises(Interruption):
            train("cryodrgn", dataset, tmp_path / name)
    monkeypatch.undo()
    first = train("cryodrgn", dataset, tmp_path / "run").record
    assert not (tmp_path / "run" / "checkpoint").exists()
    longer = train("cryodrgn", dataset, tmp_path / "other", more_epochs=1).record
    assert (first.cost.attempts, longer.cost.attempts) == (1, 2)
    train("cryodrgn", dataset, tmp_path / "once", epochs=3)
    assert_same_files(tmp_path / "other", tmp_path / "once")


def stop_cleaning(monkeypatch, removed: int) -> None:
    """Stop at the removal of the checkpoint, after that of some of its folders."""

    removing: list[Path] = []

    def stop(folder: Path, **options: object) -> None:
        removing.extend([folder] if "checkpoint" in folder.parts else [])
        if len(removing) > removed:
            raise Interruption
        remove(folder, **options)

    remove = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", stop)


def test_what_cannot_go_on_says_why(dataset, folder, tmp_path):
    with pytest.raises(ValueError, match=r"consensus does not train in epochs.* leave --more-epochs out"):
        run("consensus", dataset, tmp_path / "new", more_epochs=1)
    with pytest.raises(ValueError, match=r"--more-epochs expects a whole number from 1, got 0"):
        train("cryodrgn", dataset, folder, more_epochs=0)
    with pytest.raises(FormatError, match=r"new holds no run to train further: give the same command without"):
        train("cryodrgn", dataset, tmp_path / "new", more_epochs=1)
    with pytest.raises(FormatError, match=r"differ in seed.*repeat the command that made it, with --more-epochs"):
        train("cryodrgn", dataset, folder, more_epochs=1, seed=3)
    with pytest.raises(FormatError, match=r"differ in method"):
        train("cryodrgn-ai-fixed", dataset, folder, more_epochs=1)
    shutil.rmtree(folder / "training")
    with pytest.raises(FormatError, match=r"has no training/, .* Train again into another folder"):
        train("cryodrgn", dataset, folder, more_epochs=1)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "status": "failed", "parts": {}, "findings": []}))
    with pytest.raises(FormatError, match=r"is not finished, so it cannot be trained further yet"):
        train("cryodrgn", dataset, folder, more_epochs=1)
