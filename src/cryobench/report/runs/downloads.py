"""What a paper takes away from the report: every figure as SVG, every table as CSV or Parquet."""

from pathlib import Path

import pandas as pd

from cryobench._progress import Task
from cryobench.metrics.display import choose_main
from cryobench.metrics.registry import get_metric, list_metrics
from cryobench.report import figures
from cryobench.report.runs.contents import Contents
from cryobench.report.runs.latent_views import TABLE, tabulate_views
from cryobench.report.runs.pictures import label_of
from cryobench.report.runs.queries import DEFAULT_LEVEL, QueryVolumes
from cryobench.report.runs.tables import gather_curve, gather_items
from cryobench.report.slices import slices_of

MOST_CURVE_ROWS = 2_000_000
FOREST_PANELS = 2
"""Main scores in the figure of scores, the first ones."""


def write_figures(contents: Contents, queries: dict[int, QueryVolumes], folder: Path, task: Task) -> dict[str, str]:
    """Write every figure into ``folder``; key (plot name, with slug or particle) to file name."""
    folder.mkdir(exist_ok=True)
    written: dict[str, str] = {}

    def save(key: str, figure: figures.Figure) -> None:
        figures.save_svg(figure, folder / f"{key}.svg")
        written[key] = f"{folder.name}/{key}.svg"
        task.advance()

    styles, scores = contents.styles, contents.scores
    if contents.score_names:
        panels = [kind.name for kind in choose_main(contents.score_names)][:FOREST_PANELS]
        save("forest", figures.draw_forest(scores, panels, styles))
        save("cost", figures.draw_cost(scores, contents.run_table, panels[0], styles))
    for key, kinds in (("fsc", ("mask", "none")), ("fsc-heterogeneity", ("deviation-mask", "variance"))):
        curves = pd.DataFrame(contents.curve_summary.loc[contents.curve_summary["mask"].isin(kinds)])
        if len(curves):
            save(key, figures.draw_fsc(curves, contents.dataset.particles.pixel_size, styles))
    axis = contents.truth_axis
    for slug, table in contents.classes.items():
        save(f"classes-{slug}", figures.draw_class_map(table, axis.title if axis else "state"))
    for slug, view in contents.latents.items():
        series = [each for each in contents.series if each.slug == slug]
        save(f"latents-{slug}", figures.draw_latents(view, contents.colourings, series))
    for picture in contents.pictures:
        save(picture.key, figures.draw_chart(picture.chart, styles))
    found = contents.findings
    for slug, view in found.components.items():
        save(f"components-{slug}", figures.draw_components(view))
    for slug, view in found.paths.items():
        save(f"path-{slug}", figures.draw_frames(view))
    for slug, view in found.motions.items():
        save(f"motion-{slug}", figures.draw_motion(view, styles[slug].colour))
    for slug, view in found.volumes.items():
        save(f"class-volumes-{slug}", figures.draw_class_volumes(view, found.class_captions(slug)))
    for view in contents.series:
        save(view.key, figures.draw_frames(view.frames))
    for position, query in queries.items():
        if position in contents.slice_positions:
            slices, limits = slices_of(query)
            width = contents.dataset.particles.pixel_size * query.reference.shape[-1]
            labelled = {label_of(contents, slug): planes for slug, planes in slices.items()}
            save(f"slices-query-{query.particle}", figures.draw_slices(labelled, limits, width))
        if position in contents.surface_positions:
            width = contents.dataset.particles.pixel_size * query.reference.shape[-1] / 10  # nm
            pictures = {label_of(contents, slug): picture for slug, picture in query.pictures.items()}
            enclosed = float(query.enclosed[DEFAULT_LEVEL]) * width**3
            save(f"surfaces-query-{query.particle}", figures.draw_surfaces(pictures, enclosed))
    return written


def write_tables(contents: Contents, folder: Path) -> list[tuple[str, str]]:
    """Write the tables as CSV, the largest as Parquet, into ``folder``: (file, what it holds) of each."""
    folder.mkdir(exist_ok=True)
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
        (TABLE, "latents in the plane: principal components and UMAP", tabulate_views(contents.latents)),
    ]
    written = []
    for name, words, table in tables:
        if not len(table):
            continue
        if name.endswith(".parquet"):
            table.to_parquet(folder / name, index=False)
        else:
            table.to_csv(folder / name, index=False, float_format="%.5g")
        written.append((f"{folder.name}/{name}", words))
    return written
