"""The page of a metric, made of what its class says: question, formula, scores, needs, calibration, cost, limits.

docs/metrics holds the pages of all registered metrics, and an index. To write them anew after a change:

    python -m cryobench.metrics.pages docs/metrics
"""

import sys
from inspect import cleandoc
from pathlib import Path

from cryobench.metrics import METRICS, get_metric
from cryobench.metrics.metric import Metric, ScoreKind


def describe_metric(metric: type[Metric]) -> str:
    """Page of a metric in Markdown."""
    parts = [f"# {metric.label}", _summarise(metric)]
    for title, text in list_sections(metric).items():
        parts.append(f"## {title}\n\n" + (f"```text\n{text}\n```" if title == "Formula" else text))
    return "\n\n".join(parts) + "\n"


def list_sections(metric: type[Metric]) -> dict[str, str]:
    """Title -> Markdown of each section of a page (the formula is plain text); what is not said is left out."""
    sections = {
        "Formula": cleandoc(metric.formula),
        "Scores": _tabulate_scores(metric.scores),
        "Needs": _list_items((", ".join(sorted(metric.needs)), *metric.conditions)),
        "What known answers score": _list_items(metric.calibration),
        "What changes it, and what does not": _list_items(metric.invariances),
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
        "Made from the code: `python -m cryobench.metrics.pages docs/metrics` writes these pages anew, and "
        "`cryobench list metrics NAME` prints one. Times are of two cores of one machine, rounded.",
        "",
        "| metric | what it asks | scores |",
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
    """Write all pages into a folder. Gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = make_pages()
    for name, content in pages.items():
        (folder / name).write_text(content, encoding="utf-8")
    return [folder / name for name in pages]


def _tabulate_scores(kinds: tuple[ScoreKind, ...]) -> str:
    lines = ["| score | what | unit | range | better | over items |", "|---|---|---|---|---|---|"]
    lines += [f"| `{kind.name}` | {' | '.join(list_facts(kind))} |" for kind in kinds]
    blind = [f"`{kind.name}`" for kind in kinds if kind.blind]
    if blind:
        verb = "does" if len(blind) == 1 else "do"
        lines += ["", f"{', '.join(blind)} {verb} not tell the truth from labels shuffled over the particles."]
    return "\n".join(lines)


def list_facts(kind: ScoreKind) -> tuple[str, str, str, str, str]:
    """Label, unit, range, better direction and statistic of a score, as shown."""
    return kind.label, kind.unit or "none", f"{_show(kind.low)} to {_show(kind.high)}", kind.better, kind.statistic


def _show(bound: float) -> str:
    infinite = {float("inf"): "∞", float("-inf"): "−∞"}
    return infinite.get(bound, f"{bound:g}".replace("-", "−"))


def _summarise(metric: type[Metric]) -> str:
    return f"`{metric.name}`" + (f": {metric.question}" if metric.question else "")


def _list_items(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {item}" for item in items)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("expected one folder: python -m cryobench.metrics.pages docs/metrics")
    for written in write_pages(Path(sys.argv[1])):
        print(written)  # noqa: T201
