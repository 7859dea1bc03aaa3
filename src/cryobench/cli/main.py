"""The command line: parse, call, print. Nothing heavy is imported until a command runs.

Exit status: 0 done, 2 wrong input, 1 a fault of the program (each one clear message; ``--traceback`` shows more), 3
conventions that do not agree with the images (``check``), 130 stopped from the keyboard.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar

import typer

from cryobench.cli import check as checks
from cryobench.cli import imports, machine
from cryobench.cli import series as series_options

Result = TypeVar("Result")

app = typer.Typer(
    name="cryobench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Simulate, reconstruct and score heterogeneous cryo-EM data with known truth.\n\n"
        "Start with **cryobench demo**: it goes the whole road on a small data set, in a minute or two, and leaves a "
        "page to look at. The road by hand:\n\n"
        "    cryobench simulate igg-1d -o antibody --preset lite\n\n"
        "    cryobench run 3d-class antibody -o runs/3d-class\n\n"
        "    cryobench run consensus antibody -o runs/consensus\n\n"
        "    cryobench score runs/*\n\n"
        "    cryobench report runs/* -o page\n\n"
        "With **--traceback** anywhere, an error shows where it came from."
    ),
)

_SEED_HELP = (
    "Seed of every random draw: same seed, same data set and scores; a method's result is the same to rounding."
)
Seed = Annotated[int, typer.Option("--seed", min=0, help=_SEED_HELP)]
_MANY = ("--structure", "--weights")
"""Options that take several values."""

RecipeName = Annotated[str, typer.Argument(help="Name of a recipe: see 'cryobench list recipes'.")]
Preset = Annotated[
    str,
    typer.Option(
        help="Size: tiny (seconds), lite (a minute), paper (the published specification); or realistic: lite, with "
        "particles as untidy as real ones."
    ),
]
Structure = Annotated[
    Optional[list[str]],
    typer.Option(help="PDB or mmCIF files, gzipped or not, or rcsb:ID to download; default: embedded."),
]
Set = Annotated[
    Optional[list[str]],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting; repeat for more. See 'cryobench list methods NAME'. A list in "
        "brackets: dimensions=[4,10].",
    ),
]


def _print_version(asked: bool) -> None:
    if asked:
        from cryobench import __version__

        typer.echo(f"cryobench {__version__}")
        raise typer.Exit


@app.callback()
def start(
    asked: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options that belong to no command."""


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything made.")] = Path(
        "cryobench-demo"
    ),
    seed: Seed = 0,
) -> None:
    """Go the whole road on a small data set: simulate, reconstruct, score, and write a page to look at.

    Simulates IgG-1D at the tiny preset (1,000 images of 32 px of an antibody with a turning Fab), runs the methods
    3d-class and recovar and three controls, scores all five by every metric and writes a page. Repeating the command
    goes on where it was stopped.
    """
    from cryobench.cli.demo import run_demo
    from cryobench.cli.progress import Bars

    run_demo(output, seed, Bars())


@app.command("list")
def list_(
    kind: Annotated[
        Optional[str],
        typer.Argument(
            metavar="[KIND|NAME]", help="recipes, methods, metrics or importers; or a name of any of them."
        ),
    ] = None,
    name: Annotated[Optional[str], typer.Argument(help="One of them, for its settings, card or page.")] = None,
) -> None:
    """Show the recipes, methods, metrics and importers; with a name, its settings, page, or the files it reads.

    Examples: **cryobench list methods**, **cryobench list 3d-class**
    """
    from cryobench.cli.catalogue import show_catalogue

    show_catalogue(kind, name)


@app.command()
def simulate(
    recipe: RecipeName,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set.")],
    preset: Preset = "lite",
    structure: Structure = None,
    weights: Annotated[
        Optional[list[float]],
        typer.Option(help="Share of the images of each structure, in their order; recipe custom."),
    ] = None,
    snr: Annotated[Optional[float], typer.Option(help="Signal-to-noise ratio (variance ratio, all pixels).")] = None,
    particles: Annotated[
        Optional[str],
        typer.Option(metavar="FIRST:STOP", help="Make only these particles: to the bit what they are in the whole."),
    ] = None,
    seed: Seed = 0,
    set_: Set = None,
    workers: machine.Workers = 1,
) -> None:
    """Make a data set with known truth. Repeating the command after an interruption goes on where it stopped.

    Examples:

    **cryobench simulate igg-1d -o antibody --structure rcsb:1HZH --preset lite --snr 0.1**

    **cryobench simulate custom -o mixture --structure a.pdb b.cif --weights 0.7 0.3 --preset realistic**
    """
    from cryobench.cli.progress import Bars
    from cryobench.cli.tables import print_dataset
    from cryobench.recipes.simulate import simulate as simulate_recipe

    changes = parse_settings(set_)
    if snr is not None:
        changes["snr"] = snr
    if weights is not None:
        changes["weights"] = weights
    dataset = simulate_recipe(
        recipe,
        output,
        preset=preset,
        structures=structure or (),
        seed=seed,
        settings=changes,
        particles=parse_range(particles),
        workers=workers,
        progress=Bars(),
    )
    print_dataset(dataset)


@app.command()
def sweep(
    recipe: RecipeName,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the series: a data set each in it.")],
    vary: Annotated[
        Optional[str], typer.Option(metavar="KEY=VALUE,VALUE,...", help="The setting that varies, and its values.")
    ] = None,
    series: Annotated[
        Optional[str], typer.Option(help="Instead, a published series, such as 'noise' of igg-1d.")
    ] = None,
    preset: Preset = "lite",
    structure: Structure = None,
    seed: Seed = 0,
    set_: Set = None,
    workers: machine.Workers = 1,
) -> None:
    """Make data sets that differ in one setting: with the same seed, so in nothing else.

    Examples:

    **cryobench sweep igg-1d -o noise --series noise --preset paper**

    **cryobench sweep igg-1d -o contrast --vary contrast_deviation=0,0.1,0.2,0.4**
    """
    from cryobench.cli.progress import Bars
    from cryobench.recipes.sweep import sweep as sweep_recipe

    name, values = parse_sweep(vary)
    made = sweep_recipe(
        recipe,
        output,
        vary=name,
        values=values,
        series=series,
        preset=preset,
        structures=structure or (),
        seed=seed,
        settings=parse_settings(set_),
        workers=workers,
        progress=Bars(),
    )
    typer.echo(f"{len(made)} data sets -> {output}; their table is {output / 'sweep.csv'}")


@app.command()
def adopt(
    particles: Annotated[
        Path,
        typer.Argument(
            help="RELION .star, cryoSPARC .cs, or .mrcs (or a .txt list of stacks) with --ctf; DATASET with "
            "--poses-of."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set.")],
    labels: Annotated[
        Optional[Path],
        typer.Option(
            help="State of each particle, -1 if unknown: .csv, .npy, .pkl, .parquet, or .star (class number)."
        ),
    ] = None,
    volumes: Annotated[
        Optional[Path], typer.Option(help="Folder of one .mrc or .map per state, state 0 first.")
    ] = None,
    mask: Annotated[Optional[Path], typer.Option(help="Where the molecule can be: .mrc, 0 to 1.")] = None,
    passthrough: Annotated[
        Optional[list[Path]], typer.Option(help="Further .cs file of the same cryoSPARC job; repeat for more.")
    ] = None,
    poses: Annotated[Optional[Path], typer.Option(help="cryoDRGN's poses.pkl, for images alone.")] = None,
    ctf: Annotated[Optional[Path], typer.Option(help="cryoDRGN's ctf.pkl, for images alone.")] = None,
    shift_unit: Annotated[
        str, typer.Option(help="What poses.pkl counts shifts in: fraction (of the box) or pixel.")
    ] = ("fraction"),
    datadir: Annotated[
        Optional[Path], typer.Option(help="Folder that the paths of stacks start from, if not the table's.")
    ] = None,
    contrast: Annotated[
        Optional[str],
        typer.Option(
            help="Protein in the stored images: bright or dark. Default: what a .cs file says, else bright."
        ),
    ] = None,
    name: Annotated[Optional[str], typer.Option(help="Of the data set; default: that of the folder.")] = None,
    queries: Annotated[
        Optional[Path], typer.Option(help="Particles whose volumes are compared, one index a line. Default: chosen.")
    ] = None,
    n_queries: Annotated[int, typer.Option(min=1, help="How many particles are chosen for that.")] = 100,
    poses_of: Annotated[
        Optional[Path],
        typer.Option(metavar="RUN", help="Take the poses that a run of DATASET found, for methods at given poses."),
    ] = None,
    mend: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="NAME", help="Read the tables as 'cryobench check' found them to be meant; repeat for more."
        ),
    ] = None,
    check: Annotated[bool, typer.Option(help="Try the conventions on 1,000 images, and warn: some seconds.")] = True,
) -> None:
    """Make a data set of particles that exist already. Images are referred to, not copied.

    Truth may be absent, partial or whole: methods run in any case, and what can be scored is scored.

    Examples:

    **cryobench adopt J42/particles.cs -o mine --datadir PROJECT --labels states.csv --volumes maps**

    **cryobench adopt antibody --poses-of runs/ab-initio -o posed**
    """
    from cryobench.cli.progress import Bars
    from cryobench.cli.tables import print_adoption
    from cryobench.experiment.adopt import adopt as adopt_particles

    dataset = adopt_particles(
        particles,
        output,
        labels=labels,
        volumes=volumes,
        mask=mask,
        passthrough=passthrough or (),
        poses=poses,
        ctf=ctf,
        shift_unit=shift_unit,
        datadir=datadir,
        contrast=contrast,
        name=name,
        queries=queries,
        n_queries=n_queries,
        poses_of=poses_of,
        mend=mend or (),
        progress=Bars(),
    )
    if check:
        checks.warn_at_once(dataset)
    print_adoption(dataset)


@app.command()
def download(
    name: Annotated[str, typer.Argument(metavar="SET", help="igg-1d, igg-rl, ribosembly, tomotwin-100 or spike-md.")],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="New folder of the data set; default: its title.")
    ] = None,
    what: Annotated[str, typer.Option(help="images, volumes (the truth, without images) or all.")] = "all",
    file: Annotated[
        Optional[list[str]],
        typer.Option(help="File of the Zenodo record, if its name is not found; repeat for more."),
    ] = None,
    keep_archive: Annotated[
        bool, typer.Option("--keep-archive", help="Leave the archive beside the folder.")
    ] = False,
) -> None:
    """Download a published data set from Zenodo and unpack it. Repeating the command after a stop goes on from there.

    Every command opens the folder as it is. Example: **cryobench download igg-1d -o IgG-1D**
    """
    from cryobench.cli.download import run_download
    from cryobench.cli.progress import Bars

    run_download(name, output, what=what, files=file or (), keep_archive=keep_archive, progress=Bars())


@app.command()
def verify(dataset: Annotated[Path, typer.Argument(help="Folder of a data set.")]) -> None:
    """Compare every byte of a data set with its card, or of a downloaded one with the checksums that came with it."""
    from cryobench.cli.progress import Bars
    from cryobench.io.store import verify_dataset

    verify_dataset(dataset, progress=Bars())
    typer.echo(f"{dataset} is unchanged.")


@app.command()
def show(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Folder of a page with the same and more: its card.")
    ] = None,
) -> None:
    """Say what a data set is: particles, CTF, SNR, states, truth, files, and the command that makes it again.

    With **-o** also as a page that opens from disk: states in 3D, particles, distributions, spectra, tables, figures.
    Example: **cryobench show antibody -o card**
    """
    from cryobench.cli.show import print_summary
    from cryobench.io.store import load_dataset

    loaded = load_dataset(dataset)
    print_summary(loaded)
    if output is not None:
        from cryobench.cli.progress import Bars
        from cryobench.report.card import write_card

        page = write_card(loaded, output, progress=Bars())
        typer.echo(f"\n-> {page}")


app.command("check")(checks.check)
app.command("import")(imports.import_)


@app.command()
def run(
    method: Annotated[str, typer.Argument(help="Name of a method or control: see 'cryobench list methods'.")],
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    preset: Annotated[
        str,
        typer.Option(
            help="paper: the benchmark's settings for this method and data set; laptop: what two cores finish in "
            "minutes. Both are shown by 'cryobench list methods NAME'."
        ),
    ] = "paper",
    set_: Set = None,
    mask: Annotated[
        Optional[str],
        typer.Option(
            metavar="FILE",
            help="Where the molecule can be (.mrc, 0 to 1), instead of the data set's mask; or none. Methods that "
            "estimate poses get none by themselves. On record as a prior.",
        ),
    ] = None,
    more_epochs: Annotated[
        Optional[int],
        typer.Option(
            metavar="N",
            help="Go on by N epochs from the finished run of this command, as if it had asked for as many at once; "
            "of methods that train. The old result stays until the new one is whole. Interrupted, the same command "
            "goes on.",
        ),
    ] = None,
    seed: Seed = 0,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Reconstruct a data set with a method. Repeating the command after an interruption goes on where it stopped.

    Examples:

    **cryobench run 3d-class antibody -o runs/3d-class --set n_classes=20**

    **cryobench run recovar antibody -o runs/recovar --preset laptop --memory 8GB**

    **cryobench run cryodrgn antibody -o runs/cryodrgn --preset laptop --more-epochs 5**  on from the finished run
    """
    from cryobench.cli.run import run_command

    run_command(
        method,
        dataset,
        output,
        seed=seed,
        preset=preset,
        settings=parse_settings(set_),
        mask=mask,
        more_epochs=more_epochs,
        device=device,
        precision=precision,
        memory=memory,
        workers=workers,
        scheduler=scheduler,
    )


@app.command()
def reproduce(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run made again.")],
    dataset: Annotated[
        Optional[Path], typer.Option(help="The data set, if it is no longer where the run found it.")
    ] = None,
    mask: Annotated[
        Optional[Path], typer.Option(metavar="FILE", help="The mask that the run was given, if it was given one.")
    ] = None,
    device: Annotated[
        Optional[str], typer.Option(help="cpu, cuda or auto; default: that of the run.", rich_help_panel="Machine")
    ] = None,
    memory: machine.Memory = None,
) -> None:
    """Make a finished run again from its record alone, and say how far the two agree.

    Settings, seed, priors and precision are those of the record. Exit status 1 if the results differ by more than
    rounding.

    Example: **cryobench reproduce runs/recovar -o again**
    """
    from cryobench.cli.progress import Bars
    from cryobench.experiment.reproduce import reproduce as make_again

    chosen = {} if device is None else {"device": device}
    result, compared = make_again(
        run_folder, output, dataset=dataset, mask=mask, progress=Bars(), memory=memory, **chosen
    )
    typer.echo("\n".join([f"{result.name}: {run_folder} made again -> {output}", *compared.describe()]))
    if not compared.agrees:
        typer.secho("the results differ by more than rounding.", err=True, fg="red")
        raise typer.Exit(1)


@app.command()
def volumes(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the volumes.")],
    particles: Annotated[
        Optional[list[int]], typer.Option("--particles", "-p", help="Particle index; repeat for more.")
    ] = None,
    latents: Annotated[Optional[Path], typer.Option(help=".npy file of latents, one row per volume.")] = None,
    states: Annotated[
        bool, typer.Option("--states", help="One volume per true state, at the mean latent of its particles.")
    ] = False,
    box: series_options.Box = None,
    dataset: series_options.DatasetFolder = None,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Decode more volumes of a finished run, as MRC files: of particles, of given latents, or one per state.

    Repeating the command after an interruption goes on where it stopped.

    Examples:

    **cryobench volumes runs/3d-class -p 0 -p 500 -o volumes**

    **cryobench volumes runs/cryodrgn --latents rows.npy --box 32 -o previews**
    """
    from cryobench.experiment.decode import write_volumes

    with machine.open_context(device, precision, memory, workers, scheduler) as context:
        written = write_volumes(
            run_folder,
            output,
            particles=particles,
            latents=latents,
            states=states,
            box_size=box,
            dataset=dataset,
            context=context,
        )
    typer.echo(f"{len(written)} volume{'' if len(written) == 1 else 's'} -> {output}")


@app.command()
def series(
    run_folder: series_options.RunFolder,
    kind: series_options.Kind,
    output: series_options.Output = None,
    axis: series_options.Axis = 1,
    frames: series_options.Frames = 20,
    percentiles: series_options.Range = "5:95",
    clusters: series_options.Clusters = 20,
    clustering: series_options.Clustering = "k-means",
    anchors: series_options.Anchors = None,
    neighbours: series_options.Neighbours = 10,
    mean_neighbours: series_options.MeanNeighbours = 5,
    seed: series_options.Seed = 0,
    box: series_options.Box = None,
    dataset: series_options.DatasetFolder = None,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Write a series of volumes that shows what a run found, as numbered MRC files with a table of their latents.

    Of any run with latents, by its own decoder:

    **pca**: along a principal axis of the latents. **k-means**: of the particles nearest to the centres of clusters,
    near ones after each other. **graph**: of particles on the shortest path through anchors, from neighbour to
    neighbour, so that it goes around where no particles are. **path**: along a path of high density (recovar keeps
    one), or between two particles.

    As 3D variability shows them:

    **simple**: the mean moved along a component (3dva, recovar). **cluster**: back-projected from the particles of
    each cluster. **intermediates**: back-projected in overlapping windows along a latent axis.

    Repeating the command after an interruption goes on where it stopped.

    Examples:

    **cryobench series runs/cryodrgn k-means --clusters 10 --box 64**

    **cryobench series runs/cryodrgn graph --anchors 12,340,77 --frames 30**

    **cryobench series runs/3dva pca --axis 2 -o second-axis**
    """
    with machine.open_context(device, precision, memory, workers, scheduler) as context:
        series_options.run_series(
            run_folder,
            kind,
            output,
            axis=axis,
            frames=frames,
            percentiles=percentiles,
            clusters=clusters,
            clustering=clustering,
            anchors=anchors,
            neighbours=neighbours,
            mean_neighbours=mean_neighbours,
            seed=seed,
            box=box,
            dataset=dataset,
            context=context,
        )


@app.command()
def export(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the files.")],
    to: Annotated[str, typer.Option(metavar="FORM", help="cryodrgn: for its eval_vol, analyze and dashboard.")],
    dataset: Annotated[
        Optional[Path], typer.Option(help="The data set, if it is no longer where the run found it.")
    ] = None,
) -> None:
    """Write a finished run in the form of another program, and say how that program takes it.

    Example: **cryobench export runs/cryodrgn --to cryodrgn -o for-cryodrgn**
    """
    from cryobench.experiment.exports import export_run

    lines = export_run(run_folder, output, to=to, dataset=dataset)
    typer.echo("\n".join([f"{run_folder} -> {output}", *lines]))


@app.command()
def score(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")],
    metric: Annotated[
        Optional[list[str]],
        typer.Option(
            help="Metric, see 'cryobench list metrics'; repeat for more. Default: all that can be measured."
        ),
    ] = None,
    dataset: Annotated[
        Optional[Path], typer.Option(help="The data set, if it is no longer where the run found it.")
    ] = None,
    align: Annotated[
        str,
        typer.Option(
            metavar="MODE",
            help="Bring volumes onto the true ones first: none; reconstruction (one rotation, shift and hand for "
            "all); class (one for each class); volume (one each); auto: class or reconstruction for runs that "
            "estimated poses of their own, else none.",
        ),
    ] = "auto",
    alignment: Annotated[
        Optional[Path],
        typer.Option(metavar="FILE", help="Use this alignment instead: RUN/scores/alignment.json of any run."),
    ] = None,
    mask: Annotated[
        Optional[Path],
        typer.Option(
            metavar="FILE", help="Score in this mask (.mrc, 0 to 1), not the data set's; or none: in no mask."
        ),
    ] = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="Put volumes of another box or pixel size on the data set's grid.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure everything again, also what was kept and still holds.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="Print every score, with its interval.")] = False,
    seed: Seed = 0,
    device: machine.Device = "auto",
    precision: machine.Precision = "auto",
    memory: machine.Memory = None,
    workers: machine.Workers = 1,
    scheduler: machine.Scheduler = None,
) -> None:
    """Score runs against the truth, from their files alone; writes RUN/scores and prints the table.

    What a run lacks is not measured, and said so. The result of each metric is kept as soon as it is there: after a
    stop the same command goes on, and scoring again measures only what depends on something that changed (the mask,
    the alignment, the run, a newer version of a metric).

    Examples:

    **cryobench score runs/***

    **cryobench score runs/mine --metric per-image-fsc --metric poses --all**

    **cryobench score runs/abinitio --align volume**  the published protocol for ab initio methods

    **cryobench score runs/imported --resample --mask tight.mrc**
    """
    from cryobench.cli.run import warn_of_faults
    from cryobench.cli.score_table import print_scores
    from cryobench.experiment.score import HowToScore, score_run
    from cryobench.metrics.display import measures_truth
    from cryobench.metrics.frames import check_align

    how = HowToScore(check_align(align), alignment, mask, resample, fresh, seed)
    with machine.open_context(device, precision, memory, workers, scheduler) as context:
        results, refused = _each_run(
            runs, lambda folder: score_run(folder, metrics=metric, dataset=dataset, how=how, context=context)
        )
    for place in dict.fromkeys(str(dataset or run.record.dataset.path) for run, _ in results.values()):
        warn_of_faults(Path(place))
    if results:
        print_scores(list(results.values()), everything=all_)
    _tell_refused("not scored", refused)
    if metric is None and not any(measures_truth(scores) for _, scores in results.values()):
        typer.secho("nothing was measured against the truth: see above for what is missing.", err=True, fg="red")
        raise typer.Exit(2)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs of one data set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the page.")],
    dataset: Annotated[
        Optional[Path], typer.Option(help="The data set, if it is no longer where the run found it.")
    ] = None,
) -> None:
    """Write a page that opens from disk: leaderboard, FSC curves, volumes beside their truth, the data set's card.

    Without truth the page says what each run found and how they agree instead of ranking them. Runs that are not
    scored yet are scored first, failed ones are shown with their reason; one that is unfinished or damaged is left
    out and named.

    Example:

        cryobench report runs/* -o page
    """
    from cryobench.cli.progress import Bars
    from cryobench.experiment.score import load_dataset_of, load_or_score
    from cryobench.reconstruction.engine import RunContext
    from cryobench.report.page import check_page_folder
    from cryobench.report.site import write_report

    check_page_folder(output, kind="report")
    context = RunContext(progress=Bars())
    results, refused = _each_run(runs, lambda folder: load_or_score(folder, dataset=dataset, context=context))
    if results:
        shown = load_dataset_of(list(results), dataset)
        typer.echo(write_report(shown, list(results.values()), output, progress=context.progress))
    _tell_refused("not in the report", refused)


def _each_run(runs: list[Path], act: Callable[[Path], Result]) -> tuple[dict[Path, Result], list[Exception]]:
    """What ``act`` makes of each run, and why it refused the others: an unfinished or damaged run stops no other."""
    from cryobench._errors import FormatError

    results: dict[Path, Result] = {}
    refused: list[Exception] = []
    for folder in runs:
        try:
            results[folder] = act(folder)
        except FormatError as error:
            refused.append(error)
    return results, refused


def _tell_refused(what: str, refused: list[Exception]) -> None:
    """Print why runs were left out and exit with 2, if any was."""
    for error in refused:
        typer.secho(f"{what}: {error}", err=True, fg="red")
    if refused:
        raise typer.Exit(2)


def parse_settings(pairs: list[str] | None) -> dict[str, Any]:
    """KEY=VALUE pairs as a dictionary; values are read as JSON where they are JSON, else as text."""
    settings: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"--set takes KEY=VALUE, got {pair!r}.")
        try:
            settings[key.strip()] = json.loads(text)
        except json.JSONDecodeError:
            settings[key.strip()] = text
    return settings


def parse_sweep(text: str | None) -> tuple[str | None, list[Any]]:
    """KEY=VALUE,VALUE,... as the name of a setting and its values, read as in ``parse_settings``."""
    if text is None:
        return None, []
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values:
        raise ValueError(f"--vary takes KEY=VALUE,VALUE,..., got {text!r}.")
    pairs = [f"value={value.strip()}" for value in values.split(",")]
    return key.strip(), [parse_settings([pair])["value"] for pair in pairs]


def parse_range(text: str | None) -> tuple[int, int] | None:
    """FIRST:STOP as two integers."""
    if text is None:
        return None
    first, colon, stop = text.partition(":")
    if not (colon and first.isdecimal() and stop.isdecimal()):
        raise ValueError(f"--particles takes FIRST:STOP, two whole numbers, got {text!r}.")
    return int(first), int(stop)


def spread_values(arguments: list[str]) -> list[str]:
    """``--structure a b`` as ``--structure a --structure b``: several values after an option that may have many.

    What follows, up to the next option, are its values; the recipe's name therefore comes first.
    """
    spread: list[str] = []
    option, expected = "", False
    for argument in arguments:
        if argument.startswith("-") and not _is_number(argument):
            option, expected = (argument if argument in _MANY else ""), True
        elif option and not expected:
            spread.append(option)
        else:
            expected = False
        spread.append(argument)
    return spread


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def run_cli() -> None:
    """Entry point: an error is one message; ``--traceback`` shows where it came from.

    Exit status 2 for what a user can mend, 1 for a fault of this program or of an installed package that extends it.
    """
    # Threads that wait for work sleep instead of spinning: they would take the cores from those that have some.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = [argument for argument in sys.argv[1:] if argument != "--traceback"]
    shows_traceback = len(arguments) < len(sys.argv) - 1
    try:
        app(spread_values(arguments))
    except SystemExit as stop:
        if stop.code == 130:  # Ctrl-C, which typer has already turned into an exit
            typer.secho("stopped; the same command goes on from here.", err=True)
        raise
    except (ValueError, OSError, ImportError) as error:
        if shows_traceback:
            raise
        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(2)
    except Exception as error:
        if shows_traceback:
            raise
        typer.secho(
            f"error: {type(error).__name__}: {error}\nThis is a fault of cryobench or of a package that extends it; "
            "the same command with --traceback shows where. Nothing that was finished is lost.",
            err=True,
            fg="red",
        )
        sys.exit(1)
