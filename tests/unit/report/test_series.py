"""Volume series in a run's folder, as the report shows them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cryobench.data import Scores
from cryobench.io.store import load_reconstruction
from cryobench.report import write_report
from cryobench.report.charts.particles import draw_latents
from cryobench.report.findings.series import view_series
from cryobench.report.pages.specs import latent_specs
from cryobench.report.scored_runs.latent_views import LatentView, view_latents
from cryobench.report.scored_runs.tables import Run, name_runs
from cryobench.runs.series.settings import SeriesSettings
from cryobench.runs.series.write import write_series
from page_parser import ParsedPage, check_references
from stored import store_dataset, store_run
from toy import toy_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return store_dataset(toy_dataset(size=16, n=90, n_queries=4), tmp_path_factory.mktemp("toy") / "data")


@pytest.fixture(scope="module")
def runs(dataset, tmp_path_factory) -> list[Run]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    store_run(dataset, folder, decodes_by="classes")
    write_series(folder, "k-means", None, SeriesSettings(clusters=3))
    write_series(folder, "intermediates", None, SeriesSettings(frames=14))
    return name_runs([(load_reconstruction(folder), Scores({}))])


@pytest.fixture(scope="module")
def views(runs) -> dict[str, LatentView]:
    found = np.asarray(runs[0].reconstruction.latents)
    view = view_latents(found, lay_out=lambda points, seed: points)
    # As where there are enough particles for a UMAP.
    umap = view.points.assign(umap_first=view.points["second"], umap_second=-view.points["first"])
    return {runs[0].slug: replace(view, points=umap, no_umap=None)}


def test_series_stand_among_the_latents(runs, views) -> None:
    windows, centres = view_series(runs, views)
    assert (windows.name, centres.name) == ("intermediates-1", "k-means")
    latents = np.asarray(runs[0].reconstruction.latents, dtype=np.float64)
    view = views[runs[0].slug]
    mean = latents.mean(axis=0)
    np.testing.assert_allclose(windows.components, (windows.series.latents - mean) @ view.axes.axes[:2].T)
    positions = view.points.set_index("particle").loc[centres.series.particles]
    np.testing.assert_allclose(centres.components, positions[["first", "second"]])
    np.testing.assert_allclose(centres.umap, positions[["umap_first", "umap_second"]])
    assert centres.caption(1) == f"2, {centres.series.counts[1]:.0f} particles"
    assert centres.header == ("volume", "nearest particle", "particles")
    assert windows.header == ("volume", "nearest particle", "position", "particles")
    assert len(windows.rows) == 14
    assert len(windows.frames.shown) == 12
    trails = draw_latents(view, None, [windows, centres], umap=True).trails
    assert [trail.joined for trail in trails] == [True, False]
    np.testing.assert_array_equal(trails[1].positions, centres.umap)
    assert trails[1].captions[1] == centres.caption(1)
    specs, _ = latent_specs(views, [], [windows, centres])
    layers = specs[f"latents-{runs[0].slug}/umap/0"]["layer"]
    line, marks = layers[-2:]
    assert (line["mark"]["type"], line["data"]["values"].count("intermediates-1")) == ("line", 14)
    assert "k-means" not in line["data"]["values"]
    assert marks["data"]["values"].count("k-means") == 3


def test_series_stand_on_the_page(runs, dataset, quick_figures, tmp_path: Path) -> None:
    reconstruction = runs[0].reconstruction
    write_report(dataset, [(reconstruction, Scores({}))], tmp_path / "page")
    page = ParsedPage((tmp_path / "page" / "index.html").read_text(encoding="utf-8"))
    check_references(page, tmp_path / "page")
    for words in ("Volume series", "nearest to the centres of 3 k-means clusters", "12 of 14 are shown"):
        assert words in page.text, words
    pictures = [Path(reference) for reference in page.references if "/series/" in reference]
    assert len(pictures) == 2 * (12 + 3)
    text = (tmp_path / "page" / "assets" / "data.js").read_text(encoding="utf-8")
    data = json.loads(text[len("cryobench.receiveData(") : -3])
    marks = data["specs"][f"latents-{runs[0].slug}/components/0"]["layer"][-1]
    assert marks["encoding"]["color"]["scale"]["domain"] == ["intermediates-1", "k-means"]
    assert len(list((tmp_path / "page" / "figures").glob("series-*.svg"))) == 2
