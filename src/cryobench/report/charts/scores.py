"""Charts of scores: every run with its interval, and quality against cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cryobench.metrics.display import find_kind, is_censored
from cryobench.report.charts.kinds import Axis, DotChart, LineChart, Series
from cryobench.report.scored_runs.styles import RunStyle
from cryobench.report.scored_runs.tables import column_of

_COSTS = {
    "wall_seconds": "wall time / s",
    "cpu_seconds": "CPU time / s",
    "gpu_seconds": "GPU time / s",
    "peak_memory_bytes": "peak memory / GiB",
    "peak_gpu_memory_bytes": "peak GPU memory / GiB",
}
"""Columns of the table of runs and their axis titles; bytes are shown in GiB."""


@dataclass(frozen=True)
class Cost:
    """One cost of all runs, such as wall time."""

    name: str
    title: str
    values: dict[str, float]
    """Slug to cost; NaN where it was not recorded."""


def gather_costs(run_table: pd.DataFrame) -> list[Cost]:
    """Costs recorded by at least one run."""
    rows = run_table.loc[run_table["status"] != "failed"]
    found = []
    for column, title in _COSTS.items():
        values = column_of(rows, column) / (2**30 if column.endswith("bytes") else 1)
        if bool((values > 0).any()):
            found.append(Cost(column, title, dict(zip(rows["slug"], values.tolist(), strict=True))))
    return found


def draw_forest(scores: pd.DataFrame, metric: str, styles: Mapping[str, RunStyle]) -> DotChart:
    """One row per run with this score, best first, with its 95 % interval."""
    rows = _measured(scores, metric)
    series = [
        Series(row["slug"], *_one(row["value"], rank, row["low"], row["high"], row["n"]))
        for rank, row in enumerate(rows)
    ]
    absent = len(styles) - len(rows)
    remark = f"not measured, never crossed or failed: {absent}" if absent else ""
    names = [styles[row["slug"]].label for row in rows]
    return DotChart(_score_axis(metric, rows), names, series, own_rows=True, remark=remark)


def draw_cost(scores: pd.DataFrame, metric: str, cost: Cost, styles: Mapping[str, RunStyle]) -> LineChart:
    """Score against cost, for the runs that recorded both."""
    rows = [row for row in _measured(scores, metric) if cost.values.get(row["slug"], np.nan) > 0]
    series = [
        Series(row["slug"], *_one(cost.values[row["slug"]], row["value"], row["low"], row["high"], row["n"]))
        for row in rows
    ]
    absent = len(styles) - len(rows)
    remark = f"no score or cost: {absent} run{'' if absent == 1 else 's'}" if absent else ""
    x, y = Axis(cost.title, logarithmic=True), _score_axis(metric, rows)
    return LineChart(x, y, series, shape="free", remark=remark)


def _score_axis(metric: str, rows: Sequence[dict[str, Any]]) -> Axis:
    """Axis of a score, with limits where all values are equal: Vega would label that place with a rounded number."""
    kind = find_kind(metric)
    values = np.array([row[name] for row in rows for name in ("value", "low", "high")], dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values) or np.ptp(values) > 1e-6 * np.abs(values).max():
        return Axis(kind.axis)
    margin = 0.1 * abs(float(values[0])) or 0.1
    return Axis(kind.axis, max(kind.low, float(values[0]) - margin), min(kind.high, float(values[0]) + margin))


def _measured(scores: pd.DataFrame, metric: str) -> list[dict[str, Any]]:
    """Rows of runs with a value of a score, best first. A resolution that most curves never reach has no value."""
    rows: Sequence[dict[str, Any]] = scores.loc[scores["metric"] == metric].to_dict("records")
    usable = [row for row in rows if not is_censored(row["value"], row["never_crossed"], row["n"])]
    return sorted(usable, key=lambda row: row["value"], reverse=find_kind(metric).better == "higher")


def _one(*numbers: float) -> list[np.ndarray]:
    return [np.array([number], dtype=np.float64) for number in numbers]
