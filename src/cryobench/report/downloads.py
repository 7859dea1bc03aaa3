"""What a paper takes away from the report: every figure as SVG, every table as CSV."""

from pathlib import Path

from cryobench._progress import Task
from cryobench.report import figures
from cryobench.report.contents import Contents
from cryobench.report.pictures import label_of
from cryobench.report.queries import DEFAULT_LEVEL, QueryVolumes
from cryobench.report.slices import slices_of

MOST_CURVE_ROWS = 2_000_000


def write_figures(contents: Contents, queries: dict[int, QueryVolumes], folder: Path, task: Task) -> dict[str, str]:
    """Write every figure into ``folder``; key (plot name, with slug or particle) to file name."""
    folder.mkdir(exist_ok=True)
    written: dict[str, str] = {}

    def save(key: str, figure: figures.Figure) -> None:
        figures.save_svg(figure, folder / f"{key}.svg")
        written[key] = f"{folder.name}/{key}.svg"
        task.advance()

    styles, scores = contents.styles, contents.scores
    if contents.metrics:
        panels = [name for name in ("fsc-auc-normalised-masked", "fsc-auc-normalised") if name in contents.metrics]
        save("forest", figures.draw_forest(scores, panels or contents.metrics[:1], styles))
        save("cost", figures.draw_cost(scores, contents.run_table, contents.metrics[0], styles))
    if len(contents.curve_summary):
        save("fsc", figures.draw_fsc(contents.curve_summary, contents.dataset.particles.pixel_size, styles))
    axis = contents.truth_axis
    for slug, table in contents.classes.items():
        save(f"classes-{slug}", figures.draw_class_map(table, axis.title if axis else "state"))
    scatters = dict(contents.latents)
    if contents.truth_embedding is not None:
        scatters["truth"] = contents.truth_embedding
    for slug, table in scatters.items():
        title, period = (axis.title, axis.period) if axis else ("state", None)
        save(f"latents-{slug}", figures.draw_latents(table, title, period))
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
    """Write the tables as CSV into ``folder``: (file, what it holds) of each."""
    folder.mkdir(exist_ok=True)
    tables = [
        ("runs.csv", "runs with status, times and memory", contents.run_table),
        ("scores.csv", "scores with their intervals", contents.scores),
        ("fsc-summary.csv", "mean FSC curves and bands", contents.curve_summary),
        ("fsc.csv", "FSC curves of every query particle", contents.curves.drop(columns="run").head(MOST_CURVE_ROWS)),
    ]
    written = []
    for name, words, table in tables:
        if len(table):
            table.to_csv(folder / name, index=False, float_format="%.5g")
            written.append((f"{folder.name}/{name}", words))
    return written
