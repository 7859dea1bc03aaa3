"""A finished command that is given again says so; one that measured nothing does not end well."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cryobench._progress import Named
from cryobench.cli.main import app
from stored import store_dataset, store_run
from toy import toy_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("repeated")
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=5), folder / "data")
    store_run(dataset, folder / "mine")
    return folder


def type_words(*words: object) -> tuple[int, str]:
    found = CliRunner().invoke(app, list(map(str, words)))
    return found.exit_code, " ".join(found.output.split())


def test_a_run_or_scores_that_are_there_are_said_to_be(folder):
    run = ("run", "random-latent", folder / "data", "-o", folder / "random")
    assert "already finished" not in type_words(*run)[1]
    assert "random: already finished, nothing was computed" in type_words(*run)[1]
    score = ("score", folder / "mine", "--metric", "labels")
    assert "already scored" not in type_words(*score)[1]
    assert "mine: already scored, nothing was measured" in type_words(*score)[1]
    assert "already scored" not in type_words(*score, "--fresh")[1]


def test_nothing_measured_is_no_success(folder, tmp_path):
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=5), tmp_path / "blind")
    store_run(dataset, tmp_path / "mine")
    shutil.rmtree(tmp_path / "blind" / "truth")
    status, said = type_words("score", tmp_path / "mine")
    assert status == 2
    assert "nothing was measured against the truth" in said
    assert type_words("score", tmp_path / "mine", "--metric", "cost")[0] == 0
    assert type_words("score", folder / "mine", "--metric", "labels")[0] == 0


def test_tasks_and_notes_carry_the_name():
    class Listener:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def task(self, label, total=None):
            self.heard.append(label)

        def note(self, text):
            self.heard.append(text)

    listener = Listener()
    named = Named(listener, "recovar")
    named.task("volumes", 3)
    named.note("done.")
    assert listener.heard == ["recovar: volumes", "recovar: done."]
