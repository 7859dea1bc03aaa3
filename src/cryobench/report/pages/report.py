"""The report: one folder that opens from disk, without a server and without a network.

SITE/index.html  card.html  report.json  assets/  figures/*.svg  tables/*.csv
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryobench._progress import Progress, Silent, Task
from cryobench._version import __version__
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.io.atomic import write_json
from cryobench.metrics.display import find_kind, find_metric
from cryobench.report.card.dataset_tables import flatten_entries
from cryobench.report.card.facts import describe_contrast, headline
from cryobench.report.findings.volumes import PROJECTIONS
from cryobench.report.pages import downloads, finding_files, pictures
from cryobench.report.pages.card import fill_card
from cryobench.report.pages.contents import Contents
from cryobench.report.pages.folder import page_folder, render, write_script, write_static
from cryobench.report.pages.leaderboard import lay_out_leaderboard, lay_out_metrics
from cryobench.report.pages.specs import report_data
from cryobench.report.scored_runs.inputs import digest_inputs, is_up_to_date
from cryobench.report.scored_runs.latent_views import SEED, LatentView, read_earlier
from cryobench.report.scored_runs.seeds import tabulate_seeds
from cryobench.report.scored_runs.tables import BAND, CURVE_KINDS, Run
from cryobench.report.scored_runs.umap_layout import WIDEST

FEW_PANELS = 4
"""Pictures of single runs shown initially; the others are collapsed."""


def write_report(
    dataset: Dataset,
    results: Sequence[tuple[Reconstruction, Scores]],
    folder: Path,
    *,
    progress: Progress | None = None,
) -> Path:
    """Write a report on runs of one data set, and return the path of its ``index.html``.

    Nothing is scored here: missing scores are shown as not measured, failed runs with their reason. The data set's
    card is a second page in the same folder. An earlier report is replaced when the new one is complete; one made
    from the same data set, runs and scores by the same version of the package is kept.

    Raises
    ------
    FileExistsError
        If ``folder`` exists and is not a report; it is left unchanged.
    ValueError
        If a run does not fit the data set.
    """
    folder, progress = Path(folder), progress or Silent()
    inputs = digest_inputs(dataset, results)
    if is_up_to_date(folder, inputs):
        progress.note(f"{folder}: already up to date, nothing was written.")
        return folder / "index.html"
    with progress.task("Report") as task, page_folder(folder, kind="report") as part:
        contents = Contents(dataset, results, task, earlier=read_earlier(folder))
        _fill(contents, part, task, inputs)
    return folder / "index.html"


def _fill(contents: Contents, folder: Path, task: Task, inputs: str | None) -> None:
    """Draw and write the contents: scripts and pictures, figures, tables, and the page that shows them."""
    assets = write_static(folder)
    particle_rows, card_figures = fill_card(contents.card, folder, "card.html", task, report="index.html")
    write_script(assets / "data.js", "cryobench.receiveData", report_data(contents))
    slices = [pictures.write_query_slices(contents, query, assets / "slices") for query in contents.slices]
    surfaces = [pictures.write_query_surfaces(contents, query, assets / "surfaces") for query in contents.surfaces]
    write_script(assets / "surfaces.js", "cryobench.receiveSurfaces", surfaces)
    task.advance()
    moved: list[dict[str, Any]] = []
    if contents.findings.components:
        moved = finding_files.write_moved(contents, assets / "moved.js", assets / "surfaces")
    page = _render(
        contents,
        found=finding_files.write_findings(contents, assets / "findings"),
        series=finding_files.write_series(contents, assets / "series"),
        moved=moved,
        particle_rows=particle_rows,
        slices=slices,
        surfaces=surfaces,
        figures=downloads.write_svg(downloads.draw_figures(contents), folder / "figures", task)
        | {"particles": card_figures["particles"]},
        tables=downloads.write_tables(contents, folder / "tables"),
    )
    (folder / "index.html").write_text(page, encoding="utf-8")
    labels = [run.label for run in contents.runs]
    entries = {"cryobench": __version__, "dataset": contents.dataset.name, "runs": labels, "made_of": inputs}
    write_json(folder / "report.json", entries)


def _render(contents: Contents, **written: Any) -> str:
    return render(
        "index.html",
        contents=contents,
        card=contents.card,
        find_kind=find_kind,
        find_metric=find_metric,
        tabulate_seeds=tabulate_seeds,
        describe_contrast=describe_contrast,
        describe_view=describe_view,
        split_runs=partial(split_runs, contents.runs),
        curve_kinds=CURVE_KINDS,
        dataset=contents.dataset,
        facts=headline(contents.dataset),
        findings=contents.findings,
        has_findings=not contents.findings.is_empty or bool(contents.pictures_of("findings")),
        projections=PROJECTIONS,
        board=lay_out_leaderboard(contents),
        boards=lay_out_metrics(contents),
        ranking=contents.standing.kind,
        band=BAND,
        flatten=flatten_entries,
        **written,
    )


def split_runs(runs: Sequence[Run], having: Mapping[str, Any]) -> tuple[list[Run], list[Run]]:
    """Runs with their own picture: those shown initially, methods first, and those collapsed.

    At most ``FEW_PANELS`` are shown, controls only where there is no method.
    """
    found = [run for run in runs if run.slug in having]
    methods = [run for run in found if run.control is None]
    controls = [run for run in found if run.control is not None]
    first = (methods or controls)[:FEW_PANELS]
    return first, [run for run in (*methods, *controls) if run not in first]


def describe_view(view: LatentView) -> str:
    """Caption text on how the latents of a run were reduced to two dimensions."""
    words = f"latents of {view.n_dimensions} dimension{'' if view.n_dimensions == 1 else 's'}"
    if len(view.points) < view.n_particles:
        words += f", {len(view.points):,} of {view.n_particles:,} particles drawn at random"
    if view.jittered:
        words += "; many coincide and are drawn with a small random offset"
    if view.no_umap is not None:
        return f"{words}; no UMAP: {view.no_umap}."
    wide = f" of {WIDEST} principal components" if view.n_dimensions > WIDEST else ""
    return f"{words}; UMAP{wide} with 15 neighbours, seed {SEED}."
