"""Figures of scores: forest plot, FSC curves, quality against cost."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from cryobench.metrics.display import find_kind
from cryobench.report.figures.style import COLUMN_WIDTH, PAGE_WIDTH, RunStyle, shorten, styled
from cryobench.report.runs.tables import CURVE_KINDS


@styled
def draw_forest(scores: pd.DataFrame, metrics: Sequence[str], styles: Mapping[str, RunStyle]) -> Figure:
    """Dots and 95 % intervals of every run, one panel per metric, best at the top.

    ``scores`` is a score table; the order of the runs is that of the first metric.
    """
    order = _best_first(scores, metrics[0]) if metrics else []
    figure = Figure(figsize=(PAGE_WIDTH if len(metrics) > 1 else COLUMN_WIDTH, 0.9 + 0.22 * max(len(order), 1)))
    axes = figure.subplots(1, max(len(metrics), 1), sharey=True, squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=False):
        rows = scores[scores["metric"] == metric].set_index("slug")
        for height, slug in enumerate(reversed(order)):
            if slug not in rows.index or not np.isfinite(rows.loc[slug, "value"]):
                axis.text(
                    0.02, height, "not measured", color="0.5", va="center", transform=axis.get_yaxis_transform()
                )
                continue
            style, row = styles[slug], rows.loc[slug]
            axis.plot([row["low"], row["high"]], [height, height], color=style.colour, linewidth=1.4)
            face = "white" if style.is_control else style.colour
            axis.plot(row["value"], height, style.marker, color=style.colour, markerfacecolor=face, markersize=4.5)
        kind = find_kind(metric)
        axis.set_title(shorten(kind.label, 42), loc="left")
        axis.set_xlabel(kind.unit or "score")
        axis.grid(axis="x", color="0.9", linewidth=0.5)
        axis.set_ylim(-0.6, len(order) - 0.4)
        axis.set_yticks(range(len(order)), [shorten(styles[slug].label) for slug in reversed(order)])
    return figure


def _best_first(scores: pd.DataFrame, metric: str) -> list[str]:
    rows = scores.query("metric == @metric")
    rows = rows.sort_values(by="value", ascending=find_kind(metric).better == "lower", na_position="last")
    return [*rows["slug"], *[slug for slug in dict.fromkeys(scores["slug"]) if slug not in set(rows["slug"])]]


@styled
def draw_fsc(summary: pd.DataFrame, pixel_size: float, styles: Mapping[str, RunStyle]) -> Figure:
    """Mean FSC curve and band of every run; one panel per kind of curve, resolution in Å above."""
    masks = [mask for mask in CURVE_KINDS if mask in set(summary["mask"])]
    figure = Figure(figsize=(PAGE_WIDTH if len(masks) > 1 else COLUMN_WIDTH, 2.9))
    axes = figure.subplots(1, len(masks), sharey=True, squeeze=False)[0]
    for axis, mask in zip(axes, masks, strict=True):
        for slug, rows in summary[summary["mask"] == mask].groupby("slug", sort=False):
            style = styles[str(slug)]
            axis.fill_between(
                rows["frequency"], rows["low"], rows["high"], color=style.colour, alpha=0.12, linewidth=0
            )
            label = shorten(style.label)
            axis.plot(rows["frequency"], rows["mean"], linestyle=style.line, color=style.colour, label=label)
        for level in (0.5, 0.143):
            axis.axhline(level, color="0.55", linewidth=0.6, linestyle=(0, (2, 2)))
            axis.text(0.002, level + 0.01, f"{level}", color="0.4", fontsize=7)
        axis.set_title(CURVE_KINDS[mask], loc="left")
        axis.set_xlabel("spatial frequency / cycles per px")
        axis.set_xlim(0, 0.5)
        axis.set_ylim(min(0.0, *summary["low"].tolist()), 1.02)
        top = axis.secondary_xaxis("top")
        ticks = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
        top.set_xticks(ticks, [f"{pixel_size / tick:.1f}" for tick in ticks])
        top.set_xlabel("resolution / Å")
    axes[0].set_ylabel("Fourier shell correlation")
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), handlelength=2.6)
    return figure


@styled
def draw_cost(scores: pd.DataFrame, runs: pd.DataFrame, metric: str, styles: Mapping[str, RunStyle]) -> Figure:
    """Score against wall time, for the runs that recorded both."""
    figure = Figure(figsize=(COLUMN_WIDTH, 2.6))
    axis = figure.subplots()
    table = scores[scores["metric"] == metric].merge(runs[["slug", "wall_seconds"]], on="slug")
    table = table[np.isfinite(table["value"]) & (table["wall_seconds"] > 0)]
    for _, row in table.iterrows():
        style = styles[str(row["slug"])]
        face = "white" if style.is_control else style.colour
        axis.plot([row["wall_seconds"]] * 2, [row["low"], row["high"]], color=style.colour, linewidth=1)
        axis.plot(
            row["wall_seconds"], row["value"], style.marker, color=style.colour, markerfacecolor=face, markersize=5,
            label=shorten(style.label), linestyle="none",
        )  # fmt: skip
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("wall time / s")
    kind = find_kind(metric)
    axis.set_title(kind.label, loc="left")
    axis.set_ylabel(kind.unit or "score")
    axis.grid(color="0.92", linewidth=0.5)
    if len(table):
        figure.legend(loc="outside lower center", ncols=2)
    return figure
