"""Charts of what the metrics measured: the numbers in them, and nothing where nothing was measured."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cryobench.data import CollectiveVariable, Reconstruction, RunRecord, Score, Scores
from cryobench.report.charts.classes import draw_composition, order_confusion
from cryobench.report.charts.collect import collect_charts
from cryobench.report.charts.kinds import DensityChart, DotChart, GridChart, LineChart, PlaneChart
from cryobench.report.charts.latents import draw_imbalance, imbalance_table
from cryobench.report.charts.poses import draw_rotations, draw_shifts
from cryobench.report.charts.scores import Cost, draw_cost, draw_forest
from cryobench.report.drawing.draw import draw_on_paper, to_svg
from cryobench.report.scored_runs import tables
from cryobench.report.scored_runs.styles import RunStyle, style_runs
from fabricated import (
    HOSTILE_NAME,
    N_STATES,
    fabricate_dataset,
    fabricate_measures,
    fabricate_results,
    fabricate_rich_dataset,
)


@pytest.fixture(scope="module")
def dataset():
    return fabricate_rich_dataset()


@pytest.fixture(scope="module")
def runs(dataset):
    return tables.name_runs(fabricate_results(dataset))


@pytest.fixture(scope="module")
def charts(dataset, runs):
    return {picture.key: picture for picture in collect_charts(runs, dataset)}


def _series(chart, runs, label):
    slug = next(run.slug for run in runs if run.label == label)
    return next(series for series in chart.series if series.slug == slug)


def _run(scores: Scores, label: str = "made-up") -> tables.Run:
    return tables.Run(label, label, Reconstruction(np.arange(2), record=RunRecord(label)), scores)


def _score(items: pd.DataFrame, value: float = 0.0) -> Score:
    return Score("made-up", value, value, value, len(items), items)


def test_every_idea_has_its_picture_and_its_words(charts):
    for start in (
        "states-",
        "neighbours-",
        "imbalance-",
        "decodability-",
        "confusion-",
        "profile-",
        "rotation-errors",
    ):
        assert any(key.startswith(start) for key in charts), start
    assert {"populations", "composition", "shift-errors"} <= set(charts)
    assert len({picture.key for picture in charts.values()}) == len(charts)
    assert all(len(picture.caption + picture.lead) > 60 for picture in charts.values())
    kinds = {picture.kind: type(picture.chart) for picture in charts.values()}
    assert kinds == {
        "lines": LineChart, "dots": DotChart, "plane": PlaneChart, "grid": GridChart, "density": DensityChart,
    }  # fmt: skip


def test_what_was_not_measured_is_not_drawn(dataset):
    assert collect_charts([_run(Scores({}))], dataset) == []
    assert collect_charts([], dataset) == []
    failed = Reconstruction(dataset.queries, record=RunRecord("a", status="failed"))
    run = tables.Run("a", "a", failed, fabricate_measures(dataset, 0.5))
    assert collect_charts([run], dataset) == []


def test_without_truth_only_what_needs_none_is_drawn(runs):
    found = {picture.key for picture in collect_charts(runs, fabricate_dataset(with_truth=False))}
    assert not any(key.startswith(("states-", "profile-")) for key in found)
    assert {"rotation-errors", "populations", "neighbours-attained"} <= found


def test_shared_neighbours_have_their_band_and_chance(charts, runs):
    chart = charts["neighbours-attained"].chart
    line = _series(chart, runs, "consensus")
    assert line.y == pytest.approx(np.arange(1.0, 21.0))
    assert line.high - line.y == pytest.approx(100 / 80)  # the spread, scaled as the values are
    assert chart.references[0].label == "chance"
    assert chart.references[0].y == pytest.approx(1.2 * np.arange(1.0, 21.0))
    published = charts["neighbours-published"].chart
    first = {reference.label: reference.y[0] for reference in published.references}
    assert first == pytest.approx({"chance": 1 + 100 / 2, "largest possible": 80 + 100 / 2})
    assert published.y.high >= max(line.y.max() for line in published.series)


def test_imbalance_is_averaged_over_few_neighbours_of_subsets_alone(runs):
    table = imbalance_table(runs).set_index(["run", "against"])
    row = table.loc[("3d-class", "truth")]
    mean = 0.3 * (1 + np.array([1, 3, 10, 30]) / 500)
    assert (row["to_latent"], row["from_latent"]) == pytest.approx((mean.mean(), mean.mean()))
    assert row["to_spread"] == pytest.approx(mean.std())


def test_directions_of_imbalance_are_on_their_own_axes():
    rows = [
        {"against": "truth", "direction": way, "points": "subsets", "k": k, "value": value}
        for way, value in (("truth to latent", 0.2), ("latent to truth", 0.6))
        for k in (1, 10)
    ]
    (picture,) = draw_imbalance([_run(Scores({}, {"information-imbalance": pd.DataFrame(rows)}))])
    assert "heterogeneity to latent" in picture.chart.x.title
    assert (picture.chart.points[0].x, picture.chart.points[0].y) == pytest.approx((0.2, 0.6))
    assert picture.chart.x.low == picture.chart.y.low
    assert picture.chart.x.low < 0 < 1 < picture.chart.x.high


def test_the_name_of_the_perfect_result_is_above_the_labels_of_the_axis(charts, runs):
    svg = to_svg(draw_on_paper(charts["imbalance-truth"].chart, style_runs(runs)))
    bottom = float(re.search(r'class="background"[^>]* d="M[^"]*v([\d.]+)', svg)[1])
    height = next(float(y) for y in re.findall(r"translate\([-\d.]+,([-\d.]+)\)[^>]*>perfect</text>", svg))
    assert height < bottom


def test_points_far_off_stay_in_the_plane(charts):
    planes = [picture.chart for name, picture in charts.items() if name.startswith("imbalance-")]
    assert len(planes) == 3
    for chart in planes:
        assert len(chart.points) == 4
        assert all(chart.x.low < point.x - point.x_spread for point in chart.points)
        assert all(point.x + point.x_spread < chart.x.high for point in chart.points)


def test_classes_stand_in_the_order_of_their_states_and_left_over_ones_last():
    table = pd.DataFrame(
        {
            "state": [0, 0, 1, 1, 2, 2, 0],
            "class": [7, 3, 5, 7, 3, 9, 9],
            "particles": [8, 1, 9, 2, 6, 3, 1],
            "matched": [0, 2, 1, 0, 2, -1, -1],
            "majority": [0, 2, 1, 0, 2, 2, 2],
        }
    )
    counts = order_confusion(table)
    assert list(counts.columns) == [7, 5, 3, 9]
    assert counts.to_numpy().tolist() == [[8, 0, 1, 1], [2, 9, 0, 0], [0, 0, 6, 3]]


def test_confusion_has_a_diagonal_for_the_truth_and_shares_of_each_state(charts, runs):
    measured = [run for run in runs if f"confusion-{run.slug}" in charts]
    assert [run.label for run in measured] == ["truth", "consensus", "3d-class", HOSTILE_NAME]
    for run in measured:
        picture = charts[f"confusion-{run.slug}"]
        assert picture.run == run.slug
        assert picture.chart.fractions.sum(axis=1) == pytest.approx(1)
        assert np.diag(picture.chart.fractions) == pytest.approx(1)
        expected = 0 if run.label == "truth" else 3
        assert picture.chart.columns[0] == str(expected)
        assert picture.chart.rows[1] == "1 step 1"


def test_populations_and_profiles_hold_the_truth_once(charts, runs):
    chart = charts["populations"].chart
    assert chart.references[0].y == pytest.approx(0.05)
    assert len(chart.references[0].x) == N_STATES
    found = _series(chart, runs, "3d-class")
    assert (found.low, found.y, found.high) == (pytest.approx(0.028), pytest.approx(0.035), pytest.approx(0.042))
    fractions = charts["profile-share-dihedral"].chart
    assert fractions.references[0].y.sum() == pytest.approx(1)
    assert fractions.x.title == "dihedral / °"
    assert fractions.references[0].x == pytest.approx(18 + 36 * np.arange(10))  # radian made degrees
    assert _series(fractions, runs, "truth").y == pytest.approx(0.1)
    energies = charts["profile-energy-dihedral"].chart
    assert energies.references[0].y == pytest.approx(2.3)


def test_a_variable_with_a_hostile_name_has_a_safe_key(dataset):
    name = "../../<x>"
    truth = replace(dataset.truth, variables={name: CollectiveVariable(np.zeros(len(dataset.truth)), "Å")})
    curve = pd.DataFrame(
        {
            "variable": name, "low": [0.0], "high": [1.0], "true": [5], "recovered": [5.0],
            "true_free_energy": [0.0], "free_energy": [np.nan],
        }
    )  # fmt: skip
    found = collect_charts([_run(Scores({}, {"profiles": curve}))], replace(dataset, truth=truth))
    assert [picture.key for picture in found] == ["profile-share--------x-", "profile-energy--------x-"]


def test_variables_of_like_names_keep_their_own_pictures(dataset):
    variable = CollectiveVariable(np.zeros(len(dataset.truth)), "Å")
    truth = replace(dataset.truth, variables={"a b": variable, "a-b": variable})
    curve = pd.DataFrame(
        {
            "variable": ["a b", "a-b"], "low": 0.0, "high": 1.0, "true": 5, "recovered": 5.0, "true_free_energy": 0.0,
            "free_energy": 0.0,
        }
    )  # fmt: skip
    found = collect_charts([_run(Scores({}, {"profiles": curve}))], replace(dataset, truth=truth))
    assert len({picture.key for picture in found}) == 4


def test_components_of_largest_error_are_drawn_where_there_are_many():
    names = [f"part {number}" for number in range(100)]
    items = pd.DataFrame({"component": names, "value": np.linspace(0, 0.9, 100), "chance": 0.5, "prevalence": 0.5})
    (picture,) = draw_composition([_run(Scores({"occupancy-error": _score(items)}))])
    assert picture.chart.names == names[40:]
    assert picture.chart.series[0].x == pytest.approx(np.linspace(0, 0.9, 100)[40:])
    assert picture.chart.value.high > 0.9


def test_rotation_errors_are_shares_beside_random_poses(charts, runs):
    chart = charts["rotation-errors"].chart
    assert len(chart.series) == 4
    assert all(line.y.sum() == pytest.approx(1) for line in chart.series)
    assert chart.references[0].shape == "dotted"
    assert chart.references[0].y.sum() == pytest.approx(1)
    assert "rotation-errors-per-state" not in charts


def test_frames_by_state_are_drawn_for_the_runs_that_have_them():
    curve = pd.DataFrame({"low_deg": [0, 5], "high_deg": [5, 10], "particles": [3, 1], "random": [0.5, 0.5]})
    both = [
        _run(Scores({}, {"rotation-errors": curve}), "whole"),
        _run(Scores({}, {"rotation-errors": curve.assign(per_state=[4, 0])}), "by-state"),
    ]
    whole, by_state = draw_rotations(both)
    assert [line.slug for line in whole.chart.series] == ["whole", "by-state"]
    assert [line.slug for line in by_state.chart.series] == ["by-state"]
    assert by_state.chart.series[0].y == pytest.approx([1, 0])


def test_large_shift_errors_are_in_the_last_bin():
    values = np.r_[np.full(99, 1.0), 1000.0]
    (picture,) = draw_shifts([_run(Scores({"shift-error": _score(pd.DataFrame({"value": values}))}))])
    line = picture.chart.series[0]
    assert line.y.sum() == pytest.approx(1)
    assert line.x.max() < 30
    assert line.y[-1] >= 0.01


def test_scores_state_by_state_are_means_with_their_range(dataset, runs, charts):
    chart = charts["states-fsc-auc-normalised-masked"].chart
    items = next(run for run in runs if run.label == "3d-class").scores.scores["fsc-auc-normalised-masked"].items
    expected = items.groupby(dataset.truth.states[items["particle"]])["value"].agg(["mean", "min", "max"])
    line = _series(chart, runs, "3d-class")
    assert line.x == pytest.approx(expected.index.to_numpy(float))
    assert line.y == pytest.approx(expected["mean"].to_numpy())
    assert line.high == pytest.approx(expected["max"].to_numpy())
    assert len(_series(charts["states-conformation-fsc-auc-normalised"].chart, runs, "3d-class").x) == N_STATES


@pytest.mark.parametrize("kind", ["lines", "dots", "plane", "grid"])
def test_every_kind_of_chart_is_drawn_with_every_run(kind, charts, runs):
    picture = next(picture for picture in charts.values() if picture.kind == kind)
    svg = ElementTree.fromstring(to_svg(draw_on_paper(picture.chart, style_runs(runs))))
    words = {text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    title = picture.chart.value.title if kind == "dots" else picture.chart.x.title
    assert title in words
    if kind == "grid":
        assert set(picture.chart.columns) & words
        return
    series = picture.chart.points if kind == "plane" else picture.chart.series
    labels = {run.slug: run.label for run in runs}
    assert {labels[each.slug] for each in series} <= words


def test_names_of_a_forest_stand_beside_their_runs():
    values = {"low": 0.1, "best": 0.9, "middle": 0.5}
    scores = pd.DataFrame(
        [
            {
                "slug": slug, "metric": name, "value": value, "low": value - 0.05, "high": value + 0.05, "n": 7,
                "never_crossed": 0,
            }
            for slug, value in values.items()
            for name in ("ari", "population-error")
        ]
    )  # fmt: skip
    styles = {slug: RunStyle(f"run {slug}", "#000000") for slug in (*values, "failed")}
    for metric, order in (("ari", ["best", "middle", "low"]), ("population-error", ["low", "middle", "best"])):
        chart = draw_forest(scores, metric, styles)
        assert chart.names == [f"run {slug}" for slug in order]  # from the top down
        assert [(series.slug, series.x[0], series.y[0]) for series in chart.series] == [
            (slug, values[slug], row) for row, slug in enumerate(order)
        ]
        assert chart.remark.endswith("failed: 1")


def test_a_resolution_that_most_curves_never_reach_has_no_row():
    row = {"slug": "a", "metric": "resolution-0.5", "value": 9.0, "low": 8.0, "high": 10.0, "n": 10}
    styles = {"a": RunStyle("a", "#000000")}
    for never, rows in ((4, ["a"]), (5, [])):
        assert draw_forest(pd.DataFrame([{**row, "never_crossed": never}]), row["metric"], styles).names == rows


def test_methods_of_a_page_differ_in_colour_while_there_are_colours():
    def style(*names):
        records = [Reconstruction(np.arange(2), record=RunRecord(name)) for name in names]
        return list(style_runs(tables.name_runs([(record, Scores({})) for record in records])).values())

    found = style("3d-class-ab-initio", "3dva", "opus-dsd", "3d-class")
    assert len({each.colour for each in found}) == 4
    assert found[1] == style("3dva")[0]
    assert len({(each.colour, each.marker) for each in style(*9 * ["3d-class-ab-initio"])}) == 9


def _scores(*rows):
    return pd.DataFrame(rows, columns=["slug", "metric", "value", "low", "high", "n", "never_crossed"])


def test_a_cost_chart_without_points_says_why():
    styles = {"a": RunStyle("run a", "#0072B2"), "b": RunStyle("run b", "#D55E00")}
    scores = _scores(("a", "resolution-0.5", np.inf, np.nan, np.nan, 9, 9))
    chart = draw_cost(scores, "resolution-0.5", Cost("wall_seconds", "wall time / s", {"a": 3.0, "b": 4.0}), styles)
    assert not chart.series
    assert "no score or cost: 2 runs" in to_svg(draw_on_paper(chart, styles))


def test_a_single_run_is_at_its_own_number():
    styles = {"a": RunStyle("run a", "#0072B2")}
    scores = _scores(("a", "resolution-0.5", 25.6, 25.6, 25.6, 9, 0))
    cost = Cost("wall_seconds", "wall time / s", {"a": 730.0})
    forest, spent = draw_forest(scores, "resolution-0.5", styles), draw_cost(scores, "resolution-0.5", cost, styles)
    assert forest.value.low < 25.6 < forest.value.high
    assert spent.y.low < 25.6 < spent.y.high
    x = draw_on_paper(spent, styles)["layer"][-1]["encoding"]["x"]
    assert x["scale"]["domain"] == [365, 1460]
    assert {500, 1000} <= set(x["axis"]["values"])
    assert draw_forest(_scores(("a", "coverage", 100.0, 100.0, 100.0, 9, 0)), "coverage", styles).value.high == 100
