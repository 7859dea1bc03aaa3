"""``cryobench report``: a page that compares runs."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli.many_runs import each_run, tell_refused
from cryobench.cli.options import DatasetFolder


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs on one data set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page.")],
    dataset: DatasetFolder = None,
) -> None:
    """Write a page that opens from disk: leaderboard, FSC curves, volumes next to the truth, the data set's card.

    Without truth the page shows each run's findings and their agreement instead of a ranking. Unscored runs are
    scored first, failed ones are shown with the reason, and unfinished or damaged ones are left out and named.

    Example:

        cryobench report runs/* -o page
    """
    from cryobench.cli.progress import Bars
    from cryobench.reconstruction.engine import RunContext
    from cryobench.report.pages.folder import check_page_folder
    from cryobench.report.pages.report import write_report
    from cryobench.runs.score import load_dataset_of, load_or_score

    check_page_folder(output, kind="report")
    context = RunContext(progress=Bars())
    results, refused = each_run(runs, lambda folder: load_or_score(folder, dataset=dataset, context=context))
    if results:
        shown = load_dataset_of(list(results), dataset)
        typer.echo(write_report(shown, list(results.values()), output, progress=context.progress))
    tell_refused("not in the report", refused)
