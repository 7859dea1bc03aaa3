"""Figures of what the runs say about each particle, against the truth."""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from cryobench.report.figures.style import COLUMN_WIDTH, styled

CYCLIC = LinearSegmentedColormap.from_list("cyclic", ["#7a44a8", "#3f8fd2", "#efe3b4", "#dd7430", "#7a44a8"])
"""Violet, blue, sand, orange and back: told apart by colour-blind readers, seen on white and on black."""
SEQUENTIAL = "viridis"


@styled
def draw_class_map(table: pd.DataFrame, truth_title: str) -> Figure:
    """Share of each class at each true value; classes ordered along the truth (``class_by_truth``)."""
    grid = table.pivot(index="order", columns="truth", values="share")
    names = table.drop_duplicates("order").set_index("order")["class"].sort_index()
    figure = Figure(figsize=(COLUMN_WIDTH, min(1.4 + 0.16 * len(names), 4.5)))
    axis = figure.subplots()
    image = axis.imshow(
        grid.to_numpy(), aspect="auto", cmap="cividis", vmin=0, vmax=1, origin="lower", interpolation="nearest"
    )
    values = np.asarray(grid.columns, dtype=np.float64)
    marks = np.arange(0, 361, 90) if truth_title.endswith("°") else np.linspace(values[0], values[-1], 5)
    shown = np.unique([int(np.abs(values - mark).argmin()) for mark in marks if mark <= values[-1]])
    axis.set_xticks(shown, [f"{values[column]:.4g}" for column in shown])
    step = max(1, len(names) // 12)
    axis.set_yticks(range(0, len(names), step), [str(name) for name in names[::step]])
    axis.set_xlabel(f"true {truth_title}")
    axis.set_ylabel("class")
    figure.colorbar(image, ax=axis, label="share of particles", shrink=0.9)
    return figure


@styled
def draw_latents(table: pd.DataFrame, truth_title: str, period: float | None) -> Figure:
    """Latents on their two leading principal components, coloured by the truth (``latent_scatter``)."""
    figure = Figure(figsize=(COLUMN_WIDTH, 2.9))
    axis = figure.subplots()
    known = np.isfinite(table["truth"].to_numpy(float))
    axis.scatter(table["first"][~known], table["second"][~known], s=4, color="0.6", linewidths=0)
    if known.any():
        limits = (0.0, period) if period else (None, None)
        points = axis.scatter(
            table["first"][known], table["second"][known], c=table["truth"][known], s=7, linewidths=0.2,
            edgecolors="0.4", cmap=CYCLIC if period else SEQUENTIAL, vmin=limits[0], vmax=limits[1],
        )  # fmt: skip
        bar = figure.colorbar(points, ax=axis, label=f"true {truth_title}", shrink=0.9)
        if period == 360:
            bar.set_ticks([0, 90, 180, 270, 360])
    explained = [*table.attrs.get("explained", []), 0.0, 0.0]
    axis.set_xlabel(f"principal component 1 ({explained[0]:.0%} of the variance)")
    axis.set_ylabel(f"principal component 2 ({explained[1]:.0%})")
    return figure
