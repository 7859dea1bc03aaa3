"""Latents in the plane: what is drawn of them, when UMAP is not, and that it is not computed twice."""

import sys
from copy import copy
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cryobench._progress import Silent
from cryobench.data import CollectiveVariable
from cryobench.imaging.ctf import Ctf
from cryobench.report.pages.contents import Contents
from cryobench.report.pages.downloads import draw_figures
from cryobench.report.pages.specs import latent_specs
from cryobench.report.scored_runs import latent_views
from cryobench.report.scored_runs.colourings import colourings
from cryobench.report.scored_runs.latent_views import TABLE, read_earlier, tabulate_views, view_latents
from cryobench.report.scored_runs.umap_layout import WIDEST, _find_neighbours, explain_no_umap, lay_out_umap
from fabricated import HOSTILE_NAME, fabricate_dataset, fabricate_results, fabricate_rich_dataset


def _count_calls(answer: float = 0.5):
    calls = []

    def lay_out(points: np.ndarray, *, seed: int) -> np.ndarray:
        calls.append(points)
        return np.full((len(points), 2), answer + len(calls))

    return calls, lay_out


def test_latents_are_projected_on_their_principal_axes_without_the_left_out():
    dataset = fabricate_dataset()
    results = {reconstruction.name: reconstruction for reconstruction, _ in fabricate_results(dataset)}
    latents = results[HOSTILE_NAME].latents
    view = view_latents(latents)
    assert 3 not in set(view.points["particle"])
    assert view.n_particles == len(view.points) == len(latents) - 1
    kept = latents[view.points["particle"].to_numpy()].astype(float)
    covariance = np.linalg.eigvalsh(np.cov(kept.T))[::-1]
    assert view.points["first"].var() == pytest.approx(covariance[0])
    assert view.explained == pytest.approx(tuple(covariance[:2] / covariance.sum()))


@pytest.mark.parametrize("shape", [(100, 1), (100, 2), (0, 3), (1, 1)])
def test_few_dimensions_and_few_particles_are_drawn_too(shape, rng):
    view = view_latents(rng.standard_normal(shape))
    assert len(view.points) == shape[0]
    assert not view.has_umap
    assert np.isfinite(view.points[["first", "second"]].to_numpy()).all()


def test_many_particles_are_a_seeded_part_and_components_are_those_of_all(rng, monkeypatch):
    monkeypatch.setattr(latent_views, "MOST_POINTS", 300)
    latents = rng.standard_normal((1001, 3)) * [5, 1, 1]
    calls, lay_out = _count_calls()
    view, again = (view_latents(latents, lay_out=lay_out) for _ in range(2))
    assert len(view.points) == 300
    assert view.n_particles == 1001
    assert view.points["particle"].tolist() == again.points["particle"].tolist()
    assert view.points["particle"].is_monotonic_increasing
    assert [len(points) for points in calls] == [300, 300]
    covariance = np.linalg.eigvalsh(np.cov(latents.T))[::-1]
    assert view.explained[0] == pytest.approx(covariance[0] / covariance.sum())


def test_umap_is_told_why_it_is_not_drawn(rng):
    assert "one dimension" in explain_no_umap(rng.standard_normal((500, 1)))
    assert "two dimensions" in explain_no_umap(rng.standard_normal((500, 2)))
    assert "20 distinct points" in explain_no_umap(np.repeat(rng.standard_normal((20, 3)), 50, axis=0))
    assert explain_no_umap(rng.standard_normal((200, 3))) is None


def test_an_earlier_umap_is_taken_only_for_the_same_latents(rng, tmp_path):
    latents = rng.standard_normal((250, 4))
    calls, lay_out = _count_calls()
    first = view_latents(latents, lay_out=lay_out)
    assert read_earlier(tmp_path) is None
    (tmp_path / "tables").mkdir()
    tabulate_views({"1-a": first}).to_parquet(tmp_path / "tables" / TABLE, index=False)
    earlier = read_earlier(tmp_path)
    second = view_latents(latents, earlier=earlier, lay_out=lay_out)
    assert len(calls) == 1
    assert (second.points["umap_first"] == first.points["umap_first"]).all()
    view_latents(latents + 1e-9, earlier=earlier, lay_out=lay_out)
    assert len(calls) == 2
    (tmp_path / "tables" / TABLE).write_bytes(b"no table")
    assert read_earlier(tmp_path) is None


def test_coinciding_particles_are_drawn_beside_one_another_and_others_in_place(rng):
    view = view_latents(np.repeat(rng.standard_normal((20, 2)), 10, axis=0))
    assert view.jittered
    drawn, places = view.scatter(umap=False), view.points[["first", "second"]].to_numpy()
    assert len(np.unique(drawn, axis=0)) == 200
    assert np.abs(drawn - places).max() < 0.08 * np.ptp(places)
    alone = view_latents(rng.standard_normal((200, 2)))
    assert (alone.scatter(umap=False) == alone.points[["first", "second"]].to_numpy()).all()


def test_wide_latents_are_brought_to_few_components_before_umap(rng, monkeypatch):
    seen = {}

    class Fake:
        def __init__(self, **settings):
            seen["settings"] = settings

        def fit_transform(self, points):
            seen["points"] = points
            return points[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Fake))
    points = np.repeat(rng.standard_normal((120, 80)), 2, axis=0)
    places = lay_out_umap(points, seed=7)
    assert seen["settings"]["random_state"] == 7
    assert seen["points"].shape == (120, WIDEST)
    assert (places[::2] == places[1::2]).all()
    assert np.linalg.norm(seen["points"], axis=1).mean() == pytest.approx(1, rel=0.1)


@pytest.mark.slow
def test_umap_keeps_groups_apart_without_a_warning_and_is_the_same_each_time(rng):
    groups = np.repeat(np.arange(5), 60)
    points = 30 * np.eye(5)[groups] + rng.standard_normal((300, 5))
    places = lay_out_umap(points, seed=3)
    assert (lay_out_umap(points, seed=3) == places).all()
    centres = np.stack([places[groups == group].mean(axis=0) for group in range(5)])
    nearest = np.argmin(np.linalg.norm(places[:, None] - centres[None], axis=-1), axis=1)
    assert (nearest == groups).mean() > 0.99


def test_colours_are_of_truth_first_then_of_what_should_leave_no_pattern():
    found = colourings(fabricate_rich_dataset())
    assert [colouring.axis.name for colouring in found] == [
        "dihedral", "length", "state",
        "tilt of the view from z", "longitude of the view", "in-plane angle", "defocus",
    ]  # fmt: skip
    assert [colouring.leak for colouring in found] == [False] * 3 + [True] * 4
    limits = {colouring.axis.name: colouring.limits for colouring in found}
    assert limits["dihedral"] == pytest.approx((0, 360))
    assert limits["longitude of the view"] == (0, 360)
    assert limits["state"] == (0, 19)
    assert limits["length"] == pytest.approx((3, 9))


def test_view_directions_are_the_beam_in_the_frame_of_the_reference():
    dataset = fabricate_dataset()
    by_name = {colouring.axis.name: colouring.axis.values for colouring in colourings(dataset)}
    beam = dataset.particles.rotations.transpose(0, 2, 1) @ np.array([0.0, 0, 1])
    tilt = np.deg2rad(by_name["tilt of the view from z"])
    longitude = np.deg2rad(by_name["longitude of the view"])
    again = np.stack([np.sin(tilt) * np.cos(longitude), np.sin(tilt) * np.sin(longitude), np.cos(tilt)], axis=1)
    assert again == pytest.approx(beam, abs=1e-5)


def test_what_does_not_vary_is_not_coloured_by():
    views = ["tilt of the view from z", "longitude of the view", "in-plane angle"]
    blind, known = fabricate_dataset(with_truth=False), fabricate_dataset()
    n = len(known.particles)
    alike = replace(known.truth, states=np.zeros(n, int), variables={"same": CollectiveVariable(np.ones(n), "Å")})
    one_focus = replace(known.particles, ctf=Ctf.from_columns(n, defocus_u=1e4, defocus_v=1e4))
    for dataset, expected in (
        (blind, [*views, "defocus"]),
        (replace(known, truth=alike, particles=one_focus), views),
    ):
        assert [colouring.axis.name for colouring in colourings(dataset)] == expected


def _title(layer) -> str:
    """Title of the colour bar, without its line breaks."""
    title = layer["encoding"]["color"]["legend"]["title"]
    return " ".join([title] if isinstance(title, str) else title).replace("\u00a0", " ")


def test_page_data_name_each_particle_once_and_colours_by_it(rng):
    dataset = fabricate_dataset()
    latents = rng.standard_normal((100, 3))
    latents[5] = np.nan
    views = {"a": view_latents(latents), "truth": view_latents(dataset.truth.embedding)}
    found = colourings(dataset)
    specs, datasets = latent_specs(views, found)
    particles, places = (pd.read_csv(StringIO(datasets[name])) for name in ("particles", "latents-a-components"))
    assert particles["particle"].tolist() == list(range(100))
    assert len(places) == 99
    assert not any("umap" in key for key in (*specs, *datasets))  # nobody has one
    joined = places.merge(particles, on="particle")
    expected = np.rad2deg(dataset.truth.variables["dihedral"].values)[views["a"].points["particle"]]
    assert joined["c0"].to_numpy() == pytest.approx(expected, rel=1e-4)
    for number, colouring in enumerate(found):
        layer = specs[f"latents-a/components/{number}"]["layer"][-1]
        assert layer["data"]["name"] == "latents-a-components"
        assert layer["transform"][0]["from"]["fields"] == [f"c{number}"]
        assert _title(layer) == colouring.axis.title
    scale = specs["latents-a/components/0"]["layer"][-1]["encoding"]["color"]["scale"]
    assert scale["domain"] == [0, 360]
    assert scale["range"][0] == scale["range"][-1]  # around a circle


def test_components_stand_in_for_a_umap_that_only_others_have(rng):
    found = view_latents(rng.standard_normal((30, 2)))
    places = found.points.assign(umap_first=1.5, umap_second=2.5)
    specs, datasets = latent_specs({"a": found, "b": replace(found, points=places, no_umap=None)}, [])
    assert specs["latents-a/umap/0"] == specs["latents-a/components/0"]
    assert specs["latents-b/umap/0"] != specs["latents-b/components/0"]
    assert set(datasets) == {"latents-a-components", "latents-b-umap", "latents-b-components"}
    assert "1.5,2.5" in datasets["latents-b-umap"]


def test_few_particles_are_drawn_of_many_in_a_figure(rng):
    view = view_latents(rng.standard_normal((150, 2)))
    thinned = view.thin(20)
    assert len(thinned.points) == len(thinned.scatter(umap=False)) == 20
    assert set(thinned.points["particle"]) < set(view.points["particle"])
    assert len(view.thin(1000).points) == 150


def test_latents_are_drawn_once_for_each_colouring():
    dataset = fabricate_dataset()
    with Silent().task("report") as task:
        contents = Contents(dataset, fabricate_results(dataset), task)
    figures = dict(draw_figures(contents))
    panels = figures["latents-truth"]["concat"]
    titles = [_title(panel["layer"][-1]) for panel in panels]
    assert titles == [colouring.axis.title for colouring in contents.colourings]
    assert len(panels[0]["layer"][-1]["data"]["values"].splitlines()) == 101
    bare = copy(contents)
    bare.colourings = []
    assert len(dict(draw_figures(bare))["latents-truth"]["concat"]) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*not an NNDescent object")
def test_neighbours_found_beforehand_are_those_of_umap():
    from umap import UMAP

    points = np.random.default_rng(0).standard_normal((500, 6)).astype(np.float32)
    given, own = (
        UMAP(random_state=0, n_jobs=1, n_epochs=1, **options).fit(points).graph_
        for options in (_find_neighbours(points), {})
    )
    assert given.nnz == own.nnz
    assert abs(given - own).max() < 1e-5
