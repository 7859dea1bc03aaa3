"""Charts of classes: confusion with the true states, recovered populations, occupancy errors of components."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.data import Dataset
from cryobench.metrics.labels.agreement import Labels
from cryobench.metrics.labels.populations import Populations
from cryobench.report.charts import kinds
from cryobench.report.charts.kinds import Axis, Picture, Reference, read_captions, series_by_name, series_by_run
from cryobench.report.scored_runs.tables import Run, column_of, curve_of, gather_curve, gather_items

MOST_COMPONENTS = 60
"""Components drawn, those with the largest errors; the table has all."""


def draw_confusion(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """One grid per run: true states by classes, in matched order."""
    pictures = []
    names = None if dataset.truth is None else dataset.truth.state_names
    lead = read_captions()["confusion"]
    for run in runs:
        table = curve_of(run, "confusion")
        if table is None or table.empty:
            continue
        counts = order_confusion(table)
        particles = counts.to_numpy(float)
        rows = [str(state) if names is None else f"{state} {names[int(state)]}" for state in counts.index]
        labels = run.scores.context.get(Labels.name)
        source = labels.get("classes_from") if isinstance(labels, dict) else None
        chart = kinds.GridChart(
            Axis(f"class ({source})" if source else "class"),
            Axis("true state"),
            [str(column) for column in counts.columns],
            rows,
            particles / particles.sum(axis=1, keepdims=True),
            particles,
        )
        words = f"{run.label}: fraction of each true state's particles assigned to each class."
        pictures.append(Picture(f"confusion-{run.slug}", "classes", "Confusion", chart, words, run.slug, lead))
    return pictures


def order_confusion(table: pd.DataFrame) -> pd.DataFrame:
    """Particle counts by state (rows, ascending) and class (columns, ordered by the matched state).

    Unmatched classes come last, ordered by the state most of their particles belong to.
    """
    counts = table.pivot(index="state", columns="class", values="particles").fillna(0).astype(np.int64)
    match = {row["class"]: (row["matched"] < 0, row["matched"], row["majority"]) for row in table.to_dict("records")}
    return counts.reindex(columns=sorted(counts.columns, key=lambda each: (*match[each], each)))


def draw_populations(runs: Sequence[Run]) -> list[Picture]:
    """True and recovered population of every state."""
    table = gather_curve(runs, Populations.name)
    if table.empty:
        return []
    true = table.drop_duplicates("state", keep="last").sort_values("state")
    reference = Reference("true", column_of(true, "state"), column_of(true, "true"), "bars")
    x, y = Axis("true state", whole=True), Axis("population / fraction of particles", 0)
    chart = kinds.LineChart(x, y, series_by_run(table, "state", "recovered", "low", "high"), [reference], "points")
    return [Picture("populations", "classes", "Populations of states", chart, read_captions()["populations"])]


def draw_composition(runs: Sequence[Run]) -> list[Picture]:
    """Dot chart with one row per component whose occupancy differs between states."""
    table = gather_items(runs, "occupancy-error")
    if table.empty:
        return []
    largest = pd.DataFrame(table.groupby("component", sort=False)[["value", "chance"]].max())
    by_error = np.argsort(-column_of(largest, "value"), kind="stable")
    shown = largest.iloc[np.sort(by_error[:MOST_COMPONENTS])]
    names = [str(name) for name in shown.index]
    table = pd.DataFrame(table.loc[table["component"].isin(names)])
    chance = column_of(shown, "chance")
    references = [Reference("chance", chance, np.arange(len(names), dtype=np.float64))]
    high = kinds.shown_limits(np.r_[column_of(table, "value"), chance], low=0, high=0.05)[1] * 1.05
    series = series_by_name(table, names, "component", "value")
    chart = kinds.DotChart(Axis("occupancy error", -0.02 * high, high), names, series, references)
    return [Picture("composition", "classes", "Composition", chart, read_captions()["composition"])]
