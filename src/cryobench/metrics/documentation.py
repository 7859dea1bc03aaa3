"""Page of a metric, made from its class: question, formula, scores, needs, calibration, cost, limits.

docs/metrics holds the pages of all registered metrics, and an index. To write them again after a change:

    python -m cryobench.testing.known_answers          (if values of a metric changed)
    python -m cryobench.metrics.documentation docs/metrics
"""

import json
import sys
from functools import lru_cache
from inspect import cleandoc
from pathlib import Path

from cryobench.metrics.metric import Metric, ScoreKind
from cryobench.metrics.registry import METRICS, get_metric

KNOWN_TITLE = "Measured on the toy data set"
KNOWN_ANSWERS = Path(__file__).with_name("known_answers.json")
"""Measured by ``cryobench.testing.known_answers``: metric -> answer -> score -> value."""
KnownAnswers = dict[str, dict[str, float]]
"""Answer -> score -> value."""
_TOY = (
    "Three states, 360 images of 24 px, signal to noise 0.5; measured by `python -m cryobench.testing.known_answers`."
)


def describe_metric(metric: type[Metric]) -> str:
    """Page of a metric in Markdown."""
    parts = [f"# {metric.label}", f"`{metric.name}`" + (f": {metric.question}" if metric.question else "")]
    for title, text in list_sections(metric).items():
        parts.append(f"## {title}\n\n" + (f"```text\n{text}\n```" if title == "Formula" else text))
    return "\n\n".join(parts) + "\n"


def list_sections(metric: type[Metric]) -> dict[str, str]:
    """Title -> Markdown of each section of a page (the formula is plain text); empty sections are left out."""
    sections = {
        "Formula": cleandoc(metric.formula),
        "Scores": _tabulate_scores(metric.scores),
        "Needs": _list_items((", ".join(sorted(metric.needs)), *metric.conditions)),
        "Scores of known answers": _list_items(metric.calibration),
        KNOWN_TITLE: _tabulate_known_answers(metric),
        "Invariances": _list_items(metric.invariances),
        "Cost": metric.cost,
        "Limits": _list_items(metric.limits),
        "Source": f"{metric.reference}. Code: `{metric.__module__}`.",
    }
    return {title: text for title, text in sections.items() if text}


def describe_index(metrics: list[type[Metric]]) -> str:
    """Index of pages in Markdown: every metric with its question and its scores."""
    lines = [
        "# Metrics",
        "",
        "Generated from the code: `python -m cryobench.testing.known_answers` measures the scores of known answers, "
        "`python -m cryobench.metrics.documentation docs/metrics` writes these pages again, and "
        "`cryobench list metrics NAME` prints one. Times are for two cores of one machine, rounded.",
        "",
        "| metric | question | scores |",
        "|---|---|---|",
    ]
    for metric in metrics:
        names = ", ".join(kind.name for kind in metric.scores)
        lines.append(f"| [{metric.label}]({metric.name}.md) | {metric.question} | {names} |")
    return "\n".join(lines) + "\n"


def make_pages() -> dict[str, str]:
    """File name -> content of the pages of all metrics of this package, and their index."""
    metrics = [get_metric(name) for name in METRICS]
    pages = {f"{metric.name}.md": describe_metric(metric) for metric in metrics}
    return {"README.md": describe_index(metrics), **pages}


def write_pages(folder: Path) -> list[Path]:
    """Write all pages into a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = make_pages()
    for name, content in pages.items():
        (folder / name).write_text(content, encoding="utf-8")
    return [folder / name for name in pages]


def _tabulate_scores(kinds: tuple[ScoreKind, ...]) -> str:
    lines = ["| score | what | unit | range | better | over items |", "|---|---|---|---|---|---|"]
    lines += [f"| `{kind.name}` | {' | '.join(list_facts(kind))} |" for kind in kinds]
    blind = [f"`{kind.name}`" for kind in kinds if kind.ignores_identity]
    if blind:
        verb = "does" if len(blind) == 1 else "do"
        lines += ["", f"{', '.join(blind)} {verb} not distinguish the truth from labels shuffled over the particles."]
    return "\n".join(lines)


def list_facts(kind: ScoreKind) -> tuple[str, str, str, str, str]:
    """Label, unit, range, better direction and statistic of a score, as shown."""
    return kind.label, kind.unit or "none", f"{_show(kind.low)} to {_show(kind.high)}", kind.better, kind.statistic


@lru_cache
def read_known_answers() -> dict[str, KnownAnswers]:
    """Measured scores of known answers, by metric of this package."""
    return json.loads(KNOWN_ANSWERS.read_text(encoding="utf-8"))


def list_known_answers(metric: type[Metric]) -> tuple[tuple[ScoreKind, ...], dict[str, list[str]]]:
    """Scores measured for known answers, and answer -> values as text; empty for metrics of other packages."""
    ours = metric.name in METRICS and get_metric(metric.name) is metric
    found = read_known_answers().get(metric.name, {}) if ours else {}
    kinds = tuple(kind for kind in metric.scores if any(kind.name in scores for scores in found.values()))
    return kinds, {
        answer: [kind.write(scores[kind.name]).replace("-", "−") if kind.name in scores else "" for kind in kinds]
        for answer, scores in found.items()
    }


def _tabulate_known_answers(metric: type[Metric]) -> str:
    kinds, answers = list_known_answers(metric)
    if not kinds:
        return ""
    lines = [
        _TOY,
        "",
        f"| answer | {' | '.join(f'`{kind.name}`' for kind in kinds)} |",
        "|---" * (len(kinds) + 1) + "|",
    ]
    return "\n".join([*lines, *(f"| {answer} | {' | '.join(cells)} |" for answer, cells in answers.items())])


def _show(bound: float) -> str:
    infinite = {float("inf"): "∞", float("-inf"): "−∞"}
    return infinite.get(bound, f"{bound:g}".replace("-", "−"))


def _list_items(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {item}" for item in items)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("expected one folder: python -m cryobench.metrics.documentation docs/metrics")
    for written in write_pages(Path(sys.argv[1])):
        print(written)  # noqa: T201
