"""The report: one folder that opens from disk, without a server and without a network.

    SITE/index.html  report.json  assets/  figures/*.svg  tables/*.csv

Pages opened from disk may not read data files, so data are scripts that hand their value to the page. plotly's
JavaScript is taken from the installed plotly package when a report is written. The folder appears whole or not
at all.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from plotly.offline import get_plotlyjs

from cryobench._progress import Progress, Silent, Task
from cryobench.data import Dataset, Reconstruction, Scores
from cryobench.io.atomic import atomic_folder, write_json
from cryobench.report import downloads, pictures
from cryobench.report.contents import Contents, collect_contents
from cryobench.report.dataset_tables import flatten_entries
from cryobench.report.facts import headline
from cryobench.report.leaderboard import layout_columns, layout_rows
from cryobench.report.payload import plot_data, write_script
from cryobench.report.tables import BAND, consensus_beats_labels, describe_metric

MARKER = "report.json"
"""File by which a folder is known to be a report, and may be replaced by a newer one."""


def write_report(
    dataset: Dataset,
    results: Sequence[tuple[Reconstruction, Scores]],
    folder: Path,
    *,
    progress: Progress | None = None,
) -> Path:
    """Write a report on runs of one data set, and return the path of its ``index.html``.

    Nothing is scored here: what the scores do not hold is shown as not measured, a failed run with its reason.
    An earlier report of that name is replaced at once when the new one is complete.

    Raises
    ------
    FileExistsError
        If ``folder`` exists and is not a report: it is left alone.
    ValueError
        If a run does not fit the data set.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / MARKER).is_file() and not _is_empty(folder):
        raise FileExistsError(
            f"{folder} exists and is not a report (it holds no {MARKER}), so it was left alone. "
            "Choose another folder for the report, or remove this one."
        )
    with (progress or Silent()).task("Report") as task, atomic_folder(folder, replace=True) as part:
        contents = collect_contents(dataset, results)
        task.advance()
        _fill(contents, part, task)
    return folder / "index.html"


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _fill(contents: Contents, folder: Path, task: Task) -> None:
    assets = folder / "assets"
    assets.mkdir()
    for static in files("cryobench.report").joinpath("static").iterdir():
        (assets / static.name).write_bytes(static.read_bytes())
    (assets / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    write_script(assets / "data.js", "cryobench.receiveData", plot_data(contents))
    queries = pictures.read_queries(contents, task)
    particle_rows = pictures.write_particles(contents, assets / "particles")
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
        particle_rows=particle_rows,
        slices=slices,
        surfaces=surfaces,
        mask_picture=pictures.write_mask(contents, assets / "particles"),
        figures=downloads.write_figures(contents, queries, folder / "figures", task),
        tables=downloads.write_tables(contents, folder / "tables"),
    )
    (folder / "index.html").write_text(page, encoding="utf-8")
    write_json(
        folder / MARKER,
        {
            "cryobench": _package_version(),
            "dataset": contents.dataset.name,
            "runs": [run.label for run in contents.runs],
        },
    )


def _render(contents: Contents, **written: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cryobench.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    dataset = contents.dataset
    snr, other = _split_card(dataset)
    return environment.get_template("index.html").render(
        contents=contents,
        describe_metric=describe_metric,
        dataset=dataset,
        facts=headline(dataset),
        columns=layout_columns(contents),
        methods=layout_rows(contents, controls=False),
        controls=layout_rows(contents, controls=True),
        ranking=describe_metric(contents.ranking_metric) if contents.ranking_metric else None,
        perfect=_perfect_auc(contents),
        consensus_wins=consensus_beats_labels(contents.scores),
        band=BAND,
        snr=snr,
        card=other,
        records={run.slug: list(flatten_entries(run.record)) for run in contents.runs},
        contexts={run.slug: list(flatten_entries(run.scores.context)) for run in contents.runs},
        version=_package_version(),
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **written,
    )


def _split_card(dataset: Dataset) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Entries of the card that concern the SNR, and the others."""
    entries = list(flatten_entries(dataset.card))
    is_snr = ["snr" in re.split(r"[._]", name.lower()) for name, _ in entries]
    return (
        [entry for entry, snr in zip(entries, is_snr, strict=True) if snr],
        [entry for entry, snr in zip(entries, is_snr, strict=True) if not snr],
    )


def _perfect_auc(contents: Contents) -> float | None:
    """Area under a curve that is 1 in every shell, in cycles/px: what the published score can reach."""
    return None if contents.curves.empty else float(contents.curves["frequency"].to_numpy().max())


def _package_version() -> str:
    try:
        return version("cryobench")
    except PackageNotFoundError:
        return "unknown version"
