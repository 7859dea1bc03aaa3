"""Motion in the report: seen from where it shows, over the map, in a figure, a picture that plays, and a table."""

from base64 import b64decode
from dataclasses import fields, replace
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from cryobench.data import HalfSetFsc, Motion, Reconstruction, RunRecord, Scores
from cryobench.report.charts.collect import collect_charts
from cryobench.report.drawing.pictures import draw_motion
from cryobench.report.findings.motion import animate_motion, view_motion
from cryobench.report.findings.tables import tabulate_motion
from cryobench.report.scored_runs.tables import Run
from cryobench.testing.toy import toy_dataset

SVG = "{http://www.w3.org/2000/svg}"


def make_motion(way=(0.0, 8.0, 0.0)):
    """Five points along x; the last two, heavy ones, go ``way`` along the first latent, none along the second."""
    points = np.array([[-8, 0, 0], [-4, 0, 0], [0, 0, 0], [4, 0, 0], [8, 0, 0]], dtype=float)
    latents = np.zeros((2, 3, 2))
    latents[0, :, 0] = latents[1, :, 1] = [-1, 0, 1]
    displacements = np.zeros((2, 3, 5, 3))
    displacements[0, :, 3:] = np.linspace(-0.5, 0.5, 3)[:, None, None] * way
    volume = np.zeros((24, 24, 24), dtype=np.float32)
    volume[12, 12, 10:15] = 1
    return Motion(volume, points, np.array([1, 1, 0, 4, 4.0]), latents, displacements, 2.0)


@pytest.mark.parametrize(("way", "direction"), [((3, 8, 1), 0), ((3, 1, 8), 1), ((0, 6, 8), 2)])
def test_it_is_seen_from_where_it_shows(way, direction):
    view = view_motion(make_motion(way))
    assert view.direction == direction
    assert view.moved[0] == pytest.approx(np.linalg.norm(way) * np.sqrt(0.8))
    assert view.moved[1] == 0


def test_points_of_density_stand_over_the_map_where_they_are():
    view = view_motion(make_motion())
    assert view.paths.shape == (2, 3, 4, 2)  # the point without mass is left out
    size = view.picture.shape[0]
    assert view.picture.shape == (size, size)
    assert size < 24
    at_rest = view.paths[1, 0]
    assert np.allclose(at_rest[:, 1], size // 2)
    assert np.allclose(at_rest[:, 0] - size // 2, [-4, -2, 2, 4])
    assert view.picture[size // 2, size // 2 - 2 : size // 2 + 3].min() == 1
    assert np.allclose(view.paths[0, -1, 3] - view.paths[0, 0, 3], [0, 4])


def test_the_playing_picture_is_svg_that_goes_there_and_back():
    view = view_motion(make_motion())
    root = ElementTree.fromstring(animate_motion(view, 0, "#0072B2"))
    circles = root.findall(f".//{SVG}circle")
    assert len(circles) == 4
    rows = [float(value) for value in circles[-1].findall(f"{SVG}animate")[1].get("values", "").split(";")]
    assert rows[0] == rows[-1]
    assert len(rows) == 5
    assert rows[2] == pytest.approx(rows[0] - 4)  # up on the page
    assert (root.find(f"{SVG}image") or root[0]).get("href", "").startswith("data:image/png;base64,")


def test_the_playing_points_lie_on_their_density():
    """Density at the points alone, off the middle row: each circle at rest is on a bright pixel of the picture."""
    motion = make_motion()
    points = motion.points + np.array([0, 4, 0])
    volume = np.zeros_like(motion.volume)
    volume[12, 14, 12 + (points[:, 0] / 2).astype(int)] = 1
    view = view_motion(replace(motion, points=points, volume=volume))
    root = ElementTree.fromstring(animate_motion(view, 1, "#0072B2"))
    _, _, encoded = root[0].get("href", "").partition("base64,")
    picture = np.asarray(Image.open(BytesIO(b64decode(encoded))).convert("L")) / 255
    circles = [(float(each.get("cx", "")), float(each.get("cy", ""))) for each in root.findall(f".//{SVG}circle")]
    assert [picture[int(row), int(column)] for column, row in circles] == [1, 1, 1, 1]
    assert (picture == 1).sum() == 5  # the point without mass is not shown


def test_figure_and_table_and_chart_of_the_control():
    dataset = toy_dataset(n=30)
    curve = np.linspace(1, 0, 13)
    found = (make_motion(), HalfSetFsc(curve, control=curve**2))
    record = RunRecord("a", status="finished")
    result = Reconstruction(dataset.queries, latents=np.zeros((30, 2)), findings=found, record=record)
    run = Run("a", "a", result, Scores({}))
    figure = ElementTree.fromstring(draw_motion(view_motion(make_motion()), "#0072B2"))
    assert len(figure.findall(f"{SVG}image")) == 2
    arrow = figure.findall(f".//{SVG}line")[-1]  # of a point that moves up, drawn where rows run down
    assert float(arrow.get("y2")) < float(arrow.get("y1"))
    assert len(figure.findall(f".//{SVG}polygon")) == 2  # points that stand still have none
    table = tabulate_motion([run])
    last = table[(table["axis"] == 1) & (table["step"] == 2)].iloc[0]
    assert (last["latent"], last["farthest"]) == (1, pytest.approx(8))
    assert last["moved"] == pytest.approx(8 * np.sqrt(0.8))
    charts = {picture.key: picture.chart for picture in collect_charts([run], dataset)}
    control = next(chart for key, chart in charts.items() if key.startswith("half-set-control"))
    assert np.allclose(control.references[0].y, curve**2)
    assert np.allclose(control.series[0].y, curve)


def test_parts_that_do_not_fit_are_refused():
    motion = make_motion()
    for changes in ({"masses": np.ones(4)}, {"displacements": np.zeros((2, 3, 4, 3))}, {"pixel_size": 0.0}):
        parts = {each.name: getattr(motion, each.name) for each in fields(motion)}
        with pytest.raises(ValueError, match=r"of Motion must have shape .* with .*p = 5|pixel size of a motion"):
            Motion(**{**parts, **changes})
    with pytest.raises(ValueError, match="control"):
        HalfSetFsc(np.ones(5), control=np.ones(4))
