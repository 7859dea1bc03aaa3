"""Charts of classes: confusion with the true states, recovered populations, occupancy errors of components."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.data import Dataset
from cryobench.metrics.labels.agreement import Labels
from cryobench.metrics.labels.populations import Populations
from cryobench.report.charts.kinds import (
    Axis,
    DotChart,
    GridChart,
    LineChart,
    Picture,
    Reference,
    Series,
    shown_limits,
)
from cryobench.report.runs.tables import Run, by_run, column_of, curve_of, gather_curve, gather_items

MOST_COMPONENTS = 60
"""Components drawn, those with the largest errors; the table has all."""
_COMPOSITION = (
    "Occupancy error of each component: difference between the occupancy expected from a particle's class and that "
    "of its true state, mean over particles. 0 is perfect; the grey tick is chance (shuffled labels). Confusing "
    "states that differ in one small part costs little. Occupancies come from classes, not from density: a "
    "component missing from the volume of the correct class is not detected here."
)
_CONFUSION = (
    "Rows are true states; columns are classes, ordered by the state each is matched to (one to one, maximising the "
    "particles that agree), unmatched classes last. A perfect classification is a bright diagonal; a bright column "
    "over several rows merges states; a row spread over columns is a split state. Volumes are not assessed here."
)
_POPULATIONS = (
    "Populations of the true states (grey) and of the classes matched to them; bars: 95 % intervals over particles. "
    "Populations ignore particle identity: labels shuffled over the particles are perfect here, so read them "
    "together with the confusion. A state without a matched class has population 0."
)


def draw_confusion(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """One grid per run: true states by classes, in matched order."""
    pictures = []
    names = None if dataset.truth is None else dataset.truth.state_names
    for run in runs:
        table = curve_of(run, "confusion")
        if table is None or table.empty:
            continue
        counts = order_confusion(table)
        of_states = counts.sum(axis=1).to_numpy(float)
        rows = [str(state) if names is None else f"{state} {names[int(state)]}" for state in counts.index]
        chart = GridChart(
            Axis(f"class ({_where_from(run)})" if _where_from(run) else "class"),
            Axis("true state"),
            [str(column) for column in counts.columns],
            rows,
            counts.to_numpy(float) / of_states[:, None],
            counts.to_numpy(float),
        )
        words = f"{run.label}: fraction of each true state's particles assigned to each class."
        pictures.append(
            Picture(f"confusion-{run.slug}", "classes", "Confusion", chart, words, run.slug, lead=_CONFUSION)
        )
    return pictures


def order_confusion(table: pd.DataFrame) -> pd.DataFrame:
    """Particle counts by state (rows, ascending) and class (columns, ordered by the matched state).

    Unmatched classes come last, ordered by the state most of their particles belong to.
    """
    counts = table.pivot(index="state", columns="class", values="particles").fillna(0).astype(np.int64)
    match = {row["class"]: (row["matched"] < 0, row["matched"], row["majority"]) for row in table.to_dict("records")}
    return counts.reindex(columns=sorted(counts.columns, key=lambda each: (*match[each], each)))


def _where_from(run: Run) -> str:
    labels = run.scores.context.get(Labels.name)
    source = labels.get("classes_from") if isinstance(labels, dict) else None
    return str(source) if source else ""


def draw_populations(runs: Sequence[Run]) -> list[Picture]:
    """True and recovered population of every state."""
    table = gather_curve(runs, Populations.name)
    if table.empty:
        return []
    series = [
        Series(slug, *(column_of(rows, name) for name in ("state", "recovered", "low", "high")))
        for slug, rows in by_run(table)
    ]
    truth = dict(zip(table["state"], table["true"], strict=True))
    states = np.array(sorted(truth), dtype=np.float64)
    reference = Reference("true", states, np.array([truth[state] for state in sorted(truth)]), "bars")
    chart = LineChart(
        Axis("true state", whole=True), Axis("population / fraction of particles", 0), series, [reference], "points"
    )
    return [Picture("populations", "classes", "Populations of states", chart, _POPULATIONS)]


def draw_composition(runs: Sequence[Run]) -> list[Picture]:
    """Dot chart with one row per component whose occupancy differs between states."""
    table = gather_items(runs, "occupancy-error")
    if table.empty:
        return []
    errors: dict[str, float] = {}
    chances: dict[str, float] = {}
    for row in table.to_dict("records"):
        name = str(row["component"])
        errors[name] = max(errors.get(name, 0.0), float(row["value"]))
        chances[name] = max(chances.get(name, 0.0), float(row["chance"]))
    shown = sorted(errors, key=lambda name: -errors[name])[:MOST_COMPONENTS]
    names = [name for name in errors if name in shown]
    table = pd.DataFrame(table.loc[table["component"].isin(names)])
    series = [
        Series(
            slug, column_of(rows, "value"), np.array([names.index(name) for name in rows["component"]], dtype=float)
        )
        for slug, rows in by_run(table)
    ]
    chance = np.array([chances[name] for name in names])
    references = [Reference("chance", chance, np.arange(len(names), dtype=np.float64))]
    high = shown_limits(np.r_[column_of(table, "value"), chance], low=0, high=0.05)[1] * 1.05
    chart = DotChart(Axis("occupancy error", -0.02 * high, high), [str(name) for name in names], series, references)
    return [Picture("composition", "classes", "Composition", chart, _COMPOSITION)]
