"""Charts of pose errors: rotations against random poses, and shifts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.report.charts.kinds import Axis, LineChart, Picture, Reference, Series
from cryobench.report.runs.tables import Run, by_run, column_of, gather_curve, gather_items

SHIFT_BINS = 40
_ROTATIONS = {
    "particles": "Rotation errors after the best global rotation and hand, in bins of 5°. Dotted: random poses. A "
    "peak near 0 is correct; a second one near 180° or at a (pseudo-)symmetry angle is misoriented particles, which "
    "a mean hides; a curve like the dotted line has no pose information. The molecule's own symmetry is not "
    "divided out.",
    "per_state": "The same with rotation and hand fitted to each true state separately: smaller errors than with one "
    "frame mean that the frame of the reconstruction depends on conformation. Small states are left out.",
}  # fmt: skip
_SHIFTS = (
    "Shift errors after a fitted translation of the reference; the last bin contains all larger errors. Where most "
    "rotations are wrong, shift errors mean little."
)


def draw_rotations(runs: Sequence[Run]) -> list[Picture]:
    """Histograms of rotation errors, with the frame fitted to the whole set and to each state."""
    table = gather_curve(runs, "rotation-errors")
    pictures = []
    for column, words in _ROTATIONS.items():
        if column not in table or not np.isfinite(column_of(table, column)).any():
            continue
        series = [_fraction_series(slug, rows, column) for slug, rows in by_run(table)]
        series = [line for line in series if np.isfinite(line.y).any()]
        first = by_run(table)[0][1]
        random = Reference("random poses", _middle(first), column_of(first, "random"), "dotted")
        frame = "" if column == "particles" else ", fitted per state"
        chart = LineChart(
            Axis(f"rotation error{frame} / °", 0, 180), Axis("fraction of particles", 0), series, [random], "steps"
        )
        key = "rotation-errors" if column == "particles" else "rotation-errors-per-state"
        pictures.append(Picture(key, "poses", "Rotations", chart, words))
    return pictures


def _fraction_series(slug: str, rows: pd.DataFrame, column: str) -> Series:
    counts = column_of(rows, column)
    total = float(np.nansum(counts))
    return Series(slug, _middle(rows), counts / total if total else np.full(len(counts), np.nan))


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
    return [Picture("shift-errors", "poses", "Shifts", LineChart(x, y, series, shape="steps"), _SHIFTS)]
