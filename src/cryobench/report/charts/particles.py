"""Charts of latents in two dimensions, and of class membership along the truth."""

import pandas as pd

from cryobench.report.axes import TruthAxis
from cryobench.report.charts.kinds import Axis, GridChart, ScatterChart, Trail
from cryobench.report.findings.series import SeriesView
from cryobench.report.scored_runs.colourings import Colouring
from cryobench.report.scored_runs.latent_views import LatentView


def draw_latents(
    view: LatentView, colouring: Colouring | None, series: list[SeriesView], *, umap: bool, brief: bool = False
) -> ScatterChart:
    """Latents of one run in UMAP or principal components, with the volumes of its series among them."""
    titles = ("UMAP 1", "UMAP 2") if umap else _component_titles(view, "" if brief else " of variance")
    trails = [
        Trail(
            each.name,
            each.components if not umap or each.umap is None else each.umap,
            [each.caption(frame) for frame in range(len(each.components))],
            each.series.particles,
            each.series.positions is not None,
        )
        for each in series
    ]
    particles = view.points["particle"].to_numpy(int)
    return ScatterChart(Axis(titles[0]), Axis(titles[1]), view.scatter(umap=umap), particles, colouring, trails, umap)


def _component_titles(view: LatentView, of: str) -> tuple[str, str]:
    first, second = (
        f"component {number} ({fraction:.0%}{of})" for number, fraction in enumerate(view.explained, start=1)
    )
    return first, second


def draw_classes(table: pd.DataFrame, axis: TruthAxis) -> GridChart:
    """Fraction of particles in each class at each true value, classes from bottom to top (``class_by_truth``)."""
    fractions = table.pivot(index="order", columns="truth", values="fraction")[::-1]
    names = table.drop_duplicates("order").set_index("order")["class"].loc[fractions.index]
    particles = table.drop_duplicates("truth").set_index("truth")["particles"].loc[fractions.columns].to_numpy(float)
    values = fractions.to_numpy(float)
    columns = [f"{value:.4g}" for value in fractions.columns]
    rows = [str(name) for name in names]
    return GridChart(
        Axis(f"true {axis.title}"), Axis("class"), columns, rows, values, values * particles, "fraction of particles"
    )
