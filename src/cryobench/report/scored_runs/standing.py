"""Standing of runs: their ranks, negative scores and comparison with the controls, computed from the scores shown.

Terminal and page show the same texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cryobench.metrics.display import choose_main, choose_ranking
from cryobench.metrics.metric import ScoreKind
from cryobench.metrics.ranking import Rank, rank_scores
from cryobench.report.scored_runs.tables import GROUPS, Run


@dataclass(frozen=True)
class Standing:
    """Ranks of some runs."""

    kind: ScoreKind | None
    """The score that ranks them; None if they have no score that can."""
    ranks: dict[str, Rank]
    """Slug to rank, of each ranked method within its group."""


def rank_runs(runs: Sequence[Run]) -> Standing:
    """Rank the methods by the first main score that depends on particle identity (``choose_ranking``).

    Controls and failed runs are not ranked. Negative scores are ranked like others.
    """
    alive = [run for run in runs if run.status != "failed"]
    kind = choose_ranking(name for run in alive for name in run.scores.scores)
    ranks: dict[str, Rank] = {}
    if kind is None:
        return Standing(None, ranks)
    for group in GROUPS:
        methods = [run for run in alive if run.group == group != "control"]
        found = rank_scores(
            [run.scores.scores.get(kind.name) for run in methods], better=kind.better, statistic=kind.statistic
        )
        ranks |= {run.slug: rank for run, rank in zip(methods, found, strict=True) if rank is not None}
    return Standing(kind, ranks)


def sort_runs(runs: Sequence[Run], kind: ScoreKind | None) -> list[Run]:
    """The runs with the best score first, those without it last, otherwise in the order given."""
    if kind is None:
        return list(runs)

    def place(run: Run) -> tuple[bool, float]:
        value = _value(run, kind)
        return not np.isfinite(value), -value if kind.better == "higher" else value

    return sorted(runs, key=place)


def find_negative_scores(runs: Sequence[Run]) -> list[str]:
    """Warnings for main scores that are negative for a control that uses the truth, or for every method.

    Only for scores whose kind states a likely cause.
    """
    alive = [run for run in runs if run.status != "failed"]
    warnings = []
    for kind in choose_main(name for run in alive for name in run.scores.scores):
        having = [run for run in alive if kind.name in run.scores.scores]
        known = [run for run in having if run.control is not None and run.control.role != "floor"]
        wrong = [run for run in known if run.control is not None and run.control.needs and _is_negative(run, kind)]
        methods = [run for run in having if run.control is None]
        if methods and all(_is_negative(run, kind) for run in methods):
            wrong += methods
        if kind.negative and wrong:
            values = ", ".join(f"{run.label} {kind.write(_value(run, kind))}" for run in wrong)
            warnings.append(f"{kind.label} is negative ({values}). Most likely {kind.negative}.")
    return warnings


def compare_controls(runs: Sequence[Run], kind: ScoreKind | None) -> list[str]:
    """Sentences, with numbers, that compare controls and methods by the ranking score."""
    if kind is None:
        return []
    having = [run for run in runs if run.status != "failed" and np.isfinite(_value(run, kind))]
    references = [run for run in having if run.control is not None and run.control.role == "reference"]
    blind = [run for run in references if run.control is not None and not run.control.needs]
    knowing = [run for run in references if run.control is not None and run.control.needs]
    said = []
    for one in blind:
        said += [_compare(one, other, kind) for other in knowing]
        below = [run for run in having if run.control is None and not _beats(run, one, kind)]
        if below:
            said.append(f"Not above {one.label}: {', '.join(_quote(run, kind) for run in below)}.")
    return said


def _compare(blind: Run, knowing: Run, kind: ScoreKind) -> str:
    """Sentence on whether a single map for all particles scores above the maps of the true states."""
    one, other = _quote(blind, kind), _quote(knowing, kind)
    if _beats(blind, knowing, kind):
        return (
            f"{one} contains no heterogeneity and scores above {other}, which uses every true label: "
            "this score hides the heterogeneity here. Read it with the scores of deviations, classes and latents."
        )
    return (
        f"{one} contains no heterogeneity; {other} uses every true label and does not score below it: this "
        "score is sensitive to the heterogeneity here."
    )


def _quote(run: Run, kind: ScoreKind) -> str:
    return f"{run.label} ({kind.write(_value(run, kind))})"


def _beats(one: Run, other: Run, kind: ScoreKind) -> bool:
    difference = _value(one, kind) - _value(other, kind)
    return difference > 0 if kind.better == "higher" else difference < 0


def _value(run: Run, kind: ScoreKind) -> float:
    score = run.scores.scores.get(kind.name)
    return float("nan") if score is None or run.status == "failed" else float(score.value)


def _is_negative(run: Run, kind: ScoreKind) -> bool:
    return kind.better == "higher" and _value(run, kind) < 0
