"""Charts of pose errors: rotations against random poses, and shifts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.report.charts.kinds import Axis, LineChart, Picture, Reference, Series, read_captions
from cryobench.report.scored_runs.tables import Run, by_run, column_of, gather_curve, gather_items

SHIFT_BINS = 40
_FRAMES = {"particles": ("rotation-errors", ""), "per_state": ("rotation-errors-per-state", ", fitted per state")}
"""Columns of the curve to the keys of their pictures, and words on the frame."""


def draw_rotations(runs: Sequence[Run]) -> list[Picture]:
    """Histograms of rotation errors, with the frame fitted to the whole set and to each state."""
    table = gather_curve(runs, "rotation-errors")
    pictures = []
    for column, (key, frame) in _FRAMES.items():
        series = [
            Series(slug, _middle(rows), counts / counts.sum())
            for slug, rows in (by_run(table.dropna(subset=[column])) if column in table else ())
            if (counts := column_of(rows, column)).sum() > 0
        ]
        if not series:
            continue
        first = by_run(table)[0][1]
        random = Reference("random poses", _middle(first), column_of(first, "random"), "dotted")
        x, y = Axis(f"rotation error{frame} / °", 0, 180), Axis("fraction of particles", 0)
        chart = LineChart(x, y, series, [random], "steps")
        pictures.append(Picture(key, "poses", "Rotations", chart, read_captions()[key]))
    return pictures


def _middle(rows: pd.DataFrame) -> np.ndarray:
    return (column_of(rows, "low_deg") + column_of(rows, "high_deg")) / 2


def draw_shifts(runs: Sequence[Run]) -> list[Picture]:
    """Histogram of shift errors."""
    table = gather_items(runs, "shift-error")
    if table.empty:
        return []
    edges = np.linspace(0, max(float(np.quantile(column_of(table, "value"), 0.98)), 1e-6), SHIFT_BINS + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    series = []
    for slug, rows in by_run(table):
        counts = np.histogram(np.minimum(column_of(rows, "value"), middle[-1]), edges)[0]
        series.append(Series(slug, middle, counts / len(rows)))
    x, y = Axis("shift error / Å", 0, float(edges[-1])), Axis("fraction of particles", 0)
    chart = LineChart(x, y, series, shape="steps")
    return [Picture("shift-errors", "poses", "Shifts", chart, read_captions()["shift-errors"])]
