"""A method and a metric of another package, found by their entry points, get everything that ours have."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cryobench._errors import BrokenExtension, UnknownName
from cryobench.cli.main import app
from cryobench.io.store import load_dataset
from cryobench.methods import get_method, list_methods
from cryobench.metrics import display, get_metric, list_metrics
from cryobench.report.pages.report import write_report
from cryobench.runs.decode import write_volumes
from cryobench.runs.run import run
from cryobench.runs.score import score_run
from cryobench.testing import check_method, check_metric
from cryobench.testing.toy import toy_dataset
from stored import store_dataset

PACKAGE = Path(__file__).parents[1] / "toy_package"


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """The package on the path, as pip would put it there; what is known of metrics is not kept from before."""
    monkeypatch.syspath_prepend(str(PACKAGE))
    display._registered.cache_clear()
    yield
    display._registered.cache_clear()


def test_its_method_and_metric_are_listed_and_pass_the_law_book():
    assert "toy-classes" in list_methods()
    assert "toy-size" in list_metrics()
    check_metric(get_metric("toy-size"))
    kind = get_method("toy-classes")
    # Workers are processes of their own, which find the package when it is installed for them.
    from cryobench.testing import METHOD_LAWS

    check_method(kind, [law for law in METHOD_LAWS if law != "spreads over workers"])


def test_the_law_finds_a_method_that_peeks_at_the_poses():
    with pytest.raises(AssertionError, match="looked at the poses"):
        check_method(get_method("peeking"), ["is blind to poses"])


def test_a_method_that_estimates_poses_is_handed_none(tmp_path):
    store_dataset(toy_dataset(size=16, n=40, n_queries=3), tmp_path / "data")
    dataset = load_dataset(tmp_path / "data")
    assert dataset.particles.mask is not None
    result = run("peeking", dataset, tmp_path / "run")
    assert result.record.priors.poses == "estimated"
    assert result.record.priors.mask == "none"
    assert np.abs(result.rotations - dataset.particles.rotations).max() > 0.1
    given = run("peeking", dataset, tmp_path / "given", mask=tmp_path / "data" / "mask.mrc")
    assert given.record.priors.mask.startswith("file mask.mrc")


def test_it_is_run_scored_decoded_and_on_the_page_without_any_other_change(quick_figures, tmp_path):
    store_dataset(toy_dataset(size=16, n=120, n_queries=5), tmp_path / "data")
    dataset = load_dataset(tmp_path / "data")
    words = ["run", "toy-classes", str(tmp_path / "data"), "-o", str(tmp_path / "run"), "--preset", "laptop"]
    printed = CliRunner().invoke(app, [*words, "--set", "n_classes=2", "--memory", "2GB"])
    assert printed.exit_code == 0, printed.output
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["preset"] == "laptop"
    assert record["settings"] == {"box": None, "n_classes": 2, "n_iterations": 8}
    assert record["priors"]["volumes"] == "classes"
    reconstruction, scores = score_run(tmp_path / "run")
    assert 0 < scores["toy-size"].value <= 1
    (written,) = write_volumes(tmp_path / "run", tmp_path / "volumes", particles=[3])
    assert written.exists()
    page = write_report(dataset, [(reconstruction, scores)], tmp_path / "page")
    tables = "".join(path.read_text() for path in page.parent.rglob("*.csv"))
    assert "toy-size" in tables
    assert "toy-classes" in tables
    payload = "".join(path.read_text() for path in page.parent.rglob("*.js")) + page.read_text()
    assert "Right size" in payload
    assert "class-volumes" in "".join(path.name for path in page.parent.rglob("*"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", r"cannot be loaded \(ModuleNotFoundError: .*\)"),
        ("leaving", r"cannot be loaded \(SystemExit: 3\)"),
        ("nameless", "is a Metric without name, label, scores, reference"),
        ("number", "is no Metric, but 5"),
        ("unfinished", "is a Metric without measure"),
    ],
)
def test_a_broken_extension_is_named_with_its_package(monkeypatch, name, message):
    monkeypatch.syspath_prepend(str(PACKAGE.with_name("broken_package")))
    assert name not in list_metrics()
    expected = rf"metric '{name}': the package cryobench-broken adds it as .*, which {message}\. Repair or uninstall"
    with pytest.raises(BrokenExtension, match=expected):
        get_metric(name)


def test_a_broken_package_takes_nothing_down(quick_figures, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(PACKAGE.with_name("broken_package")))
    assert "failing" in list_metrics()
    listed = CliRunner().invoke(app, ["list"])
    assert listed.exit_code == 0, listed.output
    assert "cannot be loaded" in listed.output.replace("\n", " ")
    with pytest.raises(UnknownName, match="no method named 'nothing'"):
        get_method("nothing")
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=3), tmp_path / "data")
    run("consensus", load_dataset(tmp_path / "data"), tmp_path / "run")
    reconstruction, scores = score_run(tmp_path / "run")
    assert "fsc-auc" in scores.scores
    assert "KeyError" in scores.context["not_measured"]["failing"]
    assert "ZeroDivisionError" in scores.context["not_measured"]["failing-before"]
    assert write_report(dataset, [(reconstruction, scores)], tmp_path / "page").exists()
