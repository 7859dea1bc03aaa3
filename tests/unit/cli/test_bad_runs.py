"""Commands over several runs: a bad one is named and stops no other."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cryobench.cli.main import app, run_cli
from cryobench.cli.many_runs import each_run, tell_refused
from cryobench.io.lock import FolderBusy
from cryobench.io.store import load_scores
from stored import edit_json, store_dataset, store_run
from toy import toy_dataset


def test_every_run_that_is_refused_is_named(tmp_path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("[]")
    found = CliRunner().invoke(app, ["score", str(tmp_path / "one"), str(tmp_path / "other")])
    assert found.exit_code == 2
    assert all(str(Path(name) / "run.json") in found.output for name in ("one", "other"))


@pytest.mark.parametrize("order", [("bad", "good"), ("good", "bad")])
def test_the_report_shows_the_good_runs(order, tmp_path, monkeypatch) -> None:
    shown: list[Path] = []
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("[]")
    store_dataset(toy_dataset(size=16, n=60, n_queries=5), tmp_path / "data")
    runner = CliRunner()
    made = runner.invoke(app, ["run", "random-latent", str(tmp_path / "data"), "-o", str(tmp_path / "good")])
    assert made.exit_code == 0, made.output
    monkeypatch.setattr(
        "cryobench.report.pages.report.write_report",
        lambda dataset, results, output, **_: shown.extend(each[0].path for each in results) or output,
    )
    folders = [str(tmp_path / name) for name in order]
    found = runner.invoke(app, ["report", *folders, "-o", str(tmp_path / "page")])
    assert found.exit_code == 2
    assert shown == [tmp_path / "good"]
    assert "not in the report" in found.output
    assert "bad" in found.output


@pytest.mark.parametrize("error", [FolderBusy("in use"), ValueError("no such particle"), FileNotFoundError("gone")])
def test_a_refused_run_stops_no_other(error) -> None:
    def act(folder: Path) -> Path:
        if folder.name == "bad":
            raise error
        return folder

    results, refused = each_run([Path("bad"), Path("good")], act)
    assert results == {Path("good"): Path("good")}
    assert refused == {Path("bad"): error}


def test_an_error_common_to_runs_is_told_once_and_names_them(capsys) -> None:
    refused = {Path("one"): ValueError("no metric of that name"), Path("two"): ValueError("no metric of that name")}
    with pytest.raises(typer.Exit) as stop:
        tell_refused("not scored", {**refused, Path("three"): FileNotFoundError("three/run.json is missing")})
    assert stop.value.exit_code == 2
    assert capsys.readouterr().err.splitlines() == [
        "not scored: one, two: no metric of that name",
        "not scored: three/run.json is missing",
    ]


def test_a_failed_run_keeps_no_other_from_being_scored_by_a_metric(tmp_path) -> None:
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=5), tmp_path / "data")
    for name in ("bad", "good"):
        store_run(dataset, tmp_path / name)
    edit_json(tmp_path / "bad" / "run.json", status="failed", error="ValueError: no poses", parts={}, findings=[])
    folders = [str(tmp_path / name) for name in ("bad", "good")]
    found = CliRunner().invoke(app, ["score", *folders, "--metric", "labels"])
    assert found.exit_code == 0, found.output
    assert "ValueError: no poses" in found.output
    assert load_scores(tmp_path / "good")["ari"].value == 1
    assert not (tmp_path / "bad" / "scores").exists()


def test_metrics_that_a_run_cannot_have_keep_no_other_from_being_measured(tmp_path) -> None:
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=5), tmp_path / "data")
    store_run(dataset, tmp_path / "run")
    runner, folder = CliRunner(), str(tmp_path / "run")
    found = runner.invoke(app, ["score", folder, "--metric", "composition", "--metric", "labels"])
    assert found.exit_code == 0, found.output
    assert "composition needs true components" in " ".join(found.output.split())
    assert load_scores(tmp_path / "run")["ari"].value == 1
    alone = runner.invoke(app, ["score", folder, "--metric", "composition"])
    assert alone.exit_code == 2
    assert "no metric asked for can be measured on" in " ".join(alone.output.split())


@pytest.mark.parametrize(
    "error", [MemoryError("Unable to allocate 8 GiB"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_machine_without_memory_is_no_fault_of_the_program(error, monkeypatch, capsys) -> None:
    def fail(arguments: list[str]) -> None:
        raise error

    monkeypatch.setattr("cryobench.cli.main.app", fail)
    with pytest.raises(SystemExit) as stop:
        run_cli()
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert str(error) in said
    assert "--memory" in said
    assert "fault of cryobench" not in said
