"""How many structures of a mixture can be found without poses: one-shot classification, ensembles, volume networks.

python benchmarks/how_many_structures.py [--species 2 4 8 16 20 45] [--images 4000] [--box 64] [--crop BOX]
    [--snr 0.1] [--methods ensemble one-shot cryodrgn2 cryodrgn-ai] [--seeds 0 1 2]
    [--trees 12] [--classes 4] [--depth 1] [--refinement 50] [--job KEY=VALUE ...] [--network KEY=VALUE ...]
    [--preset laptop] [--workers 1 | --scheduler ADDRESS] [--work DIR] [--cells FILE] [--figures DIR] [--table]

Mixtures by the recipe ``tomotwin-100``, equally many images of each of M complexes. Every cell, a method on M
species with a seed, is run by the command line in a process of its own, scored, and kept in a JSON file; a killed run
resumes.

    one job       the job method once, into M classes
    ensemble      3d-class-ensemble, the number of species found from the jobs
    ensemble-M    the same jobs, the number of species given
    one-shot      the job method into M classes, the best of as many random starts as make as many visits
    cryodrgn2, cryodrgn-ai    classes are clusters of their latents, as the labels metric makes them

All classifications have the same job settings (``--job``). Scores: label accuracy by one-to-one matching, adjusted
Rand index, error of populations, median rotation error in the frame of each class, species found, visits of images,
CPU minutes. A row is the mean over seeds; brackets hold the smallest and the largest. --table only prints and draws.
Cells do not know the settings of jobs: give others another --cells and --work.
"""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from cells import Cell, Cells, markdown_table
from cryobench.data import CoAssignment, Convergence, Dataset, Reconstruction
from cryobench.io.store import load_reconstruction, read_run_record
from cryobench.metrics.evaluate import score
from cryobench.metrics.labels.agreement import compare_labels
from cryobench.metrics.poses.errors import pose_error
from cryobench.report.charts.kinds import Axis, LineChart, Series
from cryobench.report.drawing.draw import draw_on_paper, save_svg
from cryobench.report.scored_runs.styles import RunStyle
from machine import describe_machine
from mixtures import add_options, make_mixture, run_method, show_seeds

JOB = "3d-class-ab-initio"
METHODS = ("one job", "ensemble", "ensemble-M", "one-shot", "cryodrgn2", "cryodrgn-ai")
STYLES = {
    "one job": RunStyle("one job, K = M", "#997700", "dot", "x"),
    "ensemble": RunStyle("ensemble", "#0072B2"),
    "ensemble-M": RunStyle("ensemble, M given", "#0072B2", "dash", "square"),
    "one-shot": RunStyle("one-shot, K = M, equal visits", "#D55E00", "solid", "square"),
    "cryodrgn2": RunStyle("cryodrgn2", "#009E73", "solid", "diamond"),
    "cryodrgn-ai": RunStyle("cryodrgn-ai", "#AA4499", "solid", "triangle-up"),
}
DIGITS = {"species": 0, "visits": 0, "rotation": 1, "cpu": 1}
"""Decimals of a score, where not three."""
SHOWN = {
    "accuracy": "label accuracy",
    "ari": "adjusted Rand index",
    "population-error": "population error",
    "rotation": "rotation error / degree",
    "species": "species found",
    "visits": "visits of an image",
    "cpu": "CPU / min",
}


def describe(found: Reconstruction, dataset: Dataset, folder: Path) -> Cell:
    """The cell of a run."""
    truth, cost = dataset.truth, read_run_record(folder).cost
    assert truth is not None
    assert truth.states is not None
    scores = score(found, dataset, ("labels", "populations")).scores
    values = {"accuracy": "label-accuracy", "ari": "ari", "population-error": "population-error"}
    cell: dict[str, object] = {key: round(float(scores[name].value), 4) for key, name in values.items()}
    if found.posteriors is not None:
        classes = found.posteriors.argmax(1)
        cell["species"] = len(np.unique(classes))
    else:
        classes = None
    if truth.rotations is not None and found.rotations is not None:
        errors = pose_error(truth.rotations, found.rotations, states=classes).rotation_deg
        cell["rotation"] = round(float(np.nanmedian(errors)), 2)
    if "visits" in found.model:
        cell["visits"] = round(float(found.model["visits"][0]) / len(dataset.particles), 1)
        merged = compare_labels(truth.states, np.asarray(found.model["merged_species"])).scores
        cell["merged accuracy"] = round(float(merged["label-accuracy"].value), 4)
    elif (convergence := found.find(Convergence)) is not None:
        of_one = sum(int(entry.get("images", 0)) for entry in convergence.log) / len(dataset.particles) + 1
        cell["visits"] = round(of_one * int(found.record.settings.get("n_starts", 1)), 1)
    if (agreed := found.find(CoAssignment)) is not None and len(agreed.numbers):
        cell["numbers"] = [int(each) for each in np.percentile(agreed.numbers, [5, 50, 95])]
    cell["cpu"] = round((cost.cpu_seconds or 0) / 60, 1)
    cell["notes"] = list(found.notes)
    cell["machine"] = describe_machine()
    return cell


def make_cell(method: str, species: int, seed: int, options: argparse.Namespace, work: Path) -> Cell:
    """The cell of a method on so many species."""
    data = work / f"data-{species}"
    dataset = make_mixture(data, species, options.images, options.box, options.snr)
    job = dict(each.partition("=")[::2] for each in options.job)
    jobs = {key: json.loads(value) for key, value in job.items()}
    folder = work / f"{method.replace(' ', '-')}-{species}-{seed}"
    if method.startswith("ensemble"):
        settings: dict[str, object] = {
            "n_trees": options.trees,
            "n_classes": options.classes,
            "depth": options.depth,
            "branch_particles": options.branch,
            "refinement_iterations": options.refinement,
            "box": options.crop,
            "job_settings": jobs,
        }
        if method == "ensemble-M":
            settings["n_species"] = species
        run_method("3d-class-ensemble", data, folder, seed, settings, options)
    elif method in ("one job", "one-shot"):
        n_starts = 1
        if method == "one-shot":
            total, one = load_reconstruction(work / f"ensemble-{species}-{seed}").model["visits"]
            n_starts = max(1, round(float(total) / float(one)))
        settings = {"n_classes": species, "n_starts": n_starts, "box": options.crop, **jobs}
        run_method(JOB, data, folder, seed, settings, options)
    else:
        changes = dict(each.partition("=")[::2] for each in options.network)
        network = {key: json.loads(value) for key, value in changes.items()}
        run_method(method, data, folder, seed, network, options)
    return describe(load_reconstruction(folder), dataset, folder)


def draw(found: dict[tuple[str, int], list[Cell]], folder: Path) -> None:
    """One figure per score: against the number of species, with its range over the seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, title in SHOWN.items():
        series = []
        for method in METHODS:
            rows = [
                (species, [float(cell[key]) for cell in cells if key in cell])
                for (name, species), cells in found.items()
                if name == method
            ]
            rows = sorted((species, values) for species, values in rows if values)
            if rows:
                ends = [np.array([function(values) for _, values in rows]) for function in (np.mean, np.min, np.max)]
                series.append(Series(method, np.array([float(species) for species, _ in rows]), *ends))
        if series:
            chart = LineChart(Axis("species in the mixture"), Axis(title), series, shape="line", styles=STYLES)
            save_svg(draw_on_paper(chart, STYLES), folder / f"how-many-{key}.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--species", type=int, nargs="*", default=[2, 4, 8, 16, 20, 45])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--box", type=int, default=64)
    parser.add_argument("--crop", type=int, help="box to which classifications crop the images")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--trees", type=int, default=12)
    parser.add_argument("--classes", type=int, nargs="*", default=[4])
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--branch", type=int, default=500, help="particles of a class that is classified again")
    parser.add_argument("--refinement", type=int, default=50, help="iterations of the last refinement")
    parser.add_argument("--job", nargs="*", default=[], help="settings of every classification")
    parser.add_argument("--network", nargs="*", default=[], help="settings of the networks")
    parser.add_argument("--cells", type=Path, default=Path(__file__).parent / "results/how_many_structures.json")
    parser.add_argument("--figures", type=Path, help="folder of the figures")
    add_options(parser)
    options = parser.parse_args()
    print(describe_machine())
    cells = Cells(options.cells)
    conditions = f"{options.images}x{options.box}-snr{options.snr:g}" + (
        f"-crop{options.crop}" if options.crop else ""
    )
    found: dict[tuple[str, int], list[Cell]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for species in options.species:
            for seed in options.seeds:
                # The ensemble comes before the one-shot classification that has as many visits.
                for method in METHODS:
                    key = (conditions, str(species), method, str(seed))
                    if method in options.methods and not options.table:
                        cells.fill(key, partial(make_cell, method, species, seed, options, work))
                    if (cell := cells.get(*key)) is not None:
                        found.setdefault((method, species), []).append(cell)
    rows = [
        [str(species), STYLES[method].label, *(show_seeds(each, key, DIGITS.get(key, 3)) for key in SHOWN)]
        for (method, species), each in sorted(found.items(), key=lambda item: (item[0][1], METHODS.index(item[0][0])))
    ]
    print(markdown_table(["species", "method", *SHOWN.values()], rows))
    if options.figures:
        draw(found, options.figures)


if __name__ == "__main__":
    main()
