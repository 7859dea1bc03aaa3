"""The leaderboard's cells as text: numbers with their intervals, or the reason why there is no number.

The leaderboard has the main scores of every metric; the board of one metric has all its scores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cryobench.metrics.display import choose_main, find_kind, find_metric, hides_truth, is_censored
from cryobench.metrics.metric import Metric, ScoreKind
from cryobench.metrics.registry import get_metric, list_metrics
from cryobench.report.pages.contents import Contents
from cryobench.report.scored_runs.standing import sort_runs
from cryobench.report.scored_runs.tables import GROUPS, Group, Run, reasons_missing

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Cell:
    """One cell: text, a secondary line, the number by which rows are sorted, and whether it is missing."""

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
    priors: str
    """Priors that its group does not state."""


@dataclass(frozen=True)
class Column:
    """Heading of a column."""

    title: str
    subtitle: str
    first_order: str
    """"descending" if higher is better, else "ascending": the order after the first click."""
    words: str = ""
    """Full title, where the heading is short."""
    sorts: bool = False
    """Whether the rows are initially sorted by it."""
    metric: str = ""
    """Metric whose board has all its scores."""


@dataclass(frozen=True)
class Board:
    """A sortable table of runs: the leaderboard, or all scores of one metric."""

    name: str
    title: str
    columns: list[Column]
    methods: list[Row]
    """Methods with given poses."""
    ab_initio: list[Row]
    """Methods that estimate poses, which are not ranked against the others."""
    controls: list[Row]
    missing: tuple[tuple[str, str], ...]
    """Reason for a metric not measured, and the runs it applies to."""
    metric: type[Metric] | None = None
    """The metric whose scores these are."""
    ignoring_identity: tuple[str, ...] = ()
    """Titles of scores in which shuffled labels score as well as the truth."""

    @property
    def n_scores(self) -> int:
        """Number of columns that are scores."""
        return len(self.columns) - 1


def lay_out_leaderboard(contents: Contents) -> Board:
    """Board of the main scores of every metric measured on any run, in the order of the terminal."""
    kinds = choose_main(contents.score_names)
    columns = [_head(kind, kind.heading, sorts=kind == contents.standing.kind) for kind in kinds]
    reasons = _gather_reasons(contents.runs, list_metrics())
    return Board("leaderboard", "Leaderboard", columns, *_group_rows(contents, kinds), reasons)


def lay_out_metrics(contents: Contents) -> list[Board]:
    """Boards of every metric measured on any run, with all its scores; scores of no known metric come last."""
    names: dict[str, list[str]] = {}
    for name in contents.score_names:
        names.setdefault(find_metric(name), []).append(name)
    return [_metric_board(contents, metric, [find_kind(name) for name in names[metric]]) for metric in names]


def _metric_board(contents: Contents, name: str, kinds: list[ScoreKind]) -> Board:
    def count(run: Run) -> Cell:
        counts = [run.scores.scores[kind.name].n for kind in kinds if kind.name in run.scores.scores]
        return Cell(f"{max(counts):,}", sort=max(counts)) if counts else Cell("–", missing=True)

    metric = get_metric(name) if name else None
    return Board(
        name or "other",
        metric.label if metric else "Other scores",
        [*(_head(kind, kind.label) for kind in kinds), Column("n", "items", "descending")],
        *_group_rows(contents, kinds, count),
        _gather_reasons(contents.runs, [name]),
        metric,
        tuple(kind.label for kind in kinds if hides_truth(kind)),
    )


def _head(kind: ScoreKind, heading: str, *, sorts: bool = False) -> Column:
    hides = hides_truth(kind)
    unit = f"{kind.shown_unit}, " if kind.shown_unit else "ignores identity, " if hides else ""
    remark = " Ignores particle identity: shuffled labels score as well as the truth." if hides else ""
    order, metric = "ascending" if kind.better == "lower" else "descending", find_metric(kind.name) or "other"
    return Column(heading, f"{unit}{kind.better} is better", order, f"{kind.label}.{remark}", sorts, metric)


def _group_rows(
    contents: Contents, kinds: Sequence[ScoreKind], last: Callable[[Run], Cell] | None = None
) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of the runs of each of ``GROUPS``: the best first, then runs without a score, then failed runs."""
    scores = contents.scores.set_index(["slug", "metric"]).sort_index()
    runs = sort_runs(sorted(contents.runs, key=lambda run: run.status == "failed"), contents.standing.kind)
    groups: dict[Group, list[Row]] = {group: [] for group in GROUPS}
    for run in runs:
        cells = [_score_cell(scores, run, kind) for kind in kinds]
        groups[run.group].append(_row(contents, run, cells if last is None else [*cells, last(run)]))
    return groups["given poses"], groups["ab initio"], groups["control"]


def _row(contents: Contents, run: Run, cells: list[Cell]) -> Row:
    rank = Cell("–")
    found = contents.standing.ranks.get(run.slug)
    if found is not None:
        rank = Cell(found.label, "" if found.first == found.last else "tie", float(found.first))
    failed = run.reason if run.status == "failed" else ""
    running = run.status not in ("failed", "finished")
    colour = contents.styles[run.slug].colour
    return Row(run.slug, run.label, run.role, colour, rank, cells, failed, running, run.priors)


def _score_cell(scores: pd.DataFrame, run: Run, kind: ScoreKind) -> Cell:
    if (run.slug, kind.name) not in scores.index:
        reason = reasons_missing(run).get(find_metric(kind.name), "")
        return Cell(NOT_MEASURED, missing=True, reason=reason)
    row = scores.loc[(run.slug, kind.name)]
    if is_censored(row["value"], row["never_crossed"], row["n"]):
        return Cell("never crossed", sort=0.0 if row["never_crossed"] else None)
    return Cell(_write(kind, row["value"]), _write_interval(row, kind), float(row["value"]))


def _write(kind: ScoreKind, value: float) -> str:
    """Value as text, with a typographic minus sign."""
    return kind.write(value).replace("-", "−")


def _write_interval(row: Any, kind: ScoreKind) -> str:
    interval = ""
    if np.isfinite(row["low"]) and np.isfinite(row["high"]) and row["n"] > 1:
        interval = f"[{_write(kind, row['low'])},\u00a0{_write(kind, row['high'])}]"
    never = f"{int(row['never_crossed'])} of {int(row['n'])} never crossed" if row["never_crossed"] else ""
    return " ".join(part for part in (interval, never) if part)


def _gather_reasons(runs: Sequence[Run], metrics: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Reasons why metrics were not measured: "metric reason", and the labels of the runs it applies to."""
    found: dict[str, list[str]] = {}
    for metric in metrics:
        for run in runs:
            if metric in (reasons := reasons_missing(run)):
                label = get_metric(metric).label if metric in list_metrics() else metric
                found.setdefault(f"{label} {reasons[metric]}", []).append(run.label)
    everyone = sum(run.status != "failed" for run in runs)
    return tuple(
        (reason, "all runs" if len(labels) == everyone > 1 else ", ".join(labels)) for reason, labels in found.items()
    )
