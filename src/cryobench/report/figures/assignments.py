"""Figure of classes along the truth."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cryobench.report.figures.style import COLUMN_WIDTH, styled


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
