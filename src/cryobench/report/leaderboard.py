"""The leaderboard's cells as text: numbers with their intervals, and in words whatever is not a number.

The board has one main score per metric, ``MAIN``; a board of every metric has all its scores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cryobench.metrics import get_metric, list_metrics
from cryobench.report.contents import Contents
from cryobench.report.score_texts import ScoreText, describe_score
from cryobench.report.tables import Group, Run, reasons_missing

NOT_MEASURED = "not measured"

MAIN: dict[str, tuple[str, tuple[str, ...]]] = {
    "per-image-fsc": ("FSC-AUC", ("fsc-auc-normalised-masked", "fsc-auc-normalised")),
    "per-conformation-fsc": (
        "FSC-AUC by state",
        ("conformation-fsc-auc-normalised-masked", "conformation-fsc-auc-normalised"),
    ),
    "heterogeneity-fsc": (
        "Deviation FSC-AUC",
        ("deviation-fsc-auc-normalised-masked", "deviation-fsc-auc-normalised"),
    ),
    "labels": ("Labels, ARI", ("ari",)),
    "neighbourhood-similarity": ("Neighbours", ("neighbourhood-similarity-area",)),
    "information-imbalance": ("Imbalance", ("imbalance-latent-to-truth",)),
    "decodability": ("Decodability", ("decodability-knn",)),
    "distributions": ("Distribution", ("distribution-error",)),
    "populations": ("Populations", ("population-error",)),
    "composition": ("Composition", ("occupancy-error",)),
    "poses": ("Rotation error", ("rotation-error-median",)),
}
"""Metric to heading and main score: the first of these that any run has. Others but cost show their first score."""


@dataclass(frozen=True)
class Cell:
    """One cell: text, a quieter second line, the number rows are sorted by, and whether something is missing."""

    text: str
    note: str = ""
    sort: float | None = None
    missing: bool = False
    reason: str = ""
    """Why it is missing."""


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
    words: str = ""
    """The whole title, where the heading is short."""


@dataclass(frozen=True)
class Board:
    """A sortable table of runs: the leaderboard, or all scores of one metric."""

    name: str
    title: str
    columns: list[Column]
    methods: list[Row]
    """At given poses."""
    ab_initio: list[Row]
    """With poses of their own, which are not ranked against the others."""
    controls: list[Row]
    question: str = ""
    """What the metric asks."""
    calibration: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    reference: str = ""
    """Publication and code that define the metric."""
    missing: tuple[tuple[str, str], ...] = ()
    """Reason in words, and the runs it holds for."""
    blind: tuple[str, ...] = ()
    """Titles of scores that shuffled labels score as well as the truth in."""

    @property
    def n_scores(self) -> int:
        """Columns that are scores."""
        return len(self.columns) - 1


def lay_out_leaderboard(contents: Contents) -> Board:
    """One main score of every metric that was measured on any run, the ranking one first, and peak memory."""
    scores = contents.scores.set_index(["slug", "metric"]).sort_index()
    chosen = _choose_main(contents)
    columns = [_head(name, heading) for heading, name in chosen]

    def fill(run: Run) -> list[Cell]:
        cells = [_score_cell(scores, run, name) for _, name in chosen]
        costs = contents.run_table.set_index("slug").loc[run.slug]
        cells.append(_quantity(float(costs["wall_seconds"]), format_seconds))
        return [*cells, _quantity(float(costs["peak_memory_bytes"]), format_bytes)]

    return Board(
        "leaderboard",
        "Leaderboard",
        [
            *columns,
            Column("Wall time", "lower is better", "ascending", "Of the reconstruction."),
            Column("Memory", "lower is better", "ascending", "Greatest resident size of the process."),
        ],
        _rows(contents, fill, "given poses"),
        _rows(contents, fill, "ab initio"),
        _rows(contents, fill, "control"),
        missing=_gather_reasons(contents.runs, list_metrics()),
    )


def lay_out_metrics(contents: Contents) -> list[Board]:
    """A board of every metric that was measured on any run, with all its scores; what no metric has comes last."""
    scores = contents.scores.set_index(["slug", "metric"]).sort_index()
    names: dict[str, list[str]] = {}
    for name in contents.score_names:
        names.setdefault(describe_score(name).metric, []).append(name)
    order = [*(name for name in list_metrics() if name in names), *([""] if "" in names else [])]
    return [_metric_board(contents, metric, names[metric], scores) for metric in order]


def _metric_board(contents: Contents, metric: str, names: list[str], scores: pd.DataFrame) -> Board:
    def fill(run: Run) -> list[Cell]:
        counts = [run.scores.scores[name].n for name in names if name in run.scores.scores]
        count = Cell(f"{max(counts):,}", sort=max(counts)) if counts else Cell("–", missing=True)
        return [*(_score_cell(scores, run, name) for name in names), count]

    kind = get_metric(metric) if metric else None
    texts = [describe_score(name) for name in names]
    return Board(
        metric or "other",
        kind.label if kind else "Other scores",
        [*(_head(text.name, text.title) for text in texts), Column("n", "items", "descending")],
        _rows(contents, fill, "given poses"),
        _rows(contents, fill, "ab initio"),
        _rows(contents, fill, "control"),
        question=kind.question if kind else "",
        calibration=kind.calibration if kind else (),
        limits=kind.limits if kind else (),
        reference=kind.reference if kind else "",
        missing=_gather_reasons(contents.runs, [metric]),
        blind=tuple(text.title for text in texts if text.blind and metric != "cost"),
    )


def _choose_main(contents: Contents) -> list[tuple[str, str]]:
    """Heading and score of every column: those of ``MAIN``, then the first score of every other metric."""
    measured = set(contents.score_names)
    chosen = []
    for heading, candidates in MAIN.values():
        name = next((name for name in candidates if name in measured), None)
        if name is not None:
            chosen.append((heading, name))
    covered = {*MAIN, "cost"}
    for name in contents.score_names:
        metric = describe_score(name).metric
        if metric not in covered:
            covered.add(metric)
            chosen.append((describe_score(name).title, name))
    return chosen


def _head(name: str, heading: str) -> Column:
    text = describe_score(name)
    better = "lower" if text.lower_is_better else "higher"
    unit = f"{text.unit}, " if text.unit else "blind, " if text.blind else ""
    blind = " Blind: shuffled labels score as well as the truth." if text.blind else ""
    order = "ascending" if text.lower_is_better else "descending"
    return Column(heading, f"{unit}{better} is better", order, f"{text.title}.{blind}")


def _rows(contents: Contents, fill: Callable[[Run], list[Cell]], group: Group) -> list[Row]:
    """Rows of the runs of a group, best first, what has no score last."""
    rows = [_row(contents, run, fill(run)) for run in contents.runs if run.group == group]
    lower = bool(contents.ranking_score) and describe_score(contents.ranking_score or "").lower_is_better
    values = contents.scores[contents.scores["metric"] == contents.ranking_score].set_index("slug")["value"].to_dict()

    def place(row: Row) -> tuple[bool, float, bool]:
        value = float(values.get(row.slug, np.nan))
        known = bool(np.isfinite(value))
        return not known, (value if lower else -value) if known else 0.0, bool(row.failed)

    return sorted(rows, key=place)


def _row(contents: Contents, run: Run, cells: list[Cell]) -> Row:
    rank = Cell("–")
    found = contents.ranks.get(run.slug)
    if found is not None:
        rank = Cell(found.label, "" if found.first == found.last else "tie", float(found.first))
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


def _score_cell(scores: pd.DataFrame, run: Run, name: str) -> Cell:
    if (run.slug, name) not in scores.index:
        reason = reasons_missing(run).get(describe_score(name).metric, "")
        return Cell(NOT_MEASURED, missing=True, reason=reason)
    row, text = scores.loc[(run.slug, name)], describe_score(name)
    if is_censored(row):
        return Cell("never crossed", sort=0.0 if row["never_crossed"] else None)
    if text.unit == "s":
        return Cell(format_seconds(float(row["value"])), sort=float(row["value"]))
    return Cell(text.write(row["value"]), _write_interval(row, text), float(row["value"]))


def _write_interval(row: Any, text: ScoreText) -> str:
    interval = ""
    if np.isfinite(row["low"]) and np.isfinite(row["high"]) and row["n"] > 1:
        interval = f"[{text.write(row['low'])},\u00a0{text.write(row['high'])}]"
    never = f"{int(row['never_crossed'])} of {int(row['n'])} never crossed" if row["never_crossed"] else ""
    return " ".join(part for part in (interval, never) if part)


def is_censored(row: Any) -> bool:
    """Whether so many curves stay above the threshold that their median is not known."""
    return bool(2 * row["never_crossed"] >= row["n"] > 0) or not np.isfinite(row["value"])


def _gather_reasons(runs: Sequence[Run], metrics: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Why metrics were not measured: "metric reason", and the labels of the runs it holds for."""
    found: dict[str, list[str]] = {}
    for metric in metrics:
        for run in runs:
            if metric in (reasons := reasons_missing(run)):
                found.setdefault(f"{_label(metric)} {reasons[metric]}", []).append(run.label)
    everyone = sum(run.status != "failed" for run in runs)
    return tuple(
        (reason, "all runs" if len(labels) == everyone > 1 else ", ".join(labels)) for reason, labels in found.items()
    )


def _label(metric: str) -> str:
    return get_metric(metric).label if metric in list_metrics() else metric


def _quantity(value: float, write: Callable[[float], str]) -> Cell:
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
