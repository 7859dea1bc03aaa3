"""Charts of ensembles: blocks and their names, the tree's lines, numbers of species, populations."""

import json
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

from cryobench.data import CoAssignment, Finding, Reconstruction, RunRecord, Scores
from cryobench.report.charts.ensembles import count_numbers, draw_ensembles, name_blocks
from cryobench.report.charts.kinds import Axis, DotChart, GridChart, LineChart, TreeChart
from cryobench.report.drawing.draw import draw_on_page, draw_on_paper, to_svg
from cryobench.report.findings.tables import tabulate_species
from cryobench.report.scored_runs.styles import style_runs
from cryobench.report.scored_runs.tables import Run


def make_run(label: str, *findings: Finding) -> Run:
    return Run(label, label, Reconstruction(np.arange(2), findings=findings, record=RunRecord(label)), Scores({}))


def make_agreement(**changes: np.ndarray) -> CoAssignment:
    parts = {
        "shares": np.array([[0.9, 0.8, -0.1], [0.8, 0.9, 0.0], [-0.1, 0.0, 1.0]]),
        "block_populations": np.array([0.3, 0.3, 0.4]),
        "merges": np.array([[0, 1, 0.2, 2], [2, 3, 1.05, 3]]),
        "species": np.array([0, 0, 1]),
        "populations": np.array([0.6, 0.4]),
        "intervals": np.array([[0.55, 0.65], [0.35, 0.45]]),
        "numbers": np.array([2, 2, 2, 3]),
    }
    return CoAssignment(**(parts | changes))


def test_blocks_are_named_by_their_species():
    assert name_blocks(np.array([2, 0, 0, 1])) == ["2", "0.1", "0.2", "1"]


def test_stems_begin_where_their_branches_end():
    tree = TreeChart(Axis("block"), Axis("height"), ["a", "b", "c"], make_agreement().merges)
    expected = [
        [0, 0, 0, 0.2],
        [1, 0, 1, 0.2],
        [0, 0.2, 1, 0.2],
        [2, 0, 2, 1.05],
        [0.5, 0.2, 0.5, 1.05],
        [2, 1.05, 0.5, 1.05],
    ]
    np.testing.assert_allclose(tree.brackets(), expected)


def test_every_run_has_its_blocks_tree_and_populations_and_all_have_one_chart_of_numbers():
    runs = [make_run("a", make_agreement()), make_run("b", make_agreement()), make_run("none")]
    pictures = draw_ensembles(runs)
    assert [type(each.chart) for each in pictures] == 2 * [GridChart, TreeChart, DotChart] + [LineChart]
    assert len({each.key for each in pictures}) == 7
    grid, numbers = pictures[0].chart, pictures[-1].chart
    assert isinstance(grid, GridChart)
    assert grid.fractions.min() == 0
    assert isinstance(numbers, LineChart)
    np.testing.assert_allclose(numbers.series[0].y, [0.75, 0.25])
    styles = style_runs(runs)
    path = files("altair").joinpath("vegalite", "v6", "schema", "vega-lite-schema.json")
    schema = jsonschema.Draft7Validator(json.loads(path.read_text(encoding="utf-8")))
    for each in [*pictures[:3], pictures[-1]]:
        assert each.kind
        for spec in (draw_on_page(each.chart, styles), draw_on_paper(each.chart, styles)):
            assert not [error.message for error in schema.iter_errors(spec)], each.key
        assert "<svg" in to_svg(draw_on_paper(each.chart, styles))


def test_one_block_of_a_given_number_has_no_charts():
    one = make_agreement(
        shares=np.zeros((1, 1)),
        block_populations=np.ones(1),
        merges=np.zeros((0, 4)),
        species=np.zeros(1, dtype=int),
        populations=np.ones(1),
        intervals=np.full((1, 2), np.nan),
        numbers=np.zeros(0, dtype=int),
    )
    assert draw_ensembles([make_run("a", one)]) == []


def test_numbers_are_counted_and_species_are_a_table():
    values, shares = count_numbers(np.array([3, 2, 2, 2]))
    np.testing.assert_array_equal(values, [2, 3])
    np.testing.assert_allclose(shares, [0.75, 0.25])
    table = tabulate_species([make_run("a", make_agreement()), make_run("none")])
    assert table.columns.tolist() == ["slug", "run", "species", "population", "low", "high"]
    np.testing.assert_allclose(table["high"], [0.65, 0.45])


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"merges must have shape \(2, 4\), got \(1, 4\)"):
        make_agreement(merges=np.zeros((1, 4)))
    with pytest.raises(ValueError, match="up to 5, and there are 2"):
        make_agreement(species=np.array([0, 5, 1]))
