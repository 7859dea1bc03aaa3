"""Charts of volume scores by true state: where along the heterogeneity a run succeeds and fails."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.data import Dataset
from cryobench.report.charts.kinds import Axis, LineChart, Picture, Series, read_captions, shown_limits
from cryobench.report.scored_runs.tables import Run, column_of, gather_items

SCORES = {
    "fsc-auc-normalised": "FSC-AUC",
    "conformation-fsc-auc-normalised": "FSC-AUC of one volume per state",
    "deviation-fsc-auc-normalised": "FSC-AUC of deviations",
    "variance-fsc-auc-normalised": "FSC-AUC where states differ",
}
"""Titles of scores; the masked one is drawn where it was measured."""


def draw_states(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """One picture per entry of ``SCORES`` that was measured."""
    if dataset.truth is None:
        return []
    pictures = []
    for score, title in SCORES.items():
        tables = {name: gather_items(runs, name) for name in (f"{score}-masked", score)}
        name, table = next(((name, table) for name, table in tables.items() if len(table)), ("", pd.DataFrame()))
        if not {"particle", "state"} & set(table.columns):
            continue
        if "state" not in table:
            table = table.assign(state=dataset.truth.states[np.asarray(table["particle"], dtype=np.int64)])
        known = table.loc[table["state"] >= 0]
        summary = known.groupby(["slug", "state"])["value"].agg(["mean", "min", "max"]).reset_index()
        series = [
            Series(run.slug, *(column_of(rows, column) for column in ("state", "mean", "min", "max")))
            for run in runs
            if len(rows := pd.DataFrame(summary.loc[summary["slug"] == run.slug]))
        ]
        low, high = shown_limits(np.r_[column_of(summary, "min"), column_of(summary, "max")], low=0.0, high=1.0)
        chart = LineChart(Axis("true state", whole=True), Axis(title, low - 0.03, high + 0.03), series)
        words = read_captions()[f"states-{score}"]
        pictures.append(Picture(f"states-{name}", "fsc", "State by state", chart, words))
    return pictures
