"""``cryobench demo``: the complete workflow on a small data set."""

from pathlib import Path

import typer

from cryobench._progress import Progress
from cryobench.cli.score_table import print_scores
from cryobench.cli.tables import print_dataset
from cryobench.recipes.simulate import simulate
from cryobench.reconstruction.engine import RunContext
from cryobench.report.scored_runs.inputs import digest_inputs, is_up_to_date
from cryobench.runs.run import run
from cryobench.runs.score import load_or_score

METHODS = ("truth", "truth-backprojection", "consensus", "3d-class", "recovar")


def run_demo(output: Path, seed: int, progress: Progress) -> None:
    """Simulate, reconstruct, score, report; prints the table and the page's path."""
    dataset = simulate("igg-1d", output / "dataset", preset="tiny", seed=seed, progress=progress)
    print_dataset(dataset)
    results = []
    for name in METHODS:
        folder = output / "runs" / name
        run(name, dataset, folder, seed=seed, progress=progress)
        results.append(load_or_score(folder, context=RunContext(progress=progress)))
    print_scores(results)
    page = output / "page" / "index.html"
    if is_up_to_date(output / "page", digest_inputs(dataset, results)):
        progress.note(f"{output / 'page'}: up to date, nothing was written.")
    else:
        from cryobench.report.pages.report import write_report

        page = write_report(dataset, results, output / "page", progress=progress)
    typer.echo(f"\nOpen in a browser: {page.resolve()}")
