"""Contents of one report, gathered once as values; nothing is read or computed afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cryobench._progress import Task
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.metrics.display import order_scores
from cryobench.report.axes import TruthAxis, choose_truth_axis
from cryobench.report.card.contents import Card, collect_card
from cryobench.report.charts.collect import collect_charts
from cryobench.report.charts.kinds import Picture
from cryobench.report.charts.scores import Cost, gather_costs
from cryobench.report.colours import NEUTRAL
from cryobench.report.findings.gather import Findings, gather_findings
from cryobench.report.findings.series import SeriesView, view_series
from cryobench.report.runs import tables
from cryobench.report.runs.agreement import Agreement, Found, compare_runs, describe_found
from cryobench.report.runs.assignments import class_by_truth
from cryobench.report.runs.colourings import Colouring, colourings
from cryobench.report.runs.latent_views import LatentView, view_latents
from cryobench.report.runs.published_results import PublishedPage, lay_out_published
from cryobench.report.runs.queries import TRUTH, QueryVolumes, choose_queries, read_query
from cryobench.report.runs.standing import Standing, compare_controls, find_negative_scores, rank_runs
from cryobench.report.runs.styles import RunStyle, style_runs
from cryobench.report.runs.tables import Run

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
    score_names: list[str]
    """Scores that at least one run has, in order of display."""
    standing: Standing
    """Ranks of the methods, and the score that ranks them."""
    warnings: list[str]
    """Warnings about main scores that are negative but should not be."""
    compared: list[str]
    """Sentences that compare runs with the controls."""
    found_by_runs: list[Found]
    agreements: list[Agreement]
    """Pairwise agreement of runs, for reports without a ranking."""
    published: PublishedPage | None
    """Published results for the original of this data set."""
    costs: list[Cost]
    curves: pd.DataFrame
    curve_summary: pd.DataFrame
    truth_axis: TruthAxis | None
    classes: dict[str, pd.DataFrame]
    latents: dict[str, LatentView]
    """Slug to view, "truth" for the true embedding."""
    series: list[SeriesView]
    """Volume series in the folders of the runs."""
    colourings: list[Colouring]
    pictures: list[Picture]
    findings: Findings
    card: Card
    slices: list[QueryVolumes]
    """Query particles whose volumes are shown in slices; only those that have any."""
    surfaces: list[QueryVolumes]
    """Query particles whose volumes are shown as surfaces."""

    def label_of(self, slug: str) -> str:
        """Label of a volume: the run's, or "true volume"."""
        return "true volume" if slug == TRUTH else self.styles[slug].label

    def colour_of(self, slug: str) -> str:
        """Colour of a volume: the run's, or grey for the true one."""
        return NEUTRAL if slug == TRUTH else self.styles[slug].colour

    def pictures_of(self, section: str) -> dict[str, list[Picture]]:
        """Pictures of a section of the page, by group."""
        groups: dict[str, list[Picture]] = {}
        for picture in self.pictures:
            if picture.section == section:
                groups.setdefault(picture.group, []).append(picture)
        return groups


def collect_contents(
    dataset: Dataset,
    results: Sequence[tuple[Reconstruction, Scores]],
    task: Task,
    *,
    earlier: pd.DataFrame | None = None,
) -> Contents:
    """Gather the contents of a report; ``earlier`` is the table of latent views of an earlier one.

    Raises ValueError if a result belongs to a data set with another number of particles.
    """
    runs = tables.name_runs(results)
    for run in runs:
        for part in ("posteriors", "latents"):
            values = getattr(run.reconstruction, part)
            if values is not None and len(values) != len(dataset.particles):
                raise ValueError(
                    f"run {run.label!r} gives {part} of {len(values)} particles, but data set {dataset.name!r} "
                    f"has {len(dataset.particles)}: report a run with the data set it was made from."
                )
    scores = tables.score_table(runs)
    names = order_scores(scores["metric"])
    curves = tables.fsc_curves(runs)
    truth = dataset.truth
    alive = [run for run in runs if run.status != "failed"]
    views = _view_latents(alive, dataset, earlier, task)
    classes = {run.slug: class_by_truth(run.reconstruction, dataset) for run in alive}
    run_table = tables.run_table(runs)
    slices, surfaces = _read_queries(runs, dataset, task)
    standing = rank_runs(runs)
    return Contents(
        dataset=dataset,
        runs=runs,
        styles=style_runs(runs),
        run_table=run_table,
        scores=scores,
        score_names=names,
        standing=standing,
        warnings=find_negative_scores(runs),
        compared=compare_controls(runs, standing.kind),
        found_by_runs=describe_found(runs),
        agreements=[] if standing.kind else compare_runs(runs, dataset),
        published=lay_out_published(dataset, runs),
        costs=gather_costs(run_table),
        curves=curves,
        curve_summary=tables.summarise_curves(curves),
        truth_axis=None if truth is None else choose_truth_axis(truth),
        classes={slug: table for slug, table in classes.items() if table is not None},
        latents=views,
        series=view_series(alive, views),
        colourings=colourings(dataset),
        pictures=collect_charts(runs, dataset),
        findings=gather_findings(runs, dataset),
        card=collect_card(dataset, task),
        slices=slices,
        surfaces=surfaces,
    )


def _read_queries(runs: Sequence[Run], dataset: Dataset, task: Task) -> tuple[list[QueryVolumes], list[QueryVolumes]]:
    """Volumes of the query particles shown in slices and as surfaces, each read once; those without any left out."""
    wanted = [choose_queries(dataset, count).tolist() for count in (SLICE_QUERIES, SURFACE_QUERIES)]
    read: dict[int, QueryVolumes] = {}
    for position in sorted({*wanted[0], *wanted[1]}):
        query = read_query(dataset, runs, position)
        if query.volumes:
            read[position] = query
        task.advance()
    slices, surfaces = ([read[position] for position in sorted(each) if position in read] for each in wanted)
    return slices, surfaces


def _view_latents(
    runs: Sequence[Run], dataset: Dataset, earlier: pd.DataFrame | None, task: Task
) -> dict[str, LatentView]:
    """Latent views of the runs and, last, of the truth."""
    spaces = {run.slug: run.reconstruction.latents for run in runs}
    spaces["truth"] = None if dataset.truth is None else dataset.truth.embedding
    views = {}
    for slug, latents in spaces.items():
        if latents is not None:
            views[slug] = view_latents(latents, earlier=earlier)
            task.advance()
    return views
