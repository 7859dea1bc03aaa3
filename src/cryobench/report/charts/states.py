"""Charts of volume scores state by state: where along the heterogeneity a run succeeds and fails."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryobench.data import Dataset
from cryobench.report.charts.kinds import Axis, LineChart, Picture, Series, shown_limits
from cryobench.report.runs.tables import Run, column_of, gather_items

SCORES = (
    (
        ("fsc-auc-normalised-masked", "fsc-auc-normalised"),
        "FSC-AUC",
        "FSC-AUC of the query particles of each true state: mean, and the range between them. What all states "
        "share dominates: a flat line near the top may be one map for all, so compare with consensus and look at "
        "the next figure.",
    ),
    (
        ("conformation-fsc-auc-normalised-masked", "conformation-fsc-auc-normalised"),
        "FSC-AUC of one volume a state",
        "FSC-AUC of the one volume that a run has for each true state, decoded at the latent nearest to the state's "
        "mean. A state that is spread over the latent is judged by its middle alone.",
    ),
    (
        ("deviation-fsc-auc-normalised-masked", "deviation-fsc-auc-normalised"),
        "FSC-AUC of deviations",
        "FSC-AUC of query particles for deviations from the mean volume: what the run knows of the differences. One "
        "map for all has 0 everywhere. Noise counts in full here, so states with few images score low even where "
        "they are told apart.",
    ),
    (
        ("variance-fsc-auc-normalised",),
        "FSC-AUC where states differ",
        "FSC-AUC of query particles inside the soft mask of high truth variance: where the molecule moves or comes "
        "and goes.",
    ),
)  # fmt: skip


def draw_states(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """One picture per kind of score that was measured, the first of each row of ``SCORES``."""
    if dataset.truth is None:
        return []
    pictures = []
    for names, title, words in SCORES:
        tables = ((name, gather_items(runs, name)) for name in names)
        name, table = next(((name, table) for name, table in tables if len(table)), ("", None))
        if table is None or not {"particle", "state"} & set(table.columns):
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
        pictures.append(Picture(f"states-{name}", "fsc", "State by state", chart, words))
    return pictures
