"""Display of scores: their kinds by name, their order, the main ones, and the one that ranks.

Terminal, page and figures read these and hold no table of their own: the label of a score, its format and whether it
is a main one are set on its ``ScoreKind``; the order of metrics is that of their registry.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np

from cryobench.data import Score, Scores
from cryobench.metrics.metric import ScoreKind
from cryobench.metrics.registry import get_metric, list_metrics


def find_kind(name: str) -> ScoreKind:
    """Kind of a score, or one made from its name if no installed metric yields it."""
    found = _registered().get(name)
    return ScoreKind(name, name.replace("-", " "), "", "higher", -np.inf, np.inf) if found is None else found[1]


def find_metric(name: str) -> str:
    """Name of the metric that yields a score; empty if no installed one does."""
    return _registered()[name][0] if name in _registered() else ""


def order_scores(names: Iterable[str]) -> list[str]:
    """Names without repeats: metrics in registry order, the main scores of each first, unknown names last."""
    found = list(dict.fromkeys(names))
    order = {name: position for position, name in enumerate(_registered())}
    return sorted(found, key=lambda name: order.get(name, len(order)))


def choose_main(names: Iterable[str]) -> list[ScoreKind]:
    """Main scores among those measured, in display order.

    A main score that no run has is replaced by the one it names; for a metric without a main score the first measured
    one is taken; scores of unknown metrics are all taken.
    """
    measured = order_scores(names)
    chosen: list[ScoreKind] = []
    for metric in dict.fromkeys(map(find_metric, measured)):
        own = [name for name in measured if find_metric(name) == metric]
        if not metric:
            chosen += [find_kind(name) for name in own]
            continue
        mains = [kind for kind in get_metric(metric).scores if kind.main]
        found = [next((name for name in (kind.name, kind.otherwise) if name in own), None) for kind in mains]
        kept = [find_kind(name) for name in found if name is not None]
        chosen += kept or ([] if mains else [find_kind(own[0])])
    return chosen


def choose_ranking(names: Iterable[str]) -> ScoreKind | None:
    """The score that ranks runs: the first main one that depends on particle identity; None if none was measured."""
    return next((kind for kind in choose_main(names) if not kind.ignores_identity and find_metric(kind.name)), None)


def hides_truth(kind: ScoreKind) -> bool:
    """Whether a score measured against the truth ignores particle identity: shuffled labels score as well."""
    return kind.ignores_identity and _needs_truth(kind.name)


def measures_truth(scores: Scores) -> bool:
    """Whether any score was measured against the truth; costs are not."""
    return any(_needs_truth(name) for name in scores.scores)


def _needs_truth(name: str) -> bool:
    metric = find_metric(name)
    return bool(metric) and any(need.startswith("tru") for need in get_metric(metric).needs)


def count_censored(score: Score) -> int:
    """Number of items of a resolution whose curve stays above the threshold, so that only a bound is known."""
    crossed = score.items.get("crossed")
    return 0 if crossed is None else int((~crossed.astype(bool)).sum())


def is_censored(value: float, never_crossed: int, n: int) -> bool:
    """Whether so many curves stay above the threshold that their median is not known, or there is no value."""
    return bool(2 * never_crossed >= n > 0 and never_crossed) or not np.isfinite(value)


@cache
def _registered() -> dict[str, tuple[str, ScoreKind]]:
    """Score -> its metric and kind, in display order."""
    found = {}
    for metric in list_metrics():
        kinds = get_metric(metric).scores
        for kind in (*(kind for kind in kinds if kind.main), *(kind for kind in kinds if not kind.main)):
            found[kind.name] = (metric, kind)
    return found
