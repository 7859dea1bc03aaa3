"""Specifications of all charts of a report, as the page's scripts read them, by the key that a plot requests.

A key may depend on selectors of the page: "cost/{forest-metric}/{cost-kind}" takes the values of the two selectors
with these ids. Charts that differ only in colouring or plane use the same data sets.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cryobench.report.charts.fsc import draw_fsc
from cryobench.report.charts.kinds import Chart, LineChart
from cryobench.report.charts.particles import draw_classes, draw_latents
from cryobench.report.charts.scores import draw_cost, draw_forest
from cryobench.report.drawing.draw import draw_on_page, fit
from cryobench.report.drawing.planes import scatter_spec
from cryobench.report.drawing.vega import PAGE, Spec, parse, to_csv
from cryobench.report.findings.series import SeriesView
from cryobench.report.pages.contents import Contents
from cryobench.report.scored_runs.colourings import Colouring
from cryobench.report.scored_runs.latent_views import LatentView
from cryobench.report.scored_runs.standing import sort_runs

MOST_AT_ONCE = 5
"""Runs of a crowded chart shown initially; the others can be selected in the legend."""


def plot_data(specs: dict[str, Spec], datasets: dict[str, str] | None = None) -> dict[str, Any]:
    """Specifications by key, their common data sets as CSV, and their common configuration."""
    return {"specs": specs, "datasets": datasets or {}, "config": PAGE.config}


def report_data(contents: Contents) -> dict[str, Any]:
    """Data of all plots of a report except the surfaces."""
    best = [run.slug for run in sort_runs(contents.runs, contents.standing.kind) if run.control is None]
    specs = {key: draw_on_page(chart, contents.styles) for key, chart in _selected_charts(contents)}
    latents, datasets = latent_specs(contents.latents, contents.colourings, contents.series)
    for picture in contents.pictures:
        chart, first = picture.chart, []
        if isinstance(chart, LineChart) and chart.shape != "line" and len(chart.series) > MOST_AT_ONCE:
            drawn = {series.slug for series in chart.series}
            first = [slug for slug in best if slug in drawn][:MOST_AT_ONCE]
        specs[picture.key] = draw_on_page(chart, contents.styles, first)
    return plot_data({**specs, **latents}, datasets)


def _selected_charts(contents: Contents) -> Iterator[tuple[str, Chart]]:
    """Scores, costs and FSC curves (with bands, and of single query particles) by selectors, and classes by run."""
    scores, pixel_size = contents.scores, contents.dataset.particles.pixel_size
    for name in contents.score_names:
        yield f"forest/{name}", draw_forest(scores, name, contents.styles)
        for cost in contents.costs:
            yield f"cost/{name}/{cost.name}", draw_cost(scores, name, cost, contents.styles)
    for mask in dict.fromkeys(contents.curve_summary["mask"]):
        summary, single = (
            pd.DataFrame(table.loc[table["mask"] == mask]) for table in (contents.curve_summary, contents.curves)
        )
        yield f"fsc/{mask}/", draw_fsc(summary, pixel_size)
        yield f"fsc/{mask}/single", draw_fsc(summary, pixel_size, single=single)
    for slug, table in contents.classes.items():
        if contents.truth_axis is not None:
            yield f"classes-{slug}", draw_classes(table, contents.truth_axis)


def latent_specs(
    views: dict[str, LatentView], colourings: Sequence[Colouring], series: Sequence[SeriesView] = ()
) -> tuple[dict[str, Spec], dict[str, str]]:
    """Specifications of each run's latents in each plane and colouring, and their common data sets.

    Positions are one data set per run and plane; colourings are one data set for all.
    """
    drawn = [view.points["particle"].to_numpy(int) for view in views.values()]
    particles = np.unique(np.concatenate([*drawn, np.zeros(0, dtype=int)]))
    colours = {"particle": particles, **{f"c{i}": each.axis.values[particles] for i, each in enumerate(colourings)}}
    datasets = {"particles": to_csv(colours)} if colourings else {}
    # Without any UMAP there is no choice of plane; if some runs have one, the others show principal components.
    planes = ("umap", "components") if any(view.has_umap for view in views.values()) else ("components",)
    specs = {}
    for slug, view in views.items():
        own = [each for each in series if each.slug == slug]
        for plane in planes:
            umap = plane == "umap" and view.has_umap
            name = f"latents-{slug}-{'umap' if umap else 'components'}"
            positions = view.scatter(umap=umap)
            columns = {"particle": view.points["particle"].to_numpy(int), "x": positions[:, 0], "y": positions[:, 1]}
            datasets[name] = to_csv(columns)
            for number, colouring in enumerate(colourings or [None]):
                transform = [] if colouring is None else _look_up(number, colours)
                source = {"data": {"name": name, "format": parse(columns)}, "transform": transform}
                spec = scatter_spec(draw_latents(view, colouring, own, umap=umap), PAGE, source)
                specs[f"latents-{slug}/{plane}/{number}"] = fit(spec)
    return specs, datasets


def _look_up(number: int, colours: dict[str, np.ndarray]) -> list[Spec]:
    """The transform that gives each particle its value of a colouring as field "c"."""
    source = {"data": {"name": "particles", "format": parse(colours)}, "key": "particle", "fields": [f"c{number}"]}
    return [{"lookup": "particle", "from": source, "as": ["c"]}]
