"""Scores as printed: a row per score, grouped by metric, a column per run, the best run first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.markup import escape
from rich.table import Table

from cryobench._errors import UnknownName
from cryobench.cli.tables import make_console
from cryobench.data import Reconstruction, Score, Scores
from cryobench.methods import Control, get_method
from cryobench.metrics import get_metric, list_metrics
from cryobench.metrics.metric import ScoreKind
from cryobench.metrics.ranking import rank_scores

MAIN: dict[str, tuple[tuple[str, ...], ...]] = {
    "per-image-fsc": (
        ("fsc-auc-normalised-masked", "fsc-auc-normalised"),
        ("fsc-auc-masked", "fsc-auc"),
        ("resolution-0.5-masked", "resolution-0.5"),
    ),
    "per-conformation-fsc": (("conformation-fsc-auc-normalised-masked", "conformation-fsc-auc-normalised"),),
    "heterogeneity-fsc": (
        ("deviation-fsc-auc-normalised-masked", "deviation-fsc-auc-normalised"),
        ("variance-fsc-gain",),
    ),
    "labels": (("ari",), ("label-accuracy",)),
    "poses": (("rotation-error-median",), ("shift-error-median",)),
    "cost": (("wall-time",), ("peak-memory",), ("peak-gpu-memory",)),
    "neighbourhood-similarity": (("neighbourhood-similarity-5",),),
    "information-imbalance": (("imbalance-truth-to-latent",), ("imbalance-latent-to-truth",)),
}
"""Scores shown of each metric unless all are asked for: the first of each group that was measured. Of others, one."""

_RANKED_BY = ("fsc-auc-normalised-masked", "fsc-auc-normalised")
_WITH_INTERVALS, _VALUES_ONLY = 3, 5
"""Runs beside one another, with the interval of each value and without."""
_DECIMALS = {"Å": 1, "deg": 2, "%": 1, "s": 1, "GiB": 2}


@dataclass(frozen=True, eq=False)
class _Column:
    """One run under the name it has in the table."""

    title: str
    reconstruction: Reconstruction
    scores: Scores


def print_scores(results: Sequence[tuple[Reconstruction, Scores]], *, everything: bool = False) -> None:
    """Main scores of each metric with 95 % intervals (of few runs), or all of them; then what was not measured."""
    console = make_console()
    columns = _order_columns(_name_columns(results))
    intervals = everything or len(columns) <= _WITH_INTERVALS
    size = _WITH_INTERVALS if intervals else _VALUES_ONLY
    ranks = _rank(columns)
    for start in range(0, len(columns), size):
        shown = columns[start : start + size]
        table = Table(box=None, pad_edge=False)
        table.add_column("")
        for column in shown:
            table.add_column(escape(column.title), justify="right", overflow="fold")
        if len(ranks) > 1:
            table.add_row("[dim]rank by FSC-AUC[/dim]", *(ranks.get(column.title, "") for column in shown))
        for label, kinds in _choose_rows(columns, everything=everything):
            table.add_row(f"[bold]{escape(label)}[/bold]")
            for kind in kinds:
                cells = [_write_cell(kind, column.scores.scores.get(kind.name), intervals) for column in shown]
                table.add_row(f"  {escape(_write_label(kind))}", *cells)
        console.print(table)
        console.print()
    for line in _write_notes(columns, everything=everything, intervals=intervals):
        console.print(f"[dim]{escape(line)}[/dim]", highlight=False)


def _name_columns(results: Sequence[tuple[Reconstruction, Scores]]) -> list[_Column]:
    """Runs by the name of their method, or of their folder where methods repeat."""
    names = [reconstruction.name for reconstruction, _ in results]
    columns = []
    for place, (reconstruction, scores) in enumerate(results):
        name = names[place]
        if names.count(name) > 1:
            name = f"{name} {place + 1}" if reconstruction.path is None else reconstruction.path.name
        columns.append(_Column(name, reconstruction, scores))
    return columns


def _order_columns(columns: Sequence[_Column]) -> list[_Column]:
    def place(column: _Column) -> float:
        score = _ranking_score(column)
        return np.inf if score is None else -score.value

    return sorted(columns, key=place)


def _ranking_score(column: _Column) -> Score | None:
    return next((column.scores.scores[name] for name in _RANKED_BY if name in column.scores.scores), None)


def _rank(columns: Sequence[_Column]) -> dict[str, str]:
    """Rank of every method by the published score, ties as ranges; controls have none.

    Runs that found their own poses are ranked among themselves.
    """
    found: dict[str, str] = {}
    for estimated in (False, True):
        methods = [
            column
            for column in columns
            if not _is_control(column.reconstruction)
            and (column.reconstruction.record.priors.poses == "estimated") == estimated
        ]
        ranks = rank_scores([_ranking_score(column) for column in methods], better="higher")
        labels = {column.title: rank.label for column, rank in zip(methods, ranks, strict=True) if rank is not None}
        found |= {title: f"{label} ab initio" if estimated else label for title, label in labels.items()}
    return found


def _is_control(reconstruction: Reconstruction) -> bool:
    try:
        return issubclass(get_method(reconstruction.name), Control)
    except UnknownName:
        return False


def _choose_rows(columns: Sequence[_Column], *, everything: bool) -> Iterator[tuple[str, list[ScoreKind]]]:
    """Label of each metric that any run was measured by, and the scores shown of it."""
    measured = {name for column in columns for name in column.scores.scores}
    known = set()
    for name in list_metrics():
        metric = get_metric(name)
        kinds = {kind.name: kind for kind in metric.scores if kind.name in measured}
        known |= set(kinds)
        if not everything:
            groups = MAIN.get(name, (tuple(kinds),))
            chosen = [next((each for each in group if each in kinds), None) for group in groups]
            kinds = {each: kinds[each] for each in chosen if each is not None}
        if kinds:
            yield metric.label, list(kinds.values())
    others = [ScoreKind(name, name, "", "higher", -np.inf, np.inf) for name in sorted(measured - known)]
    if others:
        yield "Others", others


def _write_label(kind: ScoreKind) -> str:
    arrow = "↑" if kind.better == "higher" else "↓"
    return f"{kind.label}{f' ({kind.unit})' if kind.unit else ''} {arrow}"


def _write_cell(kind: ScoreKind, score: Score | None, intervals: bool) -> str:
    if score is None:
        return "[dim]not measured[/dim]"
    # A curve that stays above the threshold tells only that the resolution is at least this.
    if "crossed" in score.items and float(np.mean(score.items["crossed"].to_numpy())) < 0.5:
        return "never crossed"
    decimals = _DECIMALS.get(kind.unit, 3)
    text = f"{score.value:.{decimals}f}"
    if intervals and score.low < score.high:
        text += f" [dim]\\[{score.low:.{decimals}f}, {score.high:.{decimals}f}][/dim]"
    return text


def _write_notes(columns: Sequence[_Column], *, everything: bool, intervals: bool) -> Iterator[str]:
    for reason, names in _collect_reasons(columns).items():
        yield f"not measured ({', '.join(names)}): {reason}"
    for column in columns:
        alignment = column.scores.context.get("alignment", {})
        if alignment.get("mode", "none") != "none":
            yield (
                f"aligned ({column.title}): {alignment['mode']}, {alignment['why']}; agreement with the truth "
                f"{alignment['score']:.3f}"
            )
    counts = {score.n for column in columns for name, score in column.scores.scores.items() if name in _RANKED_BY}
    over = f" over {max(counts)} query particles" if counts else ""
    yield f"↑ more is better, ↓ less{'; [95 % interval]' if intervals else ''}; FSC{over}, resolutions their median"
    if not everything:
        yield "further scores: --all; what they mean: cryobench list metrics NAME"


def _collect_reasons(columns: Sequence[_Column]) -> dict[str, list[str]]:
    """Why metrics were not measured: reason to the runs it holds for."""
    found: dict[str, list[str]] = {}
    for column in columns:
        for metric, reason in column.scores.context.get("not_measured", {}).items():
            found.setdefault(f"{metric} {reason}", []).append(column.title)
    return found
