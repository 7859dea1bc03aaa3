"""Findings of runs: drawn by their type, never guessed from a model, and the numbers in every picture."""

import xml.etree.ElementTree as ElementTree
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from cryobench.data import (
    ClassVolumes,
    Components,
    Convergence,
    Finding,
    HalfSetFsc,
    LatentDensity,
    LatentPath,
    Reconstruction,
    RunRecord,
    Scores,
)
from cryobench.report.charts.findings import draw_convergence, draw_densities, draw_half_sets, draw_variances
from cryobench.report.colours import DIVERGING, colour_change, rgb
from cryobench.report.drawing.draw import draw_on_paper, to_svg
from cryobench.report.drawing.pictures import draw_class_volumes, draw_components, draw_frames
from cryobench.report.findings.gather import gather_findings
from cryobench.report.findings.tables import (
    collect_notes,
    flatten_density,
    tabulate_classes,
    tabulate_densities,
    tabulate_half_sets,
    tabulate_paths,
    tabulate_progress,
)
from cryobench.report.findings.volumes import (
    MOST_FRAMES,
    cut_planes,
    find_outline,
    find_planes,
    view_classes,
    view_components,
    view_frames,
)
from cryobench.report.scored_runs.styles import style_runs
from cryobench.report.scored_runs.tables import Run
from fabricated import PIXEL_SIZE, fabricate_dataset

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def dataset():
    return fabricate_dataset(n=20, box_size=16)


def _run(label: str = "a", *findings: Finding, status: str = "finished", **parts) -> Run:
    reconstruction = Reconstruction(np.arange(2), findings=findings, record=RunRecord(label, status=status), **parts)
    return Run(label, label, reconstruction, Scores({}))


def _components(variances: np.ndarray) -> Components:
    return Components(np.zeros((4, 4, 4)), np.zeros((len(variances), 4, 4, 4)), variances)


def _draw(runs: list[Run], dataset) -> list:
    return [
        *draw_variances(runs), *draw_densities(runs), *draw_half_sets(runs, dataset), *draw_convergence(runs),
    ]  # fmt: skip


def test_arrays_of_a_model_are_no_findings(dataset):
    cubes = np.ones((2, 4, 4, 4))
    model = {
        "mean": cubes[0], "components": cubes, "variances": np.ones(2), "volumes": cubes,
        "populations": np.ones(2) / 2, "resolutions": np.ones(2), "half_set_fsc": np.ones(3),
        "density": np.ones((3, 3)), "density_axes": np.tile(np.arange(3.0), (2, 1)),
        "path_latents": np.ones((2, 2)), "path_volumes": cubes,
    }  # fmt: skip
    runs = [_run(model=model)]
    found = gather_findings(runs, dataset)
    assert found.is_empty
    assert all(table.empty for _, _, table in found.tables)
    assert _draw(runs, dataset) == []


def test_findings_of_a_failed_run_and_those_of_nothing_are_not_drawn(dataset):
    findings = (
        _components(np.ones(2)),
        ClassVolumes(np.ones((2, 4, 4, 4)), np.ones(2) / 2),
        HalfSetFsc(np.ones(3)),
        LatentDensity(np.ones((3, 3)), np.tile(np.arange(3.0), (2, 1))),
        LatentPath(np.ones((2, 2)), np.ones((2, 4, 4, 4))),
        Convergence(({"iteration": 1, "objective": 1.0}, {"iteration": 2, "objective": 2.0}), "all 2 steps done"),
    )
    runs = [_run("a", *findings, status="failed", notes=("x",))]
    empty = (
        _components(np.ones(0)),
        ClassVolumes(np.ones((0, 4, 4, 4)), np.ones(0)),
        HalfSetFsc(np.ones((2, 3)), "query"),
    )
    for none in (runs, [_run("b", *empty)]):
        assert gather_findings(none, dataset).is_empty
        assert all(table.empty for _, _, table in gather_findings(none, dataset).tables)
        assert _draw(none, dataset) == []
    assert not gather_findings([_run("a", *findings)], dataset).is_empty
    assert len(_draw([_run("a", *findings)], dataset)) == 4


def test_a_density_over_more_latents_is_summed_over_the_further_ones(rng):
    plane, line = rng.uniform(size=(5, 5)), np.array([1.0, 2, 3, 2, 0])
    axes = np.stack([np.arange(5.0), np.arange(5.0), 0.5 * np.arange(5)])
    density = LatentDensity(plane[..., None] * line, axes)
    values, kept = flatten_density(density)
    assert values == pytest.approx(plane * 8 * 0.5)
    assert kept == pytest.approx(axes[:2])
    table = tabulate_densities([_run("a", density)]).set_index(["first", "second"])["density"]
    assert table[(1.0, 3.0)] == pytest.approx(4 * plane[1, 3])


def test_densities_have_the_first_latent_to_the_right_with_path_and_particles_inside(rng):
    density = np.zeros((4, 4))
    density[3, 1] = 1.0  # first latent high, second low
    axes = np.tile(np.linspace(-1, 1, 4), (2, 1))
    latents = np.array([[0, 0.5, 9], [2.0, 0, 9], [np.nan, 0, 9], [1, -1, 9]])
    path = np.array([[0.0, 0.1, 5], [0.2, 0.3, 5]])
    flat = _run("flat", LatentDensity(np.ones(4), axes[:1]))
    run = _run("a", LatentDensity(density, axes), LatentPath(path), latents=latents)
    picture, line = draw_densities([run, flat])
    assert (picture.run, picture.kind) == ("a", "density")
    assert picture.chart.values[1, 3] == 1
    assert picture.chart.path == pytest.approx(path[:, :2])
    assert picture.chart.points == pytest.approx(np.array([[0, 0.5], [1, -1]]))
    assert line.chart.series[0].slug == "flat"
    spec = draw_on_paper(picture.chart, style_runs([run]))
    cells, points, line = (pd.read_csv(StringIO(layer["data"]["values"])) for layer in spec["layer"][:3])
    (highest,) = cells.loc[cells["density"] == 1, ["at", "by"]].to_numpy().tolist()
    assert highest == pytest.approx([1, -1 / 3], abs=1e-4)
    assert points.to_numpy() == pytest.approx(picture.chart.points)
    assert line[["x", "y"]].to_numpy() == pytest.approx(path[:, :2])
    assert ">latent 1<" in to_svg(spec)


def test_a_fine_grid_is_thinned():
    axes = np.tile(np.linspace(0, 1, 250), (2, 1))
    (picture,) = draw_densities([_run("a", LatentDensity(np.ones((250, 250)), axes))])
    assert picture.chart.values.shape == (84, 84)
    assert len(picture.chart.columns) == len(picture.chart.rows) == 84


def test_variances_are_drawn_on_a_logarithmic_axis_without_those_that_are_none():
    runs = [_run("a", _components(np.array([4.0, 2.0, 0.0]))), _run("b", _components(np.zeros(2)))]
    (picture,) = draw_variances(runs)
    (series,) = picture.chart.series
    assert picture.chart.y.logarithmic
    assert (picture.chart.y.low, picture.chart.y.high) == pytest.approx((1.6, 5))
    (wide,) = draw_variances([_run("a", _components(np.array([10.0, 1e-9])))])
    assert wide.chart.y.low == pytest.approx(0.008)
    assert series.x.tolist() == [1, 2, 3]
    assert series.y[:2].tolist() == [4, 2]
    assert np.isnan(series.y[2])
    layer = draw_on_paper(picture.chart, style_runs(runs))["layer"][0]
    assert layer["encoding"]["y"]["scale"]["type"] == "log"
    assert layer["data"]["values"].splitlines()[-1] == "3,,a"


def test_half_sets_of_classes_are_their_median_and_range_without_empty_ones(dataset):
    curves = np.array([[1, 0.9, 0.2], [1, 0.7, 0.1], [1, 0.2, 0.0], [0, 0, 0]])
    volumes = ClassVolumes(np.zeros((4, 4, 4, 4)), np.array([0.5, 0.3, 0.2, 0]))
    of_queries = HalfSetFsc(np.full((2, 3), 0.05), of="query")
    classes = _run("a", volumes, of_queries, HalfSetFsc(curves, of="class"))
    whole = _run("b", HalfSetFsc(np.array([1, 0.8, 0.4])), of_queries)
    (picture,) = draw_half_sets([classes, whole], dataset)
    many, one = picture.chart.series
    length = 16 * PIXEL_SIZE
    assert many.x == pytest.approx(np.arange(3) / length)
    assert many.y == pytest.approx([1, 0.7, 0.1])
    assert many.low == pytest.approx([1, 0.2, 0])
    assert many.high == pytest.approx([1, 0.9, 0.2])
    assert one.low is None
    assert picture.chart.references[0].y == pytest.approx(0.143)
    table = tabulate_half_sets([classes, whole], dataset)
    assert sorted(set(table["class"])) == [-1, 0, 1, 2, 3]
    spec = draw_on_paper(picture.chart, style_runs([classes, whole]))
    assert spec["title"]["text"] == "resolution / Å"
    marks = pd.read_csv(StringIO(spec["layer"][-1]["data"]["values"]))
    assert marks["name"].iloc[-1] == float(f"{length / 2:.3g}")


def test_runs_of_one_objective_share_a_chart_and_others_do_not(dataset):
    log = ({"iteration": 1, "objective": 1.0}, {"iteration": 2, "objective": 3})
    odd = ({"iteration": 1, "objective": None}, {"iteration": 2}, {"iteration": 3, "objective": "words"})
    runs = [
        _run("a", Convergence(log, "converged: it", "gain")),
        _run("b", Convergence((*log, {"round": "last", "objective": 9.0}), "done", "gain")),
        _run("c", Convergence(log, "done", "loss")),
        _run("d", Convergence(log[:1], "done", "another")),
        _run("e", Convergence(odd, "done", "gain"), Convergence((), "done at once")),
    ]
    gain, loss = draw_convergence(runs)
    assert [series.slug for series in gain.chart.series] == ["a", "b"]
    assert gain.chart.series[1].y.tolist() == [1, 3]
    assert "Convergence: gain." in gain.caption
    assert "Convergence: loss." in loss.caption
    assert len({gain.key, loss.key}) == 2
    assert len(tabulate_progress(runs)) == 7
    stops = gather_findings(runs, dataset).stops
    assert stops[:2] == [("a", 2, "converged: it"), ("b", 3, "done")]
    assert stops[4:] == [("e", 3, "done"), ("e", 0, "done at once")]


def test_notes_and_paths_are_kept_in_order():
    runs = [_run(notes=("one", "two")), _run("b")]
    assert collect_notes(runs) == {"a": ["one", "two"]}
    table = tabulate_paths([_run("a", LatentPath(np.array([[1.0, 2], [3, 4]])))])
    assert table[["frame", "axis", "latent"]].to_numpy().tolist() == [[1, 1, 1], [1, 2, 2], [2, 1, 3], [2, 2, 4]]


@pytest.mark.parametrize("box_size", [16, 17])
def test_planes_go_where_the_variance_is_and_are_cut_there(box_size):
    variance = np.zeros((box_size,) * 3)
    variance[3, 9, 12] = 5
    variance[4:6, 2, 1] = 1
    assert find_planes(variance) == (3, 9, 12)
    volume = np.arange(box_size**3).reshape((box_size,) * 3)
    xy, xz, yz = cut_planes(volume, (3, 9, 12))
    assert (xy == volume[3]).all()
    assert (xz == volume[:, 9]).all()
    assert (yz == volume[:, :, 12]).all()


@pytest.mark.parametrize("box_size", [16, 17])
def test_components_stand_at_one_standard_deviation_on_one_scale(box_size):
    mean = np.zeros((box_size,) * 3, np.float32)
    mean[5:9, 5:9, 5:9] = 2.0
    components = np.zeros((5, *mean.shape), np.float32)
    components[0, 6, 7, 8] = 1.0
    components[1:, 6, 7, 9] = -1.0
    view = view_components(Components(mean, components, np.array([9.0, 4.0, -1.0, np.inf, 1.0, 1.0, 1.0])))
    assert view.components.shape == (4, 3, box_size, box_size)
    assert (view.n_components, view.n_variances) == (5, 7)
    assert view.components[0, 0, 7, 8] == 3  # plane xy
    assert view.components[1, 1, 6, 9] == -2  # plane xz
    assert not view.components[2:].any()
    assert 0 < view.limit <= 3
    assert view.mean[0, 6, 6] == 2
    assert view.edge == pytest.approx(0.5)
    figure = ElementTree.fromstring(draw_components(view))
    assert len(figure.findall(f"{SVG}image")) == 15
    # The outline of the mean, over each slice of a component that goes through it.
    crossed = sum(int(plane.max() > view.edge) for plane in view.mean)
    assert len(figure.findall(f".//{SVG}polyline")) == 4 * crossed > 0


def test_a_large_volume_is_reduced():
    components = np.zeros((1, 100, 100, 100), np.float32)
    view = view_components(Components(np.ones((100, 100, 100), np.float32), components, np.ones(1)))
    assert view.mean.shape == (3, 96, 96)
    assert view.limit == 1.0  # nothing varies


def test_a_path_is_seen_from_where_it_changes_with_both_ends():
    volumes = np.zeros((30, 8, 8, 8), np.float32)
    for frame in range(30):
        volumes[frame, 2, 4, frame % 8] = 1.0
        volumes[frame, :, 1, 1] = 0.1 * frame / 29
    view = view_frames(len(volumes), volumes.__getitem__)
    assert view.direction in (0, 1)  # along x the moving point stands still
    assert len(view.shown) == MOST_FRAMES
    assert (view.shown[0], view.shown[-1]) == (0, 29)
    assert view.n_frames == 30
    assert view.frames[-1] == pytest.approx(volumes[29].sum(axis=view.direction))
    assert view.differences.sum(axis=0) == pytest.approx(0, abs=1e-5)
    words = [text.text for text in ElementTree.fromstring(draw_frames(view)).findall(f"{SVG}text")]
    assert [each for each in words if each.isdigit()] == [str(frame + 1) for frame in view.shown]
    assert {"volume", "change"} < set(words)


def test_classes_stand_by_population_without_those_of_nobody(dataset):
    volumes = np.stack([np.full((16, 16, 16), level, np.float32) for level in (1.0, 2, 3, 4)])
    volumes[2, 9, 5, 3] = 100
    populations = np.array([0.2, 0.0, 0.5, 0.3])
    view = view_classes(ClassVolumes(volumes, populations))
    assert view.shown.tolist() == [2, 3, 0]
    # Probabilities that make no particle, which a softmax leaves.
    assert view_classes(ClassVolumes(volumes, np.maximum(populations, 1e-40)), 100).shown.tolist() == [2, 3, 0]
    assert view.planes[0, 0, 5, 3] == 100  # the plane xy in which they differ most
    resolutions = np.array([20.0, 96.0, 15.04, np.nan])
    run = _run("a", ClassVolumes(volumes, populations, resolutions))
    assert np.isnan(tabulate_classes([run])["resolution"]).tolist() == [False, True, False, True]
    found = gather_findings([run], dataset)
    captions = found.class_captions("a")
    assert captions == [
        ["class 2", "50.0 %", "15.0\u00a0Å"],
        ["class 3", "30.0 %"],
        ["class 0", "20.0 %", "20.0\u00a0Å"],
    ]
    assert found.class_rows("a")[1] == ("1", "0.0 %", "no particles")
    figure = ElementTree.fromstring(draw_class_volumes(view, captions))
    assert len(figure.findall(f"{SVG}image")) == 3
    assert [text.text for text in figure.findall(f"{SVG}text")] == [", ".join(lines) for lines in captions]
    empty = _run("a", ClassVolumes(volumes, 0 * populations))
    assert gather_findings([empty], dataset).volumes == {}


def test_a_change_is_coloured_by_its_sign_and_clearer_the_smaller_it_is():
    colours = colour_change(np.array([[-2.0, -0.5, 0.0, 1.0]]), 1.0)
    assert colours[0, :, 3].tolist() == [1, 0.5, 0, 1]
    assert colours[0, 0, :3] == pytest.approx(rgb(DIVERGING[0]))
    assert colours[0, 3, :3] == pytest.approx(rgb(DIVERGING[-1]))


def test_an_outline_runs_around_what_is_above_the_level():
    plane = np.zeros((9, 9))
    plane[3:6, 3:6] = 1.0
    outline = find_outline(plane, 0.5, 4)
    assert outline.shape == (36, 36)
    rows, columns = np.nonzero(outline)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 23, 12, 23)
    assert not outline[15:21, 15:21].any()
    assert not find_outline(plane, 2.0, 4).any()
