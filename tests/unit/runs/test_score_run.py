"""Scores of a run are kept metric by metric: what holds is not measured again, what changed is."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryobench.io.formats.mrc import read_volume, write_volume
from cryobench.io.lock import FolderBusy, lock_folder
from cryobench.io.store import load_scores
from cryobench.metrics import get_metric, list_metrics
from cryobench.metrics.cost import Cost
from cryobench.metrics.metric import Metric
from cryobench.runs.score import HowToScore, load_or_score, score_run
from cryobench.volumes import Alignment
from stored import store_dataset, store_run
from toy import PIXEL_SIZE, toy_dataset

VOLUME_METRICS = {"per-image-fsc", "per-conformation-fsc", "heterogeneity-fsc"}
ASKED = ["per-image-fsc", "per-conformation-fsc", "labels", "cost"]
SOME = [*ASKED[:2], "heterogeneity-fsc", *ASKED[2:], "populations"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=5), tmp_path / "data")
    store_run(dataset, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the metrics that are measured from now on."""
    names: list[str] = []

    def spy(metric: type[Metric]) -> None:
        original = metric.measure

        def measure(self, *arguments, **options):
            names.append(self.name)
            return original(self, *arguments, **options)

        monkeypatch.setattr(metric, "measure", measure)

    for name in list_metrics():
        spy(get_metric(name))
    return names


def values(scores) -> dict[str, tuple]:
    return {name: (score.value, score.low, score.high, score.n) for name, score in scores.scores.items()}


def test_a_second_time_nothing_is_measured_and_the_scores_are_the_same(run: Path, measured: list[str]) -> None:
    first = score_run(run)[1]
    assert len(measured) == len(list_metrics()) - len(first.context["not_measured"]) > 8
    measured.clear()
    again, stored = score_run(run)[1], load_scores(run)
    assert measured == []
    assert values(first) == values(again) == values(stored)
    assert set(first.curves) == set(stored.curves)
    assert stored.context == json.loads(json.dumps(again.context))
    assert values(load_or_score(run)[1]) == values(first)
    score_run(run, metrics=["labels"], how=HowToScore(fresh=True))
    assert measured == ["labels"]


def test_another_mask_touches_only_what_is_masked(run: Path, measured: list[str], tmp_path: Path) -> None:
    score_run(run, metrics=SOME)
    measured.clear()
    mask = np.zeros((16, 16, 16), np.float32)
    mask[4:12, 4:12, 4:12] = 1
    write_volume(tmp_path / "mask.mrc", mask, PIXEL_SIZE)
    before = load_scores(run)
    masked = score_run(run, metrics=SOME, how=HowToScore(mask=tmp_path / "mask.mrc"))[1]
    assert set(measured) == VOLUME_METRICS
    assert masked["fsc-auc"].value == before["fsc-auc"].value
    assert masked["fsc-auc-masked"].value != before["fsc-auc-masked"].value
    assert masked["ari"].value == before["ari"].value


def test_a_newer_version_of_a_metric_is_measured_anew(run: Path, measured: list[str], monkeypatch) -> None:
    score_run(run, metrics=ASKED)
    measured.clear()
    monkeypatch.setattr(Cost, "version", 2)
    score_run(run, metrics=ASKED)
    assert measured == ["cost"]


def test_a_change_of_one_part_of_the_run_touches_what_reads_it(run: Path, measured: list[str]) -> None:
    score_run(run, metrics=SOME)
    measured.clear()
    volume = next((run / "volumes").glob("*.mrc"))
    content = bytearray(volume.read_bytes())
    content[-2000:-1996] = np.float32(9).tobytes()
    volume.write_bytes(content)
    score_run(run, metrics=SOME)
    assert set(measured) == VOLUME_METRICS
    measured.clear()
    np.save(run / "latents.npy", np.load(run / "latents.npy") * 2)
    score_run(run, metrics=SOME)
    assert set(measured) == {"per-conformation-fsc", "labels", "populations"}
    measured.clear()
    score_run(run, metrics=SOME, how=HowToScore(seed=3))
    assert sorted(measured) == sorted(SOME)


def test_scoring_some_metrics_keeps_the_others_that_hold(run: Path) -> None:
    score_run(run, metrics=["labels", "cost"])
    only = score_run(run, metrics=["per-image-fsc"])[1]
    assert {"ari", "wall-time"}.isdisjoint(only.scores)
    assert {"ari", "wall-time", "fsc-auc"} <= set(load_scores(run).scores)
    np.save(run / "posteriors.npy", np.load(run / "posteriors.npy")[::-1])
    score_run(run, metrics=["cost"])
    kept = load_scores(run)
    assert "fsc-auc" in kept.scores
    assert "ari" not in kept.scores
    folders = {path.name.rpartition("-")[0] for path in (run / "scores").iterdir() if path.is_dir()}
    assert folders == {"cost", "per-image-fsc"}


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from cryobench.runs.score import score_run
from cryobench.metrics.labels.agreement import Labels
Labels.measure = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
score_run(Path(sys.argv[1]), metrics=sys.argv[3:])
"""


def test_scoring_that_was_killed_goes_on_with_what_is_missing(run: Path, measured: list[str]) -> None:
    words = [sys.executable, "-c", _KILLED, str(run), str(Path(__file__).parents[2]), *ASKED]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    assert subprocess.run(words, check=False, env=environment).returncode == -signal.SIGKILL
    assert not (run / "scores" / "scores.json").exists()
    (run / "scores" / ".labels.1-ab.part").mkdir()  # as a kill while writing leaves it
    scores = score_run(run, metrics=ASKED)[1]
    assert measured == ["labels", "cost"]
    measured.clear()
    whole = score_run(run, metrics=ASKED, how=HowToScore(fresh=True))[1]
    assert measured == ASKED
    assert values(scores) == values(whole)
    assert not list((run / "scores").rglob(".*.part"))


def test_one_process_at_a_time_scores_a_run(run: Path) -> None:
    """Each removes unfinished files, and results that its scores.json does not name."""
    with lock_folder(run / "scores", doing="score"), pytest.raises(FolderBusy, match="scores is in use"):
        score_run(run, metrics=["cost"])
    score_run(run, metrics=["cost"])
    with lock_folder(run / "scores", doing="score"):  # read only
        load_or_score(run)
    with lock_folder(run, doing="run"):  # trained further: the old result stays until that is finished
        score_run(run, metrics=["cost"])


def test_a_damaged_part_is_measured_again(run: Path, measured: list[str]) -> None:
    score_run(run, metrics=ASKED)
    measured.clear()
    next((run / "scores").glob("labels-*/ari.parquet")).write_bytes(b"x")
    score_run(run, metrics=ASKED)
    assert measured == ["labels"]


def test_an_alignment_is_found_once_kept_and_can_be_given(
    run: Path, measured: list[str], monkeypatch, tmp_path
) -> None:
    calls = []

    def align_all(volumes, references, **_):
        calls.append(len(volumes))
        return [Alignment(np.eye(3), np.array([1.0, 0.0, 0.0]), False, 0.5, None, PIXEL_SIZE)]

    monkeypatch.setattr("cryobench.metrics.volumes.frames.align_all", align_all)
    how = HowToScore(align="reconstruction")
    first = score_run(run, metrics=SOME, how=how)[1]
    measured.clear()
    assert values(score_run(run, metrics=SOME, how=how)[1]) == values(first)
    score_run(run, metrics=["cost"], how=how)
    assert (calls, measured) == ([5], [])
    assert "fsc-auc" in load_scores(run).scores
    score_run(run, metrics=SOME)
    assert set(measured) == VOLUME_METRICS
    (tmp_path / "mine.json").write_bytes((run / "scores" / "alignment.json").read_bytes())
    given = score_run(run, metrics=SOME, how=HowToScore(alignment=tmp_path / "mine.json"))[1]
    assert values(given) == values(first)
    assert "mine.json" in given.context["alignment"]["why"]
    assert len(calls) == 1
    changed = next((run / "volumes").glob("*.mrc"))
    volume, pixel_size = read_volume(changed)[:2]
    write_volume(changed, 2 * volume, pixel_size)
    score_run(run, metrics=SOME, how=how)
    assert len(calls) == 2  # what was found of other volumes does not hold
    score_run(run, metrics=SOME, how=replace(how, fresh=True))
    assert len(calls) == 3  # nor is anything that was found before taken, if all is to be fresh


def test_scores_of_the_layout_before_are_read(run: Path) -> None:
    scores = score_run(run, metrics=ASKED)[1]
    folder = run / "scores"
    old = json.loads((folder / "scores.json").read_text())
    for name, entry in old["scores"].items():
        (folder / entry["part"] / f"{name}.parquet").rename(folder / f"{name}.parquet")
        del entry["part"]
    for name, part in old["curves"].items():
        (folder / part / f"curve-{name}.parquet").rename(folder / f"curve-{name}.parquet")
    (folder / "scores.json").write_text(json.dumps({**old, "schema": 1, "curves": sorted(old["curves"])}))
    assert values(load_scores(run)) == values(scores)


def test_a_method_that_decodes_gives_the_volume_of_each_state(tmp_path: Path) -> None:
    dataset = store_dataset(toy_dataset(size=16, n=60, n_queries=2), tmp_path / "data")
    for method, decoder in (("3d-class", "classes"), ("a program of others", None)):
        store_run(dataset, tmp_path / method, method, decodes_by=decoder)
        (tmp_path / method / "latents.npy").unlink()
        record = json.loads((tmp_path / method / "run.json").read_text())
        del record["parts"]["latents"]
        (tmp_path / method / "run.json").write_text(json.dumps(record))
    decoded, other = (
        score_run(tmp_path / name, metrics=["per-conformation-fsc"])[1] for name in ("3d-class", method)
    )
    assert decoded.context["per-conformation-fsc"]["volumes_from"] == "decoded class"
    assert decoded["conformation-fsc-auc"].n == 3
    assert other.context["per-conformation-fsc"]["volumes_from"] == "class of a query particle"
    assert other["conformation-fsc-auc"].n == len(set(dataset.truth.states[dataset.queries].tolist())) < 3
    assert other.context["per-conformation-fsc"]["n_without_query"] == 3 - other["conformation-fsc-auc"].n
