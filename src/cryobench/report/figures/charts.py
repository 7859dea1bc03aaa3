"""Paper figures of charts: curves, dots with intervals, planes, grids and densities (``report.charts``)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cryobench.report.charts.kinds import (
    Axis,
    Chart,
    DensityChart,
    DotChart,
    GridChart,
    LineChart,
    PlaneChart,
    Series,
    SnapshotChart,
)
from cryobench.report.figures.latents import add_colour_bar, draw_coloured
from cryobench.report.figures.style import COLUMN_WIDTH, PAGE_WIDTH, RunStyle, shorten, styled

Styles = Mapping[str, RunStyle]
FEW = 40
"""Curves over fewer whole numbers have a marker at each."""


@styled
def draw_chart(chart: Chart, styles: Styles) -> Figure:
    """Draw any chart; runs look as ``styles`` says, by slug."""
    if isinstance(chart, LineChart):
        return _draw_lines(chart, styles)
    if isinstance(chart, DotChart):
        return _draw_dots(chart, styles)
    if isinstance(chart, PlaneChart):
        return _draw_plane(chart, styles)
    if isinstance(chart, DensityChart):
        return _draw_density(chart)
    if isinstance(chart, SnapshotChart):
        return _draw_snapshots(chart)
    return _draw_grid(chart)


def _draw_lines(chart: LineChart, styles: Styles) -> Figure:
    wide = chart.shape == "points" or chart.x.whole or len(chart.series) > 6
    figure = Figure(figsize=(PAGE_WIDTH if wide else COLUMN_WIDTH, 2.5 + 0.07 * len(chart.series)))
    axis = figure.subplots()
    step = _step(chart)
    for reference in chart.references:
        if reference.shape == "bars":
            axis.bar(reference.x, reference.y, width=0.92 * step, color="0.86", label=reference.label, zorder=0)
        else:
            line = (0, (1, 1.5)) if reference.shape == "dotted" else "-"
            style = "steps-mid" if chart.shape == "steps" else "default"
            axis.plot(
                reference.x, reference.y, linestyle=line, drawstyle=style, color="0.5", zorder=1,
                label=reference.label,
            )  # fmt: skip
    for place, series in enumerate(chart.series):
        _draw_series(axis, series, styles[series.slug], chart, offset=_offset(place, len(chart.series), step))
    _dress(axis, chart.x, chart.y)
    if chart.x.inverse:
        _add_inverse_axis(axis, chart.x.inverse)
    _add_legend(figure, axis, columns=4 if wide else 2)
    return figure


def _draw_series(axis: Axes, series: Series, style: RunStyle, chart: LineChart, offset: float) -> None:
    label = shorten(style.label)
    if chart.shape == "points":
        x = series.x + offset
        if series.low is not None and series.high is not None:
            axis.vlines(x, series.low, series.high, color=style.colour, linewidth=0.8)
        face = "white" if style.is_control else style.colour
        axis.plot(x, series.y, style.marker, color=style.colour, markerfacecolor=face, markersize=3, label=label)
        return
    if series.low is not None and series.high is not None:
        axis.fill_between(series.x, series.low, series.high, color=style.colour, alpha=0.13, linewidth=0)
    shape = "steps-mid" if chart.shape == "steps" else "default"
    marker = style.marker if chart.x.whole and len(series.x) < FEW else ""
    face = "white" if style.is_control else style.colour
    axis.plot(
        series.x, series.y, linestyle=style.line, color=style.colour, drawstyle=shape, label=label, marker=marker,
        markersize=3, markerfacecolor=face,
    )  # fmt: skip


def _draw_dots(chart: DotChart, styles: Styles) -> Figure:
    n_rows, n_runs = len(chart.names), max(len(chart.series), 1)
    figure = Figure(figsize=(COLUMN_WIDTH, min(1.3 + n_rows * (0.1 + 0.055 * n_runs), 9)))
    axis = figure.subplots()
    for reference in chart.references:
        axis.vlines(
            reference.x, reference.y - 0.4, reference.y + 0.4, color="0.6", linewidth=1.2, label=reference.label
        )
    for place, series in enumerate(chart.series):
        style = styles[series.slug]
        height = series.y + _offset(place, n_runs, 1.0)
        if series.low is not None and series.high is not None:
            axis.hlines(height, series.low, series.high, color=style.colour, linewidth=0.9)
        face = "white" if style.is_control else style.colour
        axis.plot(
            series.x, height, style.marker, color=style.colour, markerfacecolor=face, markersize=3,
            label=shorten(style.label),
        )  # fmt: skip
    axis.set_yticks(range(n_rows), [shorten(name, 22) for name in chart.names])
    axis.set_ylim(n_rows - 0.5, -0.5)
    axis.set_xlabel(chart.value.title)
    axis.set_xlim(chart.value.low, chart.value.high)
    axis.grid(axis="x", color="0.92", linewidth=0.5)
    _add_legend(figure, axis, columns=2)
    return figure


def _draw_plane(chart: PlaneChart, styles: Styles) -> Figure:
    figure = Figure(figsize=(COLUMN_WIDTH, COLUMN_WIDTH + 0.35 + 0.06 * len(chart.points)))
    axis = figure.subplots()
    axis.axline((0, 0), slope=1, color="0.85", linewidth=0.7, zorder=0)
    for mark in chart.marks:
        axis.plot(mark.x, mark.y, "+", color="0.4", markersize=8, clip_on=False)
        axis.annotate(
            mark.slug, (mark.x, mark.y), xytext=(5, -8), textcoords="offset points", color="0.4", fontsize=7
        )
    for point in chart.points:
        style = styles[point.slug]
        face = "white" if style.is_control else style.colour
        axis.errorbar(
            point.x, point.y, xerr=point.x_spread, yerr=point.y_spread, fmt=style.marker, color=style.colour,
            markerfacecolor=face, markersize=4.5, elinewidth=0.8, label=shorten(style.label),
        )  # fmt: skip
    _dress(axis, chart.x, chart.y)
    axis.set_aspect("equal")
    _add_legend(figure, axis, columns=2)
    return figure


def _draw_grid(chart: GridChart) -> Figure:
    n_rows = len(chart.shares)
    figure = Figure(figsize=(COLUMN_WIDTH, min(1.2 + 0.11 * n_rows, 4.2)))
    axis = figure.subplots()
    image = axis.imshow(chart.shares, aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    for names, place in ((chart.columns, axis.set_xticks), (chart.rows, axis.set_yticks)):
        shown = range(0, len(names), max(1, -(-len(names) // 16)))
        place(list(shown), [shorten(names[at], 14) for at in shown], fontsize=6)
    axis.set_xlabel(chart.x.title)
    axis.set_ylabel(chart.y.title)
    figure.colorbar(image, ax=axis, label="share of the row", shrink=0.9)
    return figure


def _draw_density(chart: DensityChart) -> Figure:
    figure = Figure(figsize=(COLUMN_WIDTH, COLUMN_WIDTH * 0.85))
    axis = figure.subplots()
    mesh = axis.pcolormesh(
        chart.columns, chart.rows, chart.values, cmap="cividis", vmin=0, shading="nearest", rasterized=True
    )
    limits = axis.get_xlim(), axis.get_ylim()
    if chart.points is not None:
        axis.plot(*chart.points.T, ".", markersize=1, color="white", alpha=0.35, rasterized=True)
    if chart.path is not None:
        for width, colour in ((2.4, "black"), (1.2, "white")):
            axis.plot(*chart.path.T, color=colour, linewidth=width, solid_capstyle="round")
        axis.plot(*chart.path[0], "o", markersize=5, markerfacecolor="none", color="white")
    axis.set(xlim=limits[0], ylim=limits[1], xlabel=chart.x.title, ylabel=chart.y.title)
    figure.colorbar(mesh, ax=axis, label="density", shrink=0.9)
    return figure


def _draw_snapshots(chart: SnapshotChart) -> Figure:
    count = len(chart.titles)
    columns = min(count, 4)
    rows = -(-count // columns)
    figure = Figure(figsize=(PAGE_WIDTH * max(columns, 2) / 4, 0.5 + 1.75 * rows))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    drawn = None
    for axis, title, places in zip(axes, chart.titles, chart.places, strict=False):
        drawn = draw_coloured(axis, places, chart.particles, chart.colouring) or drawn
        axis.set_title(title, loc="left", fontsize=7)
        axis.set(xlim=(chart.x.low, chart.x.high), ylim=(chart.y.low, chart.y.high))
    for axis in axes[count:]:
        axis.set_axis_off()
    if drawn is not None and chart.colouring is not None:
        add_colour_bar(figure, drawn, axes.tolist(), chart.colouring).set_label(chart.colouring.axis.title)
    figure.supxlabel(chart.x.title, fontsize=8)
    figure.supylabel(chart.y.title, fontsize=8)
    return figure


def _add_inverse_axis(axis: Axes, title: str) -> None:
    """Marks of one over the values below, at places a fifth of the axis apart."""
    ticks = np.linspace(0, axis.get_xlim()[1], 6)[1:]
    top = axis.secondary_xaxis("top")
    top.set_xticks(ticks, [f"{1 / tick:.3g}" for tick in ticks])
    top.set_xlabel(title)


def _dress(axis: Axes, x: Axis, y: Axis) -> None:
    axis.set_xlabel(x.title)
    axis.set_ylabel(y.title)
    axis.set_xlim(x.low, x.high)
    axis.set_ylim(y.low, y.high)
    for name, shown in (("x", x), ("y", y)):
        if shown.logarithmic:
            axis.set(**{f"{name}scale": "log"})
    axis.grid(color="0.94", linewidth=0.5)
    axis.set_axisbelow(True)
    if x.period == 360:
        axis.set_xticks(np.arange(np.ceil(axis.get_xlim()[0] / 90) * 90, axis.get_xlim()[1] + 1, 90))
    elif x.whole:
        axis.locator_params(axis="x", integer=True)


def _add_legend(figure: Figure, axis: Axes, columns: int) -> None:
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), columns), handlelength=2.4)


def _step(chart: LineChart) -> float:
    """Distance between neighbouring places of a reference, or of whole numbers."""
    places = next((reference.x for reference in chart.references), np.zeros(1))
    return float(np.median(np.diff(places))) if len(places) > 1 else 1.0


def _offset(place: int, count: int, step: float) -> float:
    """Where the place-th of several runs stands beside the middle."""
    return 0.7 * step * ((place + 0.5) / count - 0.5)
