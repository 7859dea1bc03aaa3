"""Figure of latents in the plane, once for every colouring."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure

from cryobench.report.figures.style import CYCLIC, DISCRETE, PAGE_WIDTH, SEQUENTIAL, shorten, styled
from cryobench.report.runs.colourings import Colouring
from cryobench.report.runs.latent_views import LatentView
from cryobench.report.runs.series import SeriesView

MOST_PANELS = 8
COLUMNS = 4


@styled
def draw_latents(view: LatentView, colourings: Sequence[Colouring], series: Sequence[SeriesView] = ()) -> Figure:
    """UMAP, or principal components where there is none, coloured by the first ``MOST_PANELS`` colourings.

    Where the volumes of ``series`` stand is drawn over the first panel.
    """
    shown = list(colourings[:MOST_PANELS])
    columns = min(max(len(shown), 1), COLUMNS)
    rows = -(-max(len(shown), 1) // columns)
    figure = Figure(figsize=(PAGE_WIDTH * max(columns, 2) / COLUMNS, 0.35 + 1.75 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[max(len(shown), 1) :]:
        axis.set_axis_off()
    places = view.scatter(umap=view.has_umap)
    if not shown:
        draw_coloured(axes[0], places, view.points["particle"].to_numpy(int), None)
    for axis, colouring in zip(axes, shown, strict=False):
        _scatter(figure, axis, places, view, colouring)
    for axis in axes[: max(len(shown), 1)]:
        axis.set_xticks([])
        axis.set_yticks([])
    for each, colour in zip(series, DISCRETE, strict=False):
        marks = each.umap if view.has_umap and each.umap is not None else each.components
        line = "-" if each.series.positions is not None else "none"
        axes[0].plot(
            *marks.T,
            linestyle=line,
            marker="o",
            color=colour,
            markersize=2.5,
            linewidth=0.8,
            label=each.name,
            markeredgecolor="black",
            markeredgewidth=0.3,
        )
    if series:
        axes[0].legend(fontsize=5, loc="best")
    names = ("UMAP 1", "UMAP 2") if view.has_umap else _component_titles(view)
    for place in range(max(len(shown), 1)):
        if place % columns == 0:
            axes[place].set_ylabel(names[1])
        if place + columns >= max(len(shown), 1):
            axes[place].set_xlabel(names[0])
    return figure


def _scatter(figure: Figure, axis: Axes, places: np.ndarray, view: LatentView, colouring: Colouring) -> None:
    drawn = draw_coloured(axis, places, view.points["particle"].to_numpy(int), colouring)
    if drawn is not None:
        add_colour_bar(figure, drawn, [axis], colouring)
    axis.set_title(shorten(colouring.axis.title, 24), loc="left", fontsize=7)


def draw_coloured(
    axis: Axes, places: np.ndarray, particles: np.ndarray, colouring: Colouring | None
) -> PathCollection | None:
    """Dots of particles at places (m, 2); those that have a colour, or None without a colouring."""
    if colouring is None:
        axis.scatter(*places.T, s=1.5, color="0.5", linewidths=0, rasterized=True)
        return None
    values = colouring.axis.values[particles]
    known = np.isfinite(values)
    axis.scatter(*places[~known].T, s=1.2, color="0.75", linewidths=0, rasterized=True)
    norm, colours = _scale(colouring)
    return axis.scatter(
        *places[known].T, c=values[known], s=1.8, linewidths=0, cmap=colours, norm=norm, rasterized=True
    )  # fmt: skip


def add_colour_bar(figure: Figure, drawn: PathCollection, axes: list[Axes], colouring: Colouring) -> Colorbar:
    """The bar of a colouring beside axes."""
    bar = figure.colorbar(drawn, ax=axes, shrink=0.85, aspect=16, pad=0.02)
    if colouring.axis.period == 360:
        bar.set_ticks(np.linspace(*colouring.limits, 3).tolist())
    elif colouring.n_classes is not None:
        bar.set_ticks(list(range(colouring.n_classes)))
    bar.ax.tick_params(labelsize=6)
    return bar


def _scale(colouring: Colouring) -> tuple[Normalize, Colormap]:
    if colouring.axis.period is not None:
        return Normalize(*colouring.limits), CYCLIC
    if colouring.n_classes is not None:
        palette = ListedColormap(DISCRETE[: colouring.n_classes])
        return BoundaryNorm(np.arange(colouring.n_classes + 1) - 0.5, colouring.n_classes), palette
    return Normalize(*colouring.limits), colormaps[SEQUENTIAL]


def _component_titles(view: LatentView) -> tuple[str, str]:
    return f"component 1 ({view.explained[0]:.0%})", f"component 2 ({view.explained[1]:.0%})"
