"""Ab initio classes and poses: separation of complexes, pose errors, and cost.

python benchmarks/ab_initio.py [--images 5000] [--complexes 4] [--classes 4 1] [--seeds 0 1 2] [--work DIR]
                               [--preset laptop] [--set KEY=VALUE ...]

A mixture of complexes by the recipe ``tomotwin-100`` at 64 px and SNR 0.1. ``3d-class-ab-initio`` runs by the command
line for each number of classes and each seed. One row per run: label accuracy by one-to-one matching; the median
error of the poses of each class's particles, in the best-fitting frame of the class; mean log-likelihood of the last
batches; CPU minutes and memory. A single class can be right for only one complex: its row shows the cost of one
class. Three of the four complexes are symmetric (C8, T, D4), which pose errors do not divide out: read that of the C1
class.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cells import markdown_table
from cryobench.data import Convergence, Dataset
from cryobench.io.store import load_dataset, load_reconstruction, read_run_record
from cryobench.metrics.labels.agreement import compare_labels
from cryobench.metrics.poses.errors import pose_error
from machine import describe_machine

HEAD = ["classes", "seed", "accuracy", "rotation error by class, degrees", "log-likelihood", "CPU min", "GiB"]


def make_dataset(folder: Path, complexes: int, images: int) -> Path:
    """The mixture; what is there is kept."""
    if (folder / "dataset.json").exists():
        return folder
    command = [sys.executable, "-m", "cryobench", "simulate", "tomotwin-100", "-o", str(folder), "--preset", "lite"]
    counts = {"n_structures": complexes, "images_per_structure": images // complexes}
    command += [part for key, value in counts.items() for part in ("--set", f"{key}={value}")]
    subprocess.run([*command, "--snr", "0.1", "--seed", "0"], check=True, stdout=subprocess.DEVNULL)
    return folder


def run(dataset: Path, folder: Path, preset: str, seed: int, settings: Sequence[str]) -> None:
    """The method by the command line, in a process of its own; a finished run is kept."""
    command = [sys.executable, "-m", "cryobench", "run", "3d-class-ab-initio", str(dataset), "-o", str(folder)]
    command += ["--preset", preset, "--seed", str(seed), "--device", "cpu"]
    command += [part for setting in settings for part in ("--set", setting)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def describe(folder: Path, dataset: Dataset, n_classes: int, seed: int) -> list[str]:
    """The row of a finished run."""
    found, truth, cost = load_reconstruction(folder), dataset.truth, read_run_record(folder).cost
    assert truth is not None
    assert truth.rotations is not None
    assert found.posteriors is not None
    assert found.rotations is not None
    classes = found.posteriors.argmax(1)
    accuracy = compare_labels(truth.states, classes).scores["label-accuracy"].value
    errors = pose_error(truth.rotations, found.rotations, states=classes).rotation_deg
    each = [f"{np.nanmedian(errors[classes == k]):.1f}" for k in range(n_classes) if (classes == k).sum() > 1]
    convergence = found.find(Convergence)
    assert convergence is not None
    objective = np.mean([entry["objective"] for entry in convergence.log[-20:]])
    minutes, memory = (cost.cpu_seconds or 0) / 60, (cost.peak_memory_bytes or 0) / 2**30
    numbers = f"{objective:.1f}", f"{minutes:.1f}", f"{memory:.1f}"
    return [str(n_classes), str(seed), f"{accuracy:.3f}", ", ".join(each), *numbers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--complexes", type=int, default=4)
    parser.add_argument("--classes", type=int, nargs="*", default=[4, 1])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--work", type=Path, help="folder that keeps data and runs, instead of a temporary one")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the method")
    options = parser.parse_args()
    print(describe_machine())
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        folder = make_dataset(work / "data", options.complexes, options.images)
        dataset = load_dataset(folder)
        for n_classes in options.classes:
            for seed in options.seeds:
                target = work / f"{n_classes}-{seed}"
                run(folder, target, options.preset, seed, [f"n_classes={n_classes}", *options.set])
                rows.append(describe(target, dataset, n_classes, seed))
                print(rows[-1], flush=True)
    print(markdown_table(HEAD, rows))


if __name__ == "__main__":
    main()
