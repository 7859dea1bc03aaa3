"""Published numbers on the five data sets, with their sources: ``published/results.csv`` and ``sources.toml``.

All are from published reconstructions of the original data sets, scored with their authors' code. Nothing is
computed here.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from cryobench.data import Dataset, Score
from cryobench.recipes.published import PUBLISHED
from cryobench.report.scored_runs.tables import Run

NO_SCORE = "no such score"
"""Text of a published quantity that is no score of this package."""


@dataclass(frozen=True)
class Source:
    """Contents and source of a published table."""

    title: str
    what: str
    source: str


@cache
def published_sources() -> dict[str, Source]:
    """Sources by name of the table."""
    text = files("cryobench.report").joinpath("published", "sources.toml").read_text(encoding="utf-8")
    return {name: Source(**entry) for name, entry in tomllib.loads(text).items()}


def published_results() -> pd.DataFrame:
    """Table of all published numbers.

    Columns: table (of ``published_sources``), recipe (empty if it is none of the five sets), dataset, method,
    quantity, unit, value (mean, unless the quantity says otherwise), spread (standard deviation), median, low and
    high (a range, where no single value is given), score (the most similar score of this package), note.
    """
    path = files("cryobench.report").joinpath("published", "results.csv")
    with path.open("r", encoding="utf-8") as file:
        table = pd.read_csv(file, dtype={"note": str, "score": str, "recipe": str, "unit": str}, keep_default_na=True)
    words = ["recipe", "dataset", "method", "quantity", "unit", "score", "note"]
    return table.assign(**{name: table[name].fillna("") for name in words})


def recipe_of(dataset: Dataset) -> str | None:
    """Recipe of the published set that a data set is, or reproduces; None if it is none of the five."""
    card = dataset.card
    plan = card.get("plan")
    names = [plan.get("recipe") if isinstance(plan, Mapping) else None, card.get("recipe"), card.get("name")]
    return next((str(name) for name in names if name in PUBLISHED), None)


@dataclass(frozen=True)
class PublishedTable:
    """One published table as the page shows it, with the corresponding scores of the runs below."""

    source: Source
    quantities: list[str]
    rows: list[tuple[str, list[str]]]
    ours: list[tuple[str, list[str]]]
    notes: list[str]


@dataclass(frozen=True)
class PublishedPage:
    """Published results for one of the five sets."""

    title: str
    """Name of the set in the paper."""
    tables: list[PublishedTable]


def lay_out_published(dataset: Dataset, runs: Sequence[Run]) -> PublishedPage | None:
    """Published tables for the set that a data set is, or reproduces; None if it is none of the five."""
    recipe = recipe_of(dataset)
    if recipe is None:
        return None
    results = published_results()
    results = results.loc[results["recipe"] == recipe]
    sources = published_sources()
    tables = [_lay_out(sources[name], pd.DataFrame(results.loc[results["table"] == name]), runs) for name in sources]
    return PublishedPage(PUBLISHED[recipe].title, [table for table in tables if table.rows])


def _lay_out(source: Source, rows: pd.DataFrame, runs: Sequence[Run]) -> PublishedTable:
    units = [f" / {unit}" if unit else "" for unit in rows["unit"]]
    heads = rows.assign(head=[f"{quantity}{unit}" for quantity, unit in zip(rows["quantity"], units, strict=True)])
    scores = dict(zip(heads["head"], heads["score"], strict=True))
    several = len(set(heads["dataset"])) > 1
    names = zip(heads["method"], heads["dataset"], strict=True)
    heads = heads.assign(name=[f"{method} · {dataset}" if several else method for method, dataset in names])
    cells = {(row["name"], row["head"]): write_number(row) for row in heads.to_dict("records")}
    ours = []
    for run in runs:
        found = [run.scores.scores.get(scores[head]) for head in scores]
        if run.status != "failed" and any(score is not None for score in found):
            ours.append(
                (run.label, [_write_ours(*each) for each in zip(found, scores, scores.values(), strict=True)])
            )
    return PublishedTable(
        source,
        list(scores),
        [(name, [cells.get((name, head), "") for head in scores]) for name in dict.fromkeys(heads["name"])],
        ours,
        [f"{name}: {note}." for name, note in dict.fromkeys(zip(heads["name"], heads["note"], strict=True)) if note],
    )


def _write_ours(score: Score | None, head: str, name: str) -> str:
    """Score as text in the unit of the column: fractions become percent, seconds become hours."""
    if not name:
        return NO_SCORE
    if score is None or np.isnan(score.value):
        return ""
    if head.endswith("/ %"):
        return f"{100 * score.value:.1f}"
    return f"{score.value / 3600:.3g}" if head.endswith("/ h") else f"{score.value:.3f}"


def write_number(row: Mapping[str, object]) -> str:
    """Published number as text, with its spread and median, or as a range."""
    names = ("value", "spread", "median", "low", "high")
    value, spread, median, low, high = (float(str(row[name])) for name in names)
    if np.isnan(value):
        return f"{low:g} to {high:g}"
    text = f"{value:g}"
    if not np.isnan(spread):
        text = f"{value:.3f} ± {spread:.3f}"
    return text if np.isnan(median) else f"{text}, median {median:.3f}"
