"""The folder a report is: complete, closed in itself, safe against hostile names, never half-written."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryobench.data import Reconstruction, RunRecord, Scores
from cryobench.report import write_report
from cryobench.report.pages import report as report_page
from fabricated import HOSTILE_NAME, fabricate_dataset, fabricate_results
from page_parser import ParsedPage, check_references


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    dataset = fabricate_dataset()
    target = tmp_path_factory.mktemp("report") / "site"
    assert write_report(dataset, fabricate_results(dataset), target) == target / "index.html"
    return target


@pytest.fixture(scope="module")
def page(folder) -> ParsedPage:
    return ParsedPage((folder / "index.html").read_text(encoding="utf-8"))


def test_every_reference_is_a_file_of_the_folder_or_a_place_of_the_page(folder, page):
    assert len(page.references) > 80
    check_references(page, folder)


def test_nothing_is_asked_from_the_network(folder):
    own = [path for path in folder.rglob("*") if path.suffix in (".html", ".css", ".js") and path.name != "vega.js"]
    assert len(own) > 30
    for path in own:
        assert not re.search(r"https?:|//cdn|@import|url\(", path.read_text(encoding="utf-8")), path


def test_names_are_shown_as_text(page):
    text = " ".join(page.texts)
    assert HOSTILE_NAME in text
    assert "blobs <on> a circle" in text
    assert "<after epoch 3>" in text
    assert "on" not in page.tags


def test_page_says_which_molecules_there_are_and_their_licence(page):
    assert "Sources and licence: blobs <drawn> by hand; CC0 1.0." in page.text


def test_leaderboard_says_what_is_missing_in_words(page):
    text = page.text
    assert re.search(r"labels-only (not measured ){5,}", text)
    assert re.search(r"cryodrgn failed CUDA out of memory", text)
    assert re.search(r"truth ceiling 1\.000 \[1\.000, 1\.000\].* never crossed", text)
    assert "this score hides the heterogeneity here" in text


def test_svg_figures_parse_and_hold_something(folder):
    figures = sorted((folder / "figures").glob("*.svg"))
    assert len(figures) > 15
    for path in figures:
        root = ElementTree.parse(path).getroot()
        parts = [part.tag.rsplit("}")[-1] for part in root.iter()]
        drawn = [part for part in parts if part in ("path", "circle", "image", "line", "polyline")]
        assert len(drawn) > 10 or parts.count("image") > 2, path
        assert parts.count("text") > 2, path  # words are text
        links = [value for part in root.iter() for name, value in part.attrib.items() if name.endswith("href")]
        assert all(link.startswith(("#", "data:")) for link in links), path


@pytest.fixture(scope="module")
def data(folder) -> dict[str, Any]:
    text = (folder / "assets" / "data.js").read_text(encoding="utf-8")
    return json.loads(text[len("cryobench.receiveData(") : -3])


def test_every_chart_of_the_page_has_its_specification_and_its_figure(folder, page, data):
    html = (folder / "index.html").read_text(encoding="utf-8")
    keys = [re.sub(r"\{[^}]*\}", "*", key) for key in re.findall(r'data-spec="([^"]*)"', html)]
    assert len(keys) == len(page.plots) > 20
    drawn = {key: [name for name in data["specs"] if fnmatchcase(name, key)] for key in keys}
    assert all(drawn.values())
    assert {name for names in drawn.values() for name in names} == set(data["specs"])  # and none is for nothing
    for key in keys:
        figure = key.split("/")[0]
        assert (folder / "figures" / f"{figure}.svg").stat().st_size > 1000, key
    assert page.plots.count("grid") == 4
    assert page.plots.count("latents") == 2
    assert {"lines", "dots", "plane"} <= set(page.plots)


def test_what_runs_found_stands_on_the_page_as_pictures_surfaces_and_figures(folder, page):
    text = page.text
    for words in ("What each method found", "1 of 5 classes has no <particles>.", "gain in <log-likelihood>"):
        assert words in text, words
    assert "Why iterations ended run iterations ended 3d-class 3 all 3 iterations <done>" in text
    assert "findings" in page.ids
    assert page.plots.count("density") == 1
    assert re.search(r"class 1, 50\.0 %, 18\.0\sÅ class 0, 20\.0 %", text)
    assert re.search(r"4 0\.0 % no particles", text)
    assert "12 of 14 volumes, numbered along the path." in text
    shown = {Path(reference).name.split("-")[0] for reference in page.references if "/findings/" in reference}
    assert shown == {"mean", "component", "path", "class"}
    moved = json.loads((folder / "assets" / "moved.js").read_text()[len("cryobench.receiveMoved(") : -3])
    assert [len(entry["panels"]) for entry in moved] == [3, 3]
    for panel in moved[1]["panels"]:
        assert (folder / "assets" / "surfaces" / f"{panel['key']}.js").stat().st_size > 1000
    tables = {path.name for path in (folder / "tables").iterdir()}
    assert {"component-variances.csv", "latent-density.csv", "latent-paths.csv", "class-volumes.csv"} <= tables
    assert {"half-set-fsc.csv", "convergence.csv"} <= tables


def test_every_metric_is_explained_and_every_score_has_a_column(page):
    text = page.text
    assert "metric-labels" in page.ids
    for words in (
        "Limitations.",
        "Ignores particle identity:",
        "Adjusted Rand index of labels",
        "Poses",
        "Published results",
    ):
        assert words in text, words
    assert "Values are not directly comparable" in text


def test_tables_of_what_was_measured_can_be_taken_away(folder):
    tables = {path.name for path in (folder / "tables").iterdir()}
    assert {
        "scores.csv", "confusion.csv", "populations.csv", "profiles.csv", "neighbourhood-similarity.csv",
        "information-imbalance.csv", "decodability.csv", "rotation-errors.csv", "latents.parquet",
    } <= tables  # fmt: skip
    assert "composition.csv" not in tables  # the data set has no components
    latents = pd.read_parquet(folder / "tables" / "latents.parquet")
    assert set(latents["slug"]) == {"6-img-src-x-onerror-fail-co", "truth"}


def _rows(spec: dict[str, Any], layer: int) -> pd.DataFrame:
    return pd.read_csv(StringIO(spec["layer"][layer]["data"]["values"]))


def test_page_data_leave_out_what_is_missing(data):
    assert not any("NaN" in json.dumps(spec) for spec in data["specs"].values())
    costs = {key.split("/")[2] for key in data["specs"] if key.startswith("cost/")}
    assert costs == {"wall_seconds", "cpu_seconds", "peak_memory_bytes"}
    (ranking,) = {key.split("/")[1] for key in data["specs"] if key.startswith("cost/")} & {
        "fsc-auc-normalised-masked"
    }
    cost = _rows(data["specs"][f"cost/{ranking}/wall_seconds"], -1).set_index("run")["x"]
    assert cost["3d-class"] == 95
    forest = _rows(data["specs"][f"forest/{ranking}"], -1)
    assert {"labels-only", "cryodrgn"}.isdisjoint(forest["run"])
    assert len(forest) == 6
    assert set(cost.index) <= set(forest["run"])


def test_cells_lead_to_the_record_of_their_run_and_headings_to_their_metric(folder):
    text = (folder / "index.html").read_text(encoding="utf-8")
    board = text[text.index('id="leaderboard"') : text.index('id="all-scores"')]
    assert re.search(r'<td data-sort="[0-9.]+"><a href="#run-1-truth">1\.000</a>', board)
    assert '<a href="#metric-heterogeneity-fsc">what it means</a>' in board
    assert 'id="metric-heterogeneity-fsc"' in text


def test_report_is_small(folder):
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "vega.js")
    assert size < 15e6


def _another(dataset):
    """A data set of other contents, as its card says: a page of the same one would be found up to date."""
    return replace(dataset, card={**dataset.card, "sha256": "1" * 64})


def test_an_earlier_report_is_replaced_and_another_folder_is_not(quick_figures, tmp_path):
    dataset = fabricate_dataset(with_truth=False, n=20)
    mine = tmp_path / "photos"
    mine.mkdir()
    (mine / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"is not a report"):
        write_report(dataset, [], mine)
    assert [path.name for path in mine.iterdir()] == ["holiday.jpg"]
    target = tmp_path / "site"
    write_report(dataset, [], target)
    (target / "old.txt").write_text("old")
    write_report(_another(dataset), [], target)
    assert not (target / "old.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "site"]


def test_a_report_into_a_link_fills_the_folder_linked_to(quick_figures, tmp_path):
    dataset = fabricate_dataset(with_truth=False, n=20)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_report(dataset, [], tmp_path / "link")
    (tmp_path / "real" / "old.txt").write_text("old")
    write_report(_another(dataset), [], tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "index.html").exists()
    assert not (tmp_path / "real" / "old.txt").exists()


def test_nothing_is_left_when_writing_fails(quick_figures, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no more")

    monkeypatch.setattr(report_page.downloads, "write_tables", fail)
    with pytest.raises(OSError, match="no more"):
        write_report(fabricate_dataset(with_truth=False, n=20), [], tmp_path / "site")
    assert list(tmp_path.iterdir()) == []


def test_no_truth_and_no_runs_still_make_a_page_that_says_so(tmp_path):
    dataset = fabricate_dataset(with_truth=False, box_size=33, n=20)
    text = write_report(dataset, [], tmp_path / "site").read_text(encoding="utf-8")
    for words in (
        "Scores: not measured",
        "FSC curves: not measured",
        "Surfaces: not measured",
        "These runs are not ranked",
    ):
        assert words in text
    assert "What each method found" not in text
    assert text.count("the data set has no truth") > 2
    assert not (tmp_path / "site" / "assets" / "findings").exists()


def test_a_run_with_classes_is_not_said_to_have_none(quick_figures, tmp_path):
    dataset = fabricate_dataset()
    runs = [each for each, _ in fabricate_results(dataset) if each.name in ("labels-only", "3d-class")]
    results = [(each, Scores({})) for each in runs]
    text = write_report(replace(dataset, truth=None), results, tmp_path / "site").read_text(encoding="utf-8")
    assert "Classes: not compared; the data set has no truth" in text
    assert "Runs with neither classes nor latents" not in text


def test_controls_are_explained_where_there_are_any(page, quick_figures, tmp_path):
    dataset = fabricate_dataset()
    results = [each for each in fabricate_results(dataset) if each[0].name == "3d-class"]
    words = "How to read the controls"
    assert words in page.text
    assert words not in write_report(dataset, results, tmp_path / "site").read_text(encoding="utf-8")


def test_a_run_of_another_data_set_is_refused(tmp_path):
    dataset = fabricate_dataset(n=20)
    foreign = Reconstruction(dataset.queries, latents=np.ones((7, 2)), record=RunRecord("other"))
    with pytest.raises(ValueError, match=r"'other' gives latents of 7 particles.*has 20"):
        write_report(dataset, [(foreign, Scores({}))], tmp_path / "site")
    assert not (tmp_path / "site").exists()
