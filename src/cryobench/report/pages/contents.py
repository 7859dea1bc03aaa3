"""Contents of one report, gathered once as values; nothing is read or computed afterwards."""

from collections.abc import Sequence

import pandas as pd

from cryobench._progress import Task
from cryobench._sampling import spread_indices
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.metrics.display import order_scores
from cryobench.report.axes import choose_truth_axis
from cryobench.report.card.contents import Card
from cryobench.report.charts.collect import collect_charts
from cryobench.report.charts.kinds import Picture
from cryobench.report.charts.scores import gather_costs
from cryobench.report.colours import NEUTRAL
from cryobench.report.findings.gather import gather_findings
from cryobench.report.findings.series import view_series
from cryobench.report.scored_runs import tables
from cryobench.report.scored_runs.agreement import compare_runs, describe_found
from cryobench.report.scored_runs.assignments import class_by_truth
from cryobench.report.scored_runs.colourings import colourings
from cryobench.report.scored_runs.latent_views import LatentView, view_latents
from cryobench.report.scored_runs.published_results import lay_out_published
from cryobench.report.scored_runs.queries import TRUTH, QueryVolumes, choose_queries, read_query
from cryobench.report.scored_runs.seeds import group_seeds
from cryobench.report.scored_runs.standing import compare_controls, find_negative_scores, rank_runs
from cryobench.report.scored_runs.styles import style_runs
from cryobench.report.scored_runs.tables import Run

SLICE_QUERIES = 6
SURFACE_QUERIES = 4


class Contents:
    """Contents of one report, gathered once; nothing is read or computed afterwards. None if not measured.

    ``earlier`` is the table of latent views of an earlier report. Raises ValueError if a result belongs to a data set
    with another number of particles.
    """

    def __init__(
        self,
        dataset: Dataset,
        results: Sequence[tuple[Reconstruction, Scores]],
        task: Task,
        *,
        earlier: pd.DataFrame | None = None,
    ) -> None:
        runs = tables.name_runs(results)
        _check_lengths(runs, dataset)
        alive = [run for run in runs if run.status != "failed"]
        self.dataset, self.runs = dataset, runs
        self.latents = _view_latents(alive, dataset, earlier, task)
        """Slug to view, "truth" for the true embedding."""
        self.slices, self.surfaces = _read_queries(runs, dataset, task)
        """Query particles whose volumes are shown in slices, and as surfaces; only those that have any."""
        self.styles = style_runs(runs)
        self.run_table = tables.run_table(runs)
        self.scores = tables.score_table(runs)
        self.score_names = order_scores(self.scores["metric"])
        """Scores that at least one run has, in order of display."""
        self.standing = rank_runs(runs)
        """Ranks of the methods, and the score that ranks them."""
        self.warnings = find_negative_scores(runs)
        """Warnings about main scores that are negative but should not be."""
        self.compared = compare_controls(runs, self.standing.kind)
        """Sentences that compare runs with the controls."""
        self.seeds = group_seeds(runs)
        """Methods that were run with several seeds."""
        self.found_by_runs = describe_found(runs)
        self.agreements = [] if self.standing.kind else compare_runs(runs, dataset)
        """Pairwise agreement of runs, for reports without a ranking."""
        self.published = lay_out_published(dataset, runs)
        """Published results for the original of this data set."""
        self.costs = gather_costs(self.run_table)
        self.curves = tables.fsc_curves(runs)
        self.curve_summary = tables.summarise_curves(self.curves)
        self.truth_axis = None if dataset.truth is None else choose_truth_axis(dataset.truth)
        classes = {run.slug: class_by_truth(run.reconstruction, dataset) for run in alive}
        self.classes = {slug: table for slug, table in classes.items() if table is not None}
        self.series = view_series(alive, self.latents)
        """Volume series in the folders of the runs."""
        self.colourings = colourings(dataset)
        self.pictures = collect_charts(runs, dataset)
        self.findings = gather_findings(runs, dataset)
        self.card = Card(dataset, task)

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


def _check_lengths(runs: Sequence[Run], dataset: Dataset) -> None:
    for run in runs:
        for part in ("posteriors", "latents"):
            values = getattr(run.reconstruction, part)
            if values is not None and len(values) != len(dataset.particles):
                raise ValueError(
                    f"run {run.label!r} gives {part} of {len(values)} particles, but data set {dataset.name!r} "
                    f"has {len(dataset.particles)}: report a run with the data set it was made from."
                )


def _read_queries(runs: Sequence[Run], dataset: Dataset, task: Task) -> tuple[list[QueryVolumes], list[QueryVolumes]]:
    """Volumes of the query particles shown in slices, and of those of them shown as surfaces; others are left out."""
    slices: list[QueryVolumes] = []
    for position in sorted(choose_queries(dataset, SLICE_QUERIES).tolist()):
        query = read_query(dataset, runs, position)
        if query.volumes:
            slices.append(query)
        task.advance()
    return slices, [slices[index] for index in spread_indices(len(slices), SURFACE_QUERIES)]


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
