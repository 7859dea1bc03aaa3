"""The report: one folder that opens from disk, without a server and without a network.

SITE/index.html  card.html  report.json  assets/  figures/*.svg  tables/*.csv
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryobench._progress import Progress, Silent, Task
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.io.atomic import write_json
from cryobench.report import downloads, pictures
from cryobench.report.card import fill_card
from cryobench.report.contents import Contents, collect_contents
from cryobench.report.dataset_tables import flatten_entries
from cryobench.report.facts import headline
from cryobench.report.leaderboard import layout_columns, layout_rows
from cryobench.report.page import package_version, page_folder, render, write_script, write_static
from cryobench.report.payload import plot_data
from cryobench.report.tables import BAND, consensus_beats_labels, describe_metric


def write_report(
    dataset: Dataset,
    results: Sequence[tuple[Reconstruction, Scores]],
    folder: Path,
    *,
    progress: Progress | None = None,
) -> Path:
    """Write a report on runs of one data set, and return the path of its ``index.html``.

    Nothing is scored here: what the scores do not hold is shown as not measured, a failed run with its reason. The
    data set's card is a page of its own beside it. An earlier report of that name is replaced at once when the new
    one is complete.

    Raises
    ------
    FileExistsError
        If ``folder`` exists and is not a report: it is left alone.
    ValueError
        If a run does not fit the data set.
    """
    folder = Path(folder)
    with (progress or Silent()).task("Report") as task, page_folder(folder, kind="report") as part:
        contents = collect_contents(dataset, results, task)
        _fill(contents, part, task)
    return folder / "index.html"


def _fill(contents: Contents, folder: Path, task: Task) -> None:
    assets = write_static(folder)
    write_script(assets / "data.js", "cryobench.receiveData", plot_data(contents))
    card_files = fill_card(contents.card, folder, "card.html", task, report="index.html")
    queries = pictures.read_queries(contents, task)
    slices, surfaces = [], []
    for position, query in queries.items():
        if position in contents.slice_positions:
            slices.append(pictures.write_query_slices(contents, query, assets / "slices"))
        if position in contents.surface_positions:
            surfaces.append(pictures.write_query_surfaces(contents, query, assets / "surfaces"))
        task.advance()
    write_script(assets / "surfaces.js", "cryobench.receiveSurfaces", surfaces)
    page = _render(
        contents,
        particle_rows=card_files.particle_rows,
        slices=slices,
        surfaces=surfaces,
        figures={
            **downloads.write_figures(contents, queries, folder / "figures", task),
            "particles": card_files.figures["particles"],
        },
        tables=downloads.write_tables(contents, folder / "tables"),
    )
    (folder / "index.html").write_text(page, encoding="utf-8")
    write_json(
        folder / "report.json",
        {
            "cryobench": package_version(),
            "dataset": contents.dataset.name,
            "runs": [run.label for run in contents.runs],
        },
    )


def _render(contents: Contents, **written: Any) -> str:
    return render(
        "index.html",
        contents=contents,
        card=contents.card,
        describe_metric=describe_metric,
        dataset=contents.dataset,
        facts=headline(contents.dataset),
        columns=layout_columns(contents),
        methods=layout_rows(contents, controls=False),
        controls=layout_rows(contents, controls=True),
        ranking=describe_metric(contents.ranking_metric) if contents.ranking_metric else None,
        perfect=_perfect_auc(contents),
        consensus_wins=consensus_beats_labels(contents.scores),
        band=BAND,
        records={run.slug: list(flatten_entries(run.record)) for run in contents.runs},
        contexts={run.slug: list(flatten_entries(run.scores.context)) for run in contents.runs},
        reasons=_reasons(contents),
        **written,
    )


def _reasons(contents: Contents) -> list[str]:
    """Why metrics were not measured, each reason once, as sentences."""
    found = [run.scores.context.get("not_measured", {}) for run in contents.runs]
    return sorted({f"{metric} {reason}." for each in found for metric, reason in each.items()})


def _perfect_auc(contents: Contents) -> float | None:
    """Area under a curve that is 1 in every shell, in cycles/px: what the published score can reach."""
    return None if contents.curves.empty else float(contents.curves["frequency"].to_numpy().max())
