"""How many structures of a mixture are told apart at given poses: classes, linear components, a network.

python benchmarks/given_mixtures.py [--species 100 300 1000] [--each 20] [--box 32] [--snr 0.1] [--spare 1.2]
    [--methods 3d-class recovar cryodrgn truth-backprojection consensus] [--seeds 0]
    [--preset laptop] [--workers 1 | --scheduler ADDRESS] [--work DIR] [--cells FILE] [--table]

Mixtures by the recipe ``tomotwin-100``, equally many images of each of M complexes, one query particle each. Every
cell, a method on a mixture with a seed, is run by the command line in a process of its own, scored, and kept in a
JSON file; a killed run resumes. 3d-class has ``--spare`` classes per species; classes of the others are clusters of
their latents, as the labels metric makes them.

Scores: label accuracy by one-to-one matching, adjusted Rand index, classes with particles, FSC-AUC of the query
particles' volumes in the mask (cycles/px; 0.5 is best) and of their deviations from the consensus (1 is best), CPU
minutes. A row is the mean over seeds; brackets hold the smallest and the largest.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from cells import Cell, Cells, markdown_table
from cryobench.io.store import load_reconstruction, read_run_record
from cryobench.runs.score import score_run
from machine import describe_machine
from mixtures import add_options, make_mixture, run_method, show_seeds

METHODS = ("3d-class", "recovar", "cryodrgn", "truth-backprojection", "consensus")
SHOWN = {
    "label-accuracy": "label accuracy",
    "ari": "adjusted Rand index",
    "classes": "classes with particles",
    "fsc-auc-masked": "FSC-AUC in the mask",
    "deviation-fsc-auc-normalised-masked": "deviation FSC-AUC, normalised, in the mask",
    "cpu": "CPU / min",
}
DIGITS = {"classes": 0, "cpu": 1}
"""Decimals of a score, where not three."""


def make_cell(method: str, species: int, seed: int, options: argparse.Namespace, work: Path) -> Cell:
    """The cell of a method on so many species."""
    data = work / f"data-{species}"
    make_mixture(data, species, species * options.each, options.box, options.snr, n_queries=species)
    folder = work / f"{method}-{species}-{seed}"
    settings = {"n_classes": round(options.spare * species)} if method == "3d-class" else {}
    run_method(method, data, folder, seed, settings, options)
    scores = score_run(folder)[1].scores
    cell: dict[str, object] = {
        name: round(float(scores[name].value), 4)
        for name in SHOWN
        if name in scores and scores[name].value is not None
    }
    posteriors = load_reconstruction(folder).posteriors
    if posteriors is not None:
        cell["classes"] = len(np.unique(posteriors.argmax(1)))
    cell["cpu"] = round((read_run_record(folder).cost.cpu_seconds or 0) / 60, 1)
    cell["machine"] = describe_machine()
    return cell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--species", type=int, nargs="*", default=[100, 300, 1000])
    parser.add_argument("--each", type=int, default=20, help="images of each species")
    parser.add_argument("--box", type=int, default=32)
    parser.add_argument("--spare", type=float, default=1.2, help="classes of 3d-class per species")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--cells", type=Path, default=Path(__file__).parent / "results/given_mixtures.json")
    add_options(parser)
    options = parser.parse_args()
    print(describe_machine())
    cells = Cells(options.cells)
    conditions = f"{options.each}x{options.box}-snr{options.snr:g}"
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)) / conditions
        work.mkdir(parents=True, exist_ok=True)
        for species in options.species:
            for method in options.methods:
                keys = [(conditions, str(species), method, str(seed)) for seed in options.seeds]
                if not options.table:
                    for seed, key in zip(options.seeds, keys, strict=True):
                        cells.fill(key, partial(make_cell, method, species, seed, options, work))
                found = [cell for key in keys if (cell := cells.get(*key)) is not None]
                if found:
                    scores = [show_seeds(found, key, DIGITS.get(key, 3)) for key in SHOWN]
                    rows.append([str(species), method, *scores])
    print(markdown_table(["species", "method", *SHOWN.values()], rows))


if __name__ == "__main__":
    main()
