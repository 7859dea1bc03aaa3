"""``cryobench score``: score runs against the truth."""

from pathlib import Path
from typing import Annotated

import typer

from cryobench.cli import machine_options as machine
from cryobench.cli.convention_warnings import warn_of_faults
from cryobench.cli.many_runs import each_run, tell_refused
from cryobench.cli.options import DatasetFolder


def score(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metric, see 'cryobench list metrics'; repeat for more. Default: all measurable ones."),
    ] = None,
    dataset: DatasetFolder = None,
    align: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="Align volumes to the true ones first: none; reconstruction (one rotation, shift and hand for "
            "all); class (one per class); volume (one per volume); auto: class or reconstruction for runs whose "
            "poses are estimated or in another frame than the truth, else none.",
        ),
    ] = "auto",
    alignment: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Use this alignment instead: RUN/scores/alignment.json of any run."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Score within this mask (.mrc, 0 to 1) instead of the data set's; 'none' for no mask.",
        ),
    ] = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="Resample volumes of another box or pixel size to the data set's grid.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure everything again, ignoring kept results.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Print all scores with intervals.")] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of subsets and bootstrap intervals. The same seed gives the same scores.")
    ] = 0,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Score runs against the truth, from their files alone; writes RUN/scores and prints the table.

    Metrics that need a part the run lacks are reported as not measured. Each result is kept as soon as it is
    computed: if interrupted, the same command resumes, and scoring again measures only what depends on a change (of
    the mask, the alignment, the run, or the version of a metric).

    Examples:

    **cryobench score runs/***

    **cryobench score runs/mine --metric per-image-fsc --metric poses --all**

    **cryobench score runs/abinitio --align volume**   # the published protocol for ab initio methods

    **cryobench score runs/imported --resample --mask tight.mrc**
    """
    from cryobench.cli.score_table import print_scores
    from cryobench.metrics.display import measures_truth
    from cryobench.metrics.volumes.frames import check_align
    from cryobench.runs.score import HowToScore, score_run

    how = HowToScore(check_align(align), alignment, mask, resample, fresh, seed)
    with machine.open_context(device, precision, memory, workers, scheduler) as context:
        results, refused = each_run(
            runs, lambda folder: score_run(folder, metrics=metric, dataset=dataset, how=how, context=context)
        )
    for place in dict.fromkeys(dataset or run.record.dataset.path for run, _ in results.values()):
        warn_of_faults(None if place is None else Path(place))
    if results:
        print_scores(list(results.values()), everything=all_)
    tell_refused("not scored", refused)
    if metric is None and not any(measures_truth(scores) for _, scores in results.values()):
        typer.secho("nothing was measured against the truth: see above for what is missing.", err=True, fg="red")
        raise typer.Exit(2)
