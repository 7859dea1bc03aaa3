"""Charts of trainings: terms of the loss over epochs, latents by epoch, and the numbers in them."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest

from cryobench.data import Finding, LatentSnapshots, LossTerms, Reconstruction, RunRecord, Scores
from cryobench.report.charts.kinds import LineChart, SnapshotChart
from cryobench.report.charts.training import MOST_SHOWN, draw_snapshots, draw_terms, project_snapshots
from cryobench.report.drawing.draw import draw_on_paper, to_svg
from cryobench.report.findings.tables import MOST_STRETCHES, tabulate_terms
from cryobench.report.scored_runs.tables import Run
from fabricated import fabricate_dataset


@pytest.fixture(scope="module")
def dataset():
    return fabricate_dataset(n=20, box_size=16)


def make_run(label: str, *findings: Finding) -> Run:
    return Run(label, label, Reconstruction(np.arange(2), findings=findings, record=RunRecord(label)), Scores({}))


def test_each_stretch_of_steps_has_its_mean_and_the_lead_lies_before_epoch_0():
    values = np.arange(12, dtype=np.float32)[:, None] * [1, 2]
    table = tabulate_terms([make_run("a", LossTerms(("loss", "kl"), values, np.array([4, 8, 12]), "sum"))])
    loss = table.loc[table["term"] == "loss"]
    np.testing.assert_allclose(loss["epoch"], (np.arange(1, 13) - 4) / 4)
    np.testing.assert_allclose(loss["value"], np.arange(12))
    assert set(table["definition"]) == {"sum"}
    many = np.arange(3 * MOST_STRETCHES, dtype=np.float64)
    table = tabulate_terms([make_run("a", LossTerms(("loss",), many[:, None], np.arange(0, len(many) + 1, 10)))])
    np.testing.assert_allclose(table["value"], many.reshape(-1, 3).mean(axis=1))
    np.testing.assert_allclose(table["epoch"], np.arange(3, 3 * MOST_STRETCHES + 1, 3) / 10)
    uneven = LossTerms(("loss",), np.arange(8.0)[:, None], np.array([2, 4, 8]))
    expected = [-0.5, 0, 0.5, 1, 1.25, 1.5, 1.75, 2]
    np.testing.assert_allclose(tabulate_terms([make_run("a", uneven)])["epoch"], expected)


def test_terms_have_a_chart_each_for_the_runs_that_mean_the_same():
    values = np.arange(8, dtype=np.float32)[:, None] * [1, 1, 3]
    terms = [LossTerms(("loss", "residual", "kl"), values, np.arange(0, 9, 2), words) for words in ("x", "x", "y")]
    pictures = draw_terms([make_run(f"r{number}", each) for number, each in enumerate(terms)])
    assert [picture.key for picture in pictures] == [
        "training-loss",
        "training-kl",
        "training-loss-2",
        "training-kl-2",
    ]
    charts = [picture.chart for picture in pictures]
    assert all(isinstance(chart, LineChart) for chart in charts)
    assert [[series.slug for series in chart.series] for chart in charts] == [["r0", "r1"]] * 2 + [["r2"]] * 2
    assert charts[1].y.title == "KL divergence / nat"
    assert draw_terms([make_run("none")]) == []


def test_snapshots_lie_in_the_plane_of_the_last(rng):
    last = rng.standard_normal((200, 5)) * [5, 0.1, 3, 0.1, 0.1] + 7
    positions = project_snapshots(np.stack([0.5 * (last - 7) + 7, last]))
    np.testing.assert_allclose(positions[1].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.abs(np.corrcoef(positions[1, :, 0], last[:, 0])[0, 1]), 1, atol=0.02)
    np.testing.assert_allclose(np.abs(np.corrcoef(positions[1, :, 1], last[:, 2])[0, 1]), 1, atol=0.02)
    np.testing.assert_allclose(np.ptp(positions[0], axis=0), 0.5 * np.ptp(positions[1], axis=0))
    assert (project_snapshots(last[None, :, :1])[..., 1] == 0).all()


def test_snapshots_are_coloured_by_the_truth_and_drawn(dataset, rng):
    particles = np.arange(0, 20, 2)
    found = LatentSnapshots(particles, np.array([1, 2, 5]), rng.standard_normal((3, 10, 4)))
    (picture,) = draw_snapshots([make_run("a", found), make_run("none")], dataset)
    chart = picture.chart
    assert isinstance(chart, SnapshotChart)
    assert chart.titles == ["epoch 1", "epoch 2", "epoch 5"]
    assert chart.positions.shape == (3, 10, 2)
    assert chart.colouring is not None
    assert not chart.colouring.leak
    assert chart.colouring.axis.title in picture.caption
    spec = draw_on_paper(chart, {})
    table = pd.read_csv(StringIO(spec["data"]["values"]))
    assert table["particle"].tolist() == 3 * particles.tolist()
    last = table[table["panel"] == "epoch 5"]
    np.testing.assert_allclose(last["y"], chart.positions[2, :, 1], rtol=1e-3)
    np.testing.assert_allclose(last["c"], chart.colouring.axis.values[particles], rtol=1e-3)
    svg = to_svg(spec)
    assert all(f">epoch {epoch}<" in svg for epoch in (1, 2, 5))


def test_few_particles_are_drawn_of_many_and_one_epoch_is_no_series(dataset, rng):
    many = MOST_SHOWN + 100
    latents = rng.standard_normal((2, many, 2))
    found = LatentSnapshots(np.zeros(many, dtype=np.int64), np.array([1, 2]), latents)
    (picture,) = draw_snapshots([make_run("a", found)], dataset)
    assert picture.chart.positions.shape == (2, MOST_SHOWN, 2)  # pyright: ignore
    single = LatentSnapshots(np.arange(5), np.array([1]), rng.standard_normal((1, 5, 2)))
    assert draw_snapshots([make_run("a", single)], dataset) == []


def test_findings_that_do_not_fit_are_refused():
    with pytest.raises(
        ValueError,
        match=r"loss terms of shape \(3, 2\), in epochs that end after steps \[0, 1, 2, 3\], do not fit .* loss\.",
    ):
        LossTerms(("loss",), np.zeros((3, 2)), np.arange(4))
    with pytest.raises(ValueError, match=r"latents of LatentSnapshots .* with e = 1, s = 5, got \(2, 5, 3\)"):
        LatentSnapshots(np.arange(5), np.array([1]), np.zeros((2, 5, 3)))
    with pytest.raises(ValueError, match=r"must ascend, got \[2, 2\]"):
        LatentSnapshots(np.arange(5), np.array([2, 2]), np.zeros((2, 5, 3)))
