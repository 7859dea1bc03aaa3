"""Specifications of charts: valid Vega-Lite of the same data on page and paper, and SVG of text and lines."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from importlib.resources import files
from io import StringIO
from itertools import pairwise

import jsonschema
import numpy as np
import pandas as pd
import pytest

from cryobench._progress import Silent
from cryobench.report.card.views import ParticleViews
from cryobench.report.charts.dataset import draw_card
from cryobench.report.charts.kinds import Axis, BarChart, Bundle, GridChart, LineChart, Reference, Series
from cryobench.report.drawing.draw import draw_on_page, draw_on_paper, save_svg, to_svg
from cryobench.report.drawing.montage import Cell, Montage
from cryobench.report.drawing.pictures import draw_particles, draw_slices
from cryobench.report.drawing.vega import PAGE, PAPER, colour_bar, encode, table
from cryobench.report.pages.contents import Contents
from cryobench.report.pages.downloads import draw_figures
from cryobench.report.pages.specs import report_data
from cryobench.report.scored_runs.styles import RunStyle
from fabricated import HOSTILE_NAME, fabricate_results, fabricate_rich_dataset

SVG = "{http://www.w3.org/2000/svg}"
STYLES = {"a": RunStyle("run a", "#0072B2"), "b": RunStyle(HOSTILE_NAME, "#D55E00", "dash", "x", True)}


@pytest.fixture(scope="module")
def contents() -> Contents:
    dataset = fabricate_rich_dataset()
    with Silent().task("report") as task:
        return Contents(dataset, fabricate_results(dataset), task)


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    path = files("altair").joinpath("vegalite", "v6", "schema", "vega-lite-schema.json")
    return jsonschema.Draft7Validator(json.loads(path.read_text(encoding="utf-8")))


def _lines(**options) -> LineChart:
    x = np.linspace(0, 0.5, 6)
    series = [Series("a", x, 1 - x, 0.9 - x, 1.1 - x), Series("b", x, 1 - 2 * x)]
    return LineChart(Axis("frequency", 0, 0.5, inverse="resolution / Å"), Axis("FSC", 0, 1), series, **options)


def test_specifications_of_page_and_paper_are_vega_lite(contents, schema):
    cards = {key: draw_on_page(chart, {}) for key, chart in draw_card(contents.card).items()}
    page = {**report_data(contents)["specs"], **cards}
    kinds = {}
    for key, spec in page.items():
        kinds.setdefault(re.sub(r"[/-].*", "", key), spec)
    paper = {key: figure for key, figure in draw_figures(contents) if isinstance(figure, dict)}
    drawn = [*kinds.items(), *((key, paper[key]) for key in ("forest", "fsc", "latents-truth", "populations"))]
    assert len(drawn) > 25
    for key, spec in drawn:
        problem = jsonschema.exceptions.best_match(schema.iter_errors(spec))
        assert problem is None, (key, problem.message)
    for medium in (PAGE, PAPER):
        assert list(schema.iter_errors({**kinds["forest"], "config": medium.config})) == []


def test_page_and_paper_show_the_same_numbers():
    page, paper = draw_on_page(_lines(), STYLES), draw_on_paper(_lines(), STYLES)
    values = [
        [layer["data"]["values"] for layer in spec["layer"] if layer["mark"]["type"] in ("line", "area")]
        for spec in (page, paper)
    ]
    assert values[0] == values[1]
    assert "tooltip" in json.dumps(page)
    assert not {"tooltip", "params", "var("} & set(re.findall(r"tooltip|params|var\(", to_svg(paper)))
    assert not any(layer.get("params") for layer in paper["layer"])


def test_runs_that_wait_in_the_legend_are_not_chosen_at_first():
    def chosen(spec):
        (param,) = (each for layer in spec["layer"] for each in layer.get("params", []) if each["name"] == "shown")
        return [each["run"] for each in param["value"]]

    chart = _lines(references=[Reference("chance", np.array([0, 0.5]), np.array([0.1, 0.2]))])
    assert chosen(draw_on_page(chart, STYLES)) == ["chance", "run a", HOSTILE_NAME]
    assert chosen(draw_on_page(chart, STYLES, ["a"])) == ["chance", "run a"]


def test_the_value_of_every_curve_is_said_at_the_place_of_the_mouse():
    x = np.array([0.0, 1.0, 2.0])
    series = [Series("a", x, np.array([1.0, np.nan, 3.0])), Series("b", x[1:], np.array([5.0, 6.0]))]
    spec = draw_on_page(LineChart(Axis("x"), Axis("y"), series), STYLES)
    (hover,) = (layer for layer in spec["layer"] if layer["mark"]["type"] == "rule")
    assert hover["data"]["values"].splitlines() == ["x,r0,r1", "0,1,", "1,,5", "2,3,6"]
    assert [each["title"] for each in hover["encoding"]["tooltip"]] == ["x", "run a", HOSTILE_NAME]


def test_single_curves_are_columns_named_by_run_and_particle():
    curves = np.array([[1.0, 0.5], [0.9, 0.4]])
    bundle = Bundle("b", np.array([0.0, 0.5]), curves, np.array([7, 30]))
    spec = draw_on_page(_lines(bundles=[bundle]), STYLES)
    (layer,) = (each for each in spec["layer"] if each.get("transform") and "fold" in each["transform"][0])
    assert layer["data"]["values"].splitlines() == ["x,0p7,0p30", "0,1,0.9", "0.5,0.5,0.4"]
    assert json.dumps(HOSTILE_NAME) in layer["transform"][1]["calculate"]


def test_tables_keep_any_name_and_leave_cells_empty():
    spec = table({"run": ['a, "b"\nc', HOSTILE_NAME], "x": [np.nan, 1 / 3]})
    assert spec["format"]["parse"] == {"run": "string", "x": "number"}
    back = pd.read_csv(StringIO(spec["values"]))
    assert back["run"].tolist() == ['a, "b"\nc', HOSTILE_NAME]
    assert np.isnan(back["x"][0])
    assert back["x"][1] == 0.33333


@pytest.mark.parametrize(
    ("ends", "ticks"), [((0.03, 0.3), [0.02, 0.05, 0.1, 0.2, 0.5]), ((1, 9000), [1, 10, 100, 1000, 10000])]
)
def test_logarithmic_axes_are_marked_at_round_numbers(ends, ticks):
    assert encode("x", Axis("time", logarithmic=True), ends)["axis"]["values"] == ticks


def test_a_circle_is_marked_in_quarters():
    bars = BarChart(
        Axis("angle / °", -90, 270, period=360), Axis("n", 0), np.arange(-80, 270, 20.0), np.ones(18), 20.0
    )
    assert draw_on_paper(bars, {})["encoding"]["x"]["axis"]["values"] == [-90, 0, 90, 180, 270]


def test_an_axis_of_open_end_has_room_above_its_curves():
    assert encode("y", Axis("fraction", 0))["scale"] == {"zero": False, "nice": True, "domainMin": 0}
    assert not encode("y", Axis("fraction", 0, 1))["scale"]["nice"]


@pytest.mark.parametrize("title", ["tilt of the view from z / °", "dihedral / °"])
def test_the_title_beside_a_colour_bar_is_not_longer_than_it(title):
    lines = colour_bar(title, PAPER)["title"]
    lines = [lines] if isinstance(lines, str) else lines
    assert " ".join(lines).replace("\u00a0", " ") == title
    assert all(0.5 * PAPER.size * len(line) <= PAPER.bar for line in lines)


def test_names_of_columns_do_not_run_together():
    values = [str(18 * number) for number in range(20)]
    spec = draw_on_page(GridChart(Axis("turn / °"), Axis("class"), values, ["0"], np.ones((1, 20))), {})
    words = r'<text [^>]*translate\(([\d.]+),[^>]*opacity="1">(\d+)</text>'
    places = [(float(x), word) for x, word in re.findall(words, to_svg({**spec, "width": 440})) if word in values]
    assert len(places) > 8
    width = 0.6 * (PAPER.size - 1)
    for (left, word), (right, other) in pairwise(sorted(places)):
        assert right - left > width * (len(word) + len(other)) / 2 + 2


@pytest.mark.parametrize(("whole", "count"), [(False, 2), (True, 1)])
def test_dashes_are_in_the_legend_of_lines_and_not_of_markers(whole, count):
    svg = to_svg(draw_on_paper(replace(_lines(), x=Axis("x", whole=whole)), STYLES))
    assert svg.count('stroke-dasharray="6,4"') == count


def test_svg_files_are_small_and_the_same_each_time(tmp_path):
    spec = draw_on_paper(_lines(), STYLES)
    for name in ("one.svg", "two.svg"):
        save_svg(spec, tmp_path / name)
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "two.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.get("width") == "336"
    words = [each.text for each in root.iter(f"{SVG}text")]
    assert {"run a", HOSTILE_NAME, "frequency", "resolution / Å", "2"} <= set(words)
    assert "aria-label" not in text
    assert not re.search(r'="[^"]*\d\.\d{3}', text)


def test_dots_are_circles_and_numbers_in_words_are_whole():
    half = Reference("0.143", np.array([0, 0.5]), np.full(2, 0.143), "dotted")
    points = replace(_lines(references=[half]), shape="points")
    svg = to_svg(draw_on_paper(points, STYLES))
    assert svg.count("<circle") >= 6
    assert ">0.143<" in svg


def test_pictures_stand_in_rows_with_their_words_as_text():
    picture = np.zeros((4, 8))
    cells = [Cell(picture, above="<a> & b", below=["x" * 99, "y"]), None]
    root = ElementTree.fromstring(Montage([cells, cells], 200, ["one\ntwo", "three"], foot="foot").to_svg())
    images = root.findall(f"{SVG}image")
    assert len(images) == 2
    assert float(images[0].get("width")) == pytest.approx(2 * float(images[0].get("height")), abs=0.2)
    words = [each.text for each in root.iter(f"{SVG}text")]
    assert {"<a> & b", "y", "one", "two", "three", "foot"} <= set(words)
    assert sum(word.endswith("…") for word in words) == 2  # what is too long is cut
    bottom = max(float(image.get("y")) + float(image.get("height")) for image in images)
    assert bottom < float(root.get("height"))


def test_names_of_particles_are_whole():
    views = [ParticleViews(335_239, 99, {"as stored": np.zeros((4, 4))})] * 7
    assert draw_particles(views).count(">335239, state 99</text>") == 7


def test_slices_have_a_bar_of_a_round_length():
    svg = draw_slices({"true volume": np.zeros((3, 16, 16)), "b": np.ones((3, 16, 16))}, 1.0, 150.0)
    bar = re.search(
        r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="[\d.]+" fill="white"/><text[^>]*>20 Å<', svg
    )
    assert float(bar.group(1)) == pytest.approx(20 / 150 * 16, abs=0.01)
