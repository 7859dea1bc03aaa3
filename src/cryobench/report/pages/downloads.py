"""Downloads of a report: every figure as SVG, every table as CSV or Parquet."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from cryobench._progress import Task
from cryobench.metrics.display import choose_main
from cryobench.metrics.registry import get_metric, list_metrics
from cryobench.report.charts.fsc import draw_fsc
from cryobench.report.charts.particles import draw_classes, draw_latents
from cryobench.report.charts.scores import draw_cost, draw_forest
from cryobench.report.colours import tint
from cryobench.report.drawing import draw, pictures
from cryobench.report.drawing.vega import Spec
from cryobench.report.pages.contents import Contents
from cryobench.report.scored_runs.latent_views import TABLE, tabulate_views
from cryobench.report.scored_runs.queries import DEFAULT_LEVEL
from cryobench.report.scored_runs.tables import CURVE_KINDS, gather_curve, gather_items
from cryobench.report.slices import match_slices

Figure = Spec | str
"""A Vega-Lite specification, or SVG."""

MOST_CURVE_ROWS = 2_000_000
FOREST_PANELS = 2
"""Number of main scores, from the first, in the figure of scores."""
LATENT_PANELS = 8
MOST_DOTS = 1_500
"""Particles in a panel of latents: each is a circle in the SVG file."""


def write_svg(found: Iterable[tuple[str, Figure]], folder: Path, task: Task) -> dict[str, str]:
    """Write named figures into ``folder``, and return name to file."""
    folder.mkdir(exist_ok=True)
    written: dict[str, str] = {}
    for key, figure in found:
        draw.save_svg(figure, folder / f"{key}.svg")
        written[key] = f"{folder.name}/{key}.svg"
        task.advance()
    return written


def draw_figures(contents: Contents) -> Iterator[tuple[str, Figure]]:
    """(name, SVG or specification) of every figure of a report; names have the plot, and slug or particle."""
    yield from _draw_scores(contents)
    yield from _draw_runs(contents)
    for picture in contents.pictures:
        yield picture.key, draw.draw_on_paper(picture.chart, contents.styles)
    yield from _draw_findings(contents)
    pixel_size = contents.dataset.particles.pixel_size
    for query in contents.slices:
        slices, white = match_slices(query.volumes, query.reference)
        labelled = {contents.label_of(slug): planes for slug, planes in slices.items()}
        width = pixel_size * query.reference.shape[-1]
        yield f"slices-query-{query.particle}", pictures.draw_slices(labelled, white, width)
    for query in contents.surfaces:
        width = pixel_size * query.reference.shape[-1] / 10  # nm
        tinted = {
            contents.label_of(slug): tint(picture, contents.colour_of(slug))
            for slug, picture in query.pictures.items()
        }
        enclosed = float(query.enclosed[DEFAULT_LEVEL]) * width**3
        yield f"surfaces-query-{query.particle}", pictures.draw_surfaces(tinted, enclosed)


def _draw_scores(contents: Contents) -> Iterator[tuple[str, Figure]]:
    styles, scores, summary = contents.styles, contents.scores, contents.curve_summary
    if contents.score_names:
        panels = [kind.name for kind in choose_main(contents.score_names)][:FOREST_PANELS]
        forests = [draw_forest(scores, name, styles) for name in panels]
        yield "forest", draw.beside(forests, styles, columns=len(forests))
        if contents.costs:
            yield "cost", draw.draw_on_paper(draw_cost(scores, panels[0], contents.costs[0], styles), styles)
    for key, kinds in (("fsc", ("mask", "none")), ("fsc-heterogeneity", ("deviation-mask", "variance"))):
        curves = {kind: pd.DataFrame(summary.loc[summary["mask"] == kind]) for kind in kinds}
        curves = {CURVE_KINDS[kind]: rows for kind, rows in curves.items() if len(rows)}
        if curves:
            charts = [draw_fsc(rows, contents.dataset.particles.pixel_size) for rows in curves.values()]
            yield key, draw.beside(charts, styles, columns=len(charts), titles=list(curves))


def _draw_runs(contents: Contents) -> Iterator[tuple[str, Figure]]:
    styles, axis = contents.styles, contents.truth_axis
    for slug, table in contents.classes.items():
        if axis is not None:
            yield f"classes-{slug}", draw.draw_on_paper(draw_classes(table, axis), styles)
    for slug, view in contents.latents.items():
        series = [each for each in contents.series if each.slug == slug]
        view = view.thin(MOST_DOTS)
        shown = contents.colourings[:LATENT_PANELS] or [None]
        charts = [
            draw_latents(view, colouring, series if number == 0 else [], umap=view.has_umap, brief=True)
            for number, colouring in enumerate(shown)
        ]
        yield f"latents-{slug}", draw.beside(charts, styles, columns=min(4, max(2, len(charts))))


def _draw_findings(contents: Contents) -> Iterator[tuple[str, Figure]]:
    found = contents.findings
    for slug, view in found.components.items():
        yield f"components-{slug}", pictures.draw_components(view)
    for slug, view in found.paths.items():
        yield f"path-{slug}", pictures.draw_frames(view)
    for slug, view in found.motions.items():
        yield f"motion-{slug}", pictures.draw_motion(view, contents.styles[slug].colour)
    for slug, view in found.volumes.items():
        yield f"class-volumes-{slug}", pictures.draw_class_volumes(view, found.class_captions(slug))
    for view in contents.series:
        yield view.key, pictures.draw_frames(view.frames)


def write_tables(contents: Contents, folder: Path) -> list[tuple[str, str]]:
    """Write the tables as CSV, the largest as Parquet, into ``folder``, and return (file, description) of each."""
    curves, runs = contents.curves, contents.runs
    described = [curve for metric in list_metrics() for curve in get_metric(metric).curves]
    tables = [
        ("runs.csv", "runs with status, times and memory", contents.run_table),
        ("scores.csv", "scores with their intervals", contents.scores),
        ("fsc-summary.csv", "mean FSC curves and bands", contents.curve_summary),
        ("fsc.csv", "FSC curves of every query particle", curves.drop(columns="run").head(MOST_CURVE_ROWS)),
        *((f"{name}.csv", words, gather_curve(runs, name)) for name, words in described),
        ("composition.csv", "occupancy error of each component", gather_items(runs, "occupancy-error")),
        *contents.findings.tables,
        (TABLE, "latents in two dimensions: principal components and UMAP", tabulate_views(contents.latents)),
    ]
    return save_tables(tables, folder, "%.5g")


def save_tables(
    tables: Iterable[tuple[str, str, pd.DataFrame | None]], folder: Path, form: str
) -> list[tuple[str, str]]:
    """Write tables that have rows, given as (name, description, table), and return (file, description) of each."""
    folder.mkdir(exist_ok=True)
    written = []
    for name, words, table in tables:
        if table is None or not len(table):
            continue
        if name.endswith(".parquet"):
            table.to_parquet(folder / name, index=False)
        else:
            table.to_csv(folder / name, index=False, float_format=form)
        written.append((f"{folder.name}/{name}", words))
    return written
