"""Tables of scores: a row per score, a column per run, the best run first, fitted to the terminal."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cryobench.cli.layout import say
from cryobench.data import Reconstruction, Score, Scores
from cryobench.metrics.display import choose_main, count_censored, find_kind, find_metric, is_censored, order_scores
from cryobench.metrics.metric import ScoreKind
from cryobench.metrics.registry import get_metric
from cryobench.report.scored_runs.seeds import SeedGroup, group_seeds, tabulate_seeds
from cryobench.report.scored_runs.standing import (
    Standing,
    compare_controls,
    find_negative_scores,
    rank_runs,
    sort_runs,
)
from cryobench.report.scored_runs.tables import Run, name_runs, reasons_missing

_NAME, _LABEL, _GAP = 14, 34, 2
"""Maximum width of a run's name and of a score's label, and spaces between columns, in characters."""
_WITH_INTERVALS = 3
"""Maximum number of runs for which main scores are printed with intervals."""


def print_scores(results: Sequence[tuple[Reconstruction, Scores]], *, everything: bool = False) -> None:
    """Print main scores, or all, with 95 % intervals (if runs are few), then the metrics not measured and why."""
    console = Console()
    named = name_runs(results)
    standing = rank_runs(named)
    runs = sort_runs(named, standing.kind)
    intervals = everything or len(runs) <= _WITH_INTERVALS
    rows = list(_choose_rows(runs, everything=everything))
    texts = {(run.slug, kind.name): _write_cell(kind, run, intervals) for run in runs for _, kind in rows}
    cells = {run.slug: [*_break_name(run), *(texts[run.slug, kind.name] for _, kind in rows)] for run in runs}
    widths = [max(6, *map(len, cells[run.slug])) for run in runs]
    label = min(_LABEL, max((len(_write_label(kind, kind.heading)) for _, kind in rows), default=0) + 2)
    for shown in _fit(runs, widths, console.width - label):
        console.print(_lay_out(shown, rows, texts, standing, headed=everything))
        console.print()
    for warning in find_negative_scores(runs):
        say(console, f"negative scores: {warning}", "bold red")
    if groups := group_seeds(runs):
        console.print(_lay_out_seeds(groups))
        console.print()
    for line in (*compare_controls(runs, standing.kind), *_write_notes(runs, standing, everything, intervals)):
        say(console, line, "dim")


def _choose_rows(runs: Sequence[Run], *, everything: bool) -> Iterator[tuple[str, ScoreKind]]:
    """Metric and kind of each printed score."""
    measured = order_scores(name for run in runs for name in run.scores.scores)
    kinds = [find_kind(name) for name in measured] if everything else choose_main(measured)
    for kind in kinds:
        yield find_metric(kind.name), kind


def _lay_out(
    runs: Sequence[Run],
    rows: Sequence[tuple[str, ScoreKind]],
    texts: dict[tuple[str, str], str],
    standing: Standing,
    *,
    headed: bool,
) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_edge=False)
    table.add_column("", max_width=_LABEL)
    for run in runs:
        table.add_column(escape("\n".join(_break_name(run))), justify="right", no_wrap=True)
    if standing.kind is not None and len(standing.ranks) > 1:
        ranks = (_write_rank(run, standing) for run in runs)
        table.add_row(f"[dim]rank by {escape(standing.kind.heading)}[/dim]", *ranks)
    last = None
    for metric, kind in rows:
        if headed and metric != last:
            table.add_row(f"[bold]{escape(get_metric(metric).label if metric else 'Other scores')}[/bold]")
            last = metric
        cells = [escape(texts[run.slug, kind.name]) for run in runs]
        table.add_row(escape(_write_label(kind, kind.label if headed else kind.heading)), *cells)
    return table


def _lay_out_seeds(groups: Sequence[SeedGroup]) -> Table:
    """Mean and standard deviation over seeds: a row per score, a column per method."""
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_edge=False)
    table.add_column("mean ± standard deviation over seeds", max_width=_LABEL)
    for group in groups:
        table.add_column(escape(f"{group.method}\nseeds {', '.join(map(str, group.seeds))}"), justify="right")
    for kind, texts in tabulate_seeds(groups):
        table.add_row(escape(_write_label(kind, kind.heading)), *map(escape, texts))
    return table


def _write_rank(run: Run, standing: Standing) -> str:
    rank = standing.ranks.get(run.slug)
    if rank is None:
        return ""
    return f"{rank.label} ab initio" if run.group == "ab initio" else rank.label


def _write_label(kind: ScoreKind, label: str) -> str:
    unit = f" ({kind.shown_unit})" if kind.shown_unit else ""
    return f"{label}{unit} {'↑' if kind.better == 'higher' else '↓'}"


def _write_cell(kind: ScoreKind, run: Run, intervals: bool) -> str:
    score: Score | None = None if run.status == "failed" else run.scores.scores.get(kind.name)
    if score is None:
        return "–"
    if is_censored(score.value, count_censored(score), score.n):
        return "never crossed"
    text = kind.write(score.value)
    between = f" [{kind.write(score.low)}, {kind.write(score.high)}]"
    return text + between if intervals and score.low < score.high else text


def _fit(runs: Sequence[Run], widths: Sequence[int], room: int) -> Iterator[list[Run]]:
    """Groups of as many runs as fit side by side, at least one."""
    shown: list[Run] = []
    used = 0
    for run, width in zip(runs, widths, strict=True):
        if shown and used + width + _GAP > room:
            yield shown
            shown, used = [], 0
        shown.append(run)
        used += width + _GAP
    if shown:
        yield shown


def _break_name(run: Run) -> list[str]:
    """A run's name in lines, broken at hyphens and spaces."""
    return wrap(run.label, _NAME, break_long_words=True) or [""]


def _write_notes(runs: Sequence[Run], standing: Standing, everything: bool, intervals: bool) -> Iterator[str]:
    for reason, names in _collect_reasons(runs).items():
        yield f"not measured ({'all runs' if len(names) == len(runs) > 1 else ', '.join(names)}): {reason}"
    for run in runs:
        if run.status == "failed":
            yield f"failed ({run.label}): {run.reason}"
        alignment = run.scores.context.get("alignment", {})
        if alignment.get("mode", "none") != "none":
            yield (
                f"aligned ({run.label}): {alignment['mode']}, {alignment['why']}; agreement with the truth "
                f"{alignment['score']:.3f}"
            )
    kind = standing.kind
    counts = [run.scores.scores[kind.name].n for run in runs if kind is not None and kind.name in run.scores.scores]
    yield f"↑ higher is better, ↓ lower, – not measured{'; [95 % interval]' if intervals else ''}"
    if kind is not None and counts:
        yield f"{kind.label}: over {max(counts):,} items"
    if not everything:
        yield "more scores: --all; their definitions: cryobench list METRIC"


def _collect_reasons(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Runs by the reason why a metric was not measured."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for metric, reason in reasons_missing(run).items():
            found.setdefault(f"{metric} {reason}", []).append(run.label)
    return found
