"""Charts of volume scores by true state: where along the heterogeneity a run succeeds and fails."""

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
        "FSC-AUC of the query particles of each true state: mean and range. The rigid part common to all states "
        "dominates: a flat line near the top may be a single map for all, so compare with the consensus and the "
        "next figure.",
    ),
    (
        ("conformation-fsc-auc-normalised-masked", "conformation-fsc-auc-normalised"),
        "FSC-AUC of one volume per state",
        "FSC-AUC of a single volume per true state, decoded at the particle latent nearest to the state's mean "
        "latent. A state that is spread over the latent space is judged by its centre alone.",
    ),
    (
        ("deviation-fsc-auc-normalised-masked", "deviation-fsc-auc-normalised"),
        "FSC-AUC of deviations",
        "FSC-AUC of query particles for deviations from the mean volume: how well the run recovers the differences. "
        "A single map for all scores 0 everywhere. Noise counts in full here, so states with few images score low "
        "even where they are separated.",
    ),
    (
        ("variance-fsc-auc-normalised",),
        "FSC-AUC where states differ",
        "FSC-AUC of query particles inside the soft mask of high variance of the truth: where the molecule moves or "
        "changes composition.",
    ),
)  # fmt: skip


def draw_states(runs: Sequence[Run], dataset: Dataset) -> list[Picture]:
    """One picture per entry of ``SCORES``, of the first of its scores that was measured."""
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
