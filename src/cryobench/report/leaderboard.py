"""The leaderboard's cells as text: numbers with their intervals, and in words whatever is not a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cryobench.report.contents import Contents
from cryobench.report.tables import METRIC_TEXTS, MetricText, Run, describe_metric

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Cell:
    """One cell: text, a quieter second line, the number rows are sorted by, and whether something is missing."""

    text: str
    note: str = ""
    sort: float | None = None
    missing: bool = False


@dataclass(frozen=True)
class Row:
    """One run of the leaderboard."""

    slug: str
    label: str
    role: str
    colour: str
    rank: Cell
    cells: list[Cell]
    failed: str
    """Reason, if the run failed."""
    running: bool


@dataclass(frozen=True)
class Column:
    """Heading of a column."""

    title: str
    subtitle: str
    first_order: str
    """"descending" if more is better, else "ascending": how the first click sorts."""


def layout_columns(contents: Contents) -> list[Column]:
    """Columns after rank and run: FSC-AUC in the mask and of the whole box, two resolutions, others, n, cost."""
    columns = []
    for title, names in _score_columns(contents):
        text = describe_metric(names[0])
        columns.append(Column(*title, "ascending" if text.lower_is_better else "descending"))
    return [
        *columns,
        Column("n", "queries", "descending"),
        Column("Wall time", "", "ascending"),
        Column("Peak memory", "", "ascending"),
    ]


def _score_columns(contents: Contents) -> list[tuple[tuple[str, str], list[str]]]:
    """Heading and, in it, the metric of the first line and that of the second."""
    fixed: list[tuple[tuple[str, str], list[str]]] = [
        (("FSC-AUC in the mask", "perfect = 1 · published"), ["fsc-auc-normalised-masked", "fsc-auc-masked"]),
        (("FSC-AUC whole box", "perfect = 1 · published"), ["fsc-auc-normalised", "fsc-auc"]),
        (("FSC = 0.5", "in the mask · whole box"), ["resolution-0.5-masked", "resolution-0.5"]),
        (("FSC = 0.143", "in the mask · whole box"), ["resolution-0.143-masked", "resolution-0.143"]),
    ]
    for metric in contents.metrics:
        if metric not in METRIC_TEXTS:
            text = describe_metric(metric)
            fixed.append(((text.title, text.unit), [metric]))
    return fixed


def layout_rows(contents: Contents, *, controls: bool) -> list[Row]:
    """Rows of the methods or of the controls, best first, what has no score last."""
    scores = contents.scores.set_index(["slug", "metric"]).sort_index()
    rows = [_row(contents, run, scores) for run in contents.runs if (run.control is not None) == controls]
    return sorted(rows, key=lambda row: (row.cells[0].sort is None, -(row.cells[0].sort or 0.0), bool(row.failed)))


def _row(contents: Contents, run: Run, scores: pd.DataFrame) -> Row:
    cells = [_score_cell(scores, run.slug, names) for _, names in _score_columns(contents)]
    counts = {int(score.n) for score in run.scores.scores.values()}
    cells.append(Cell(str(max(counts)), sort=max(counts)) if counts else Cell(NOT_MEASURED, missing=True))
    times = contents.run_table.set_index("slug").loc[run.slug]
    cells.append(_quantity(float(times["wall_seconds"]), format_seconds))
    cells.append(_quantity(float(times["peak_memory_bytes"]), format_bytes))
    rank = Cell("–")
    if run.slug in contents.ranks.index:
        first, last = (int(end) for end in contents.ranks.loc[run.slug, ["first", "last"]])
        rank = Cell(str(first) if first == last else f"{first}–{last}", "" if first == last else "tie", float(first))
    return Row(
        slug=run.slug,
        label=run.label,
        role=run.control.role if run.control else "method",
        colour=contents.styles[run.slug].colour,
        rank=rank,
        cells=cells,
        failed=run.reason if run.status == "failed" else "",
        running=run.status not in ("failed", "finished"),
    )


def _score_cell(scores: pd.DataFrame, slug: str, names: Sequence[str]) -> Cell:
    lines: list[tuple[str, float | None]] = []
    for name in names:
        if (slug, name) in scores.index:
            row = scores.loc[(slug, name)]
            text = _score_text(row, describe_metric(name))
            lines.append((text, _sort_value(row)))
    if not lines:
        return Cell(NOT_MEASURED, missing=True)
    return Cell(lines[0][0], " · ".join(text for text, _ in lines[1:]), lines[0][1])


def _score_text(row: Any, text: MetricText) -> str:
    if is_censored(row):
        return "never crossed"
    value, low, high = (f"{row[name]:.{text.decimals}f}" for name in ("value", "low", "high"))
    unit = f" {text.unit}" if text.unit == "Å" else ""
    interval = f" [{low}, {high}]" if np.isfinite(row["low"]) and np.isfinite(row["high"]) else ""
    never = f" ({int(row['never_crossed'])} of {int(row['n'])} never crossed)" if row["never_crossed"] else ""
    return f"{value}{unit}{interval}{never}"


def is_censored(row: Any) -> bool:
    """Whether so many curves stay above the threshold that their median is not known."""
    return bool(2 * row["never_crossed"] >= row["n"] > 0) or not np.isfinite(row["value"])


def _sort_value(row: Any) -> float | None:
    if row["never_crossed"] and is_censored(row):
        return 0.0
    return float(row["value"]) if np.isfinite(row["value"]) else None


def _quantity(value: float, write: Any) -> Cell:
    return Cell(write(value), sort=value) if np.isfinite(value) else Cell(NOT_MEASURED, missing=True)


def format_seconds(seconds: float) -> str:
    """A time in the unit it is best read in."""
    if seconds < 0.1:
        return "< 0.1 s"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def format_bytes(size: float) -> str:
    """An amount of memory in MB or GB."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"
