"""Everything one report shows, as tables, gathered once; page data, paper figures and downloads draw from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cryobench._progress import Task
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.report import tables
from cryobench.report.assignments import class_by_truth, latent_scatter
from cryobench.report.axes import TruthAxis, choose_truth_axis
from cryobench.report.card_contents import Card, collect_card
from cryobench.report.figures.style import RunStyle, style_runs
from cryobench.report.queries import choose_queries
from cryobench.report.tables import Run

SLICE_QUERIES = 6
SURFACE_QUERIES = 4


@dataclass(frozen=True, eq=False)
class Contents:
    """Tables and choices behind one report; None where something was not measured."""

    dataset: Dataset
    runs: list[Run]
    styles: dict[str, RunStyle]
    run_table: pd.DataFrame
    scores: pd.DataFrame
    metrics: list[str]
    ranks: pd.DataFrame
    curves: pd.DataFrame
    curve_summary: pd.DataFrame
    truth_axis: TruthAxis | None
    classes: dict[str, pd.DataFrame]
    latents: dict[str, pd.DataFrame]
    truth_embedding: pd.DataFrame | None
    card: Card
    slice_positions: np.ndarray
    surface_positions: np.ndarray

    @property
    def ranking_metric(self) -> str | None:
        """The metric that orders the leaderboard: the first known one that was measured."""
        return self.metrics[0] if self.metrics else None


def collect_contents(dataset: Dataset, results: Sequence[tuple[Reconstruction, Scores]], task: Task) -> Contents:
    """Gather the tables of a report. ValueError if a result belongs to a data set of another length."""
    runs = tables.name_runs(results)
    for run in runs:
        for part in ("posteriors", "latents"):
            values = getattr(run.reconstruction, part)
            if values is not None and len(values) != len(dataset.particles):
                raise ValueError(
                    f"run {run.label!r} gives {part} of {len(values)} particles, but data set {dataset.name!r} "
                    f"has {len(dataset.particles)}: report a run beside the data set it was made from."
                )
    scores = tables.score_table(runs)
    metrics = tables.order_metrics(scores)
    curves = tables.fsc_curves(runs)
    truth = dataset.truth
    alive = [run for run in runs if run.status != "failed"]
    classes = {run.slug: class_by_truth(run.reconstruction, dataset) for run in alive}
    return Contents(
        dataset=dataset,
        runs=runs,
        styles=style_runs(runs),
        run_table=tables.run_table(runs),
        scores=scores,
        metrics=metrics,
        ranks=tables.rank_runs(scores, metrics[0] if metrics else ""),
        curves=curves,
        curve_summary=tables.summarise_curves(curves),
        truth_axis=None if truth is None else choose_truth_axis(truth),
        classes={slug: table for slug, table in classes.items() if table is not None},
        latents={
            run.slug: latent_scatter(run.reconstruction.latents, dataset)
            for run in alive
            if run.reconstruction.latents is not None
        },
        truth_embedding=None
        if truth is None or truth.embedding is None
        else latent_scatter(truth.embedding, dataset),
        card=collect_card(dataset, task),
        slice_positions=choose_queries(dataset, SLICE_QUERIES),
        surface_positions=choose_queries(dataset, SURFACE_QUERIES),
    )
