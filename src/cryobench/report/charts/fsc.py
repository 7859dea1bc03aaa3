"""FSC curves of all runs: mean and band over query particles, or single curves."""

import numpy as np
import pandas as pd

from cryobench._sampling import spread_indices
from cryobench.report.charts.kinds import Axis, Bundle, LineChart, Reference, Series
from cryobench.report.scored_runs.tables import by_run, column_of

MOST_CURVES = 100
"""Single FSC curves drawn per run; of more, those of evenly spaced query particles."""
THRESHOLDS = (0.5, 0.143)
"""FSC thresholds at which resolutions are read."""


def draw_fsc(summary: pd.DataFrame, pixel_size: float, *, single: pd.DataFrame | None = None) -> LineChart:
    """Mean FSC and band of every run in one mask; with ``single``, curves of single query particles, not bands."""
    series = []
    for slug, rows in by_run(summary):
        x, mean = column_of(rows, "frequency"), column_of(rows, "mean")
        ends = (None, None) if single is not None else (column_of(rows, "low"), column_of(rows, "high"))
        series.append(Series(slug, x, mean, *ends))
    bundles = [] if single is None else [_bundle(slug, rows) for slug, rows in by_run(single)]
    drawn = [bundle.curves.ravel() for bundle in bundles] or [column_of(summary, "low")]
    low = min(0.0, 1.05 * float(np.nanmin(np.concatenate(drawn), initial=0.0)))
    return LineChart(
        Axis("spatial frequency / cycles per px", 0, 0.5, inverse="resolution / Å", unit=1 / pixel_size),
        Axis("Fourier shell correlation", low, 1.03),
        series,
        [Reference(str(level), np.array([0, 0.5]), np.full(2, level), "dotted") for level in THRESHOLDS],
        bundles=bundles,
    )


def _bundle(slug: str, rows: pd.DataFrame) -> Bundle:
    particles = np.unique(rows["particle"])
    shown = particles[spread_indices(len(particles), MOST_CURVES)]
    wide = rows.pivot_table(index="particle", columns="frequency", values="fsc").loc[shown]
    return Bundle(slug, np.asarray(wide.columns, dtype=np.float64), wide.to_numpy(), shown)
