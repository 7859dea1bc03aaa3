"""Time and memory of the linear methods, from start-up to written volumes, and their growth with the images.

python benchmarks/methods.py [--structure FILE] [--methods 3d-class 3dva recovar] [--per-state 62 125 250]
                             [--box 64] [--dataset DIR] [--set METHOD KEY=VALUE ...] [--score]

Each method runs by the command line in a separate process on igg-1d with 20 states and SNR 0.05 (or on an existing
data set), at the settings below; time and peak memory are from its record. --score scores the results.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryobench.io.store import load_dataset, read_run_record
from cryobench.runs.score import score_run
from machine import describe_machine

SETTINGS = {
    "3d-class": ("n_classes=20", "n_iterations=25", "convergence=0"),
    "3dva": ("n_components=3", "n_iterations=20"),
    "recovar": (),
}
SCORES = ("fsc-auc-masked", "fsc-auc-normalised-masked", "deviation-fsc-auc-normalised-masked", "decodability-knn")


@dataclass(frozen=True)
class Cost:
    """What a run says of itself."""

    particles: int
    seconds: float
    peak_bytes: float
    folder: Path


def make_dataset(folder: Path, per_state: int, box: int, structures: Sequence[str]) -> Path:
    """igg-1d with 20 states of so many images."""
    command = [sys.executable, "-m", "cryobench", "simulate", "igg-1d", "-o", str(folder), "--seed", "1"]
    command += [part for structure in structures for part in ("--structure", structure)]
    settings = {"n_states": 20, "images_per_state": per_state, "n_queries": 20, "box_size": box}
    settings["pixel_size"] = 384 / box
    settings["resolution"] = 384 / box
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    subprocess.run([*command, "--snr", "0.05"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder


def run(method: str, dataset: Path, folder: Path, settings: Sequence[str]) -> Cost:
    """The method by the command line, in a process of its own."""
    command = [sys.executable, "-m", "cryobench", "run", method, str(dataset), "-o", str(folder), "--device", "cpu"]
    command += [part for setting in settings for part in ("--set", setting)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    record = read_run_record(folder)
    particles = len(load_dataset(dataset).particles)
    return Cost(particles, record.cost.wall_seconds or 0.0, record.cost.peak_memory_bytes or 0.0, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structure", nargs="*", default=[])
    parser.add_argument("--methods", nargs="*", default=list(SETTINGS))
    parser.add_argument("--per-state", nargs="*", type=int, default=[62, 125, 250])
    parser.add_argument("--box", type=int, default=64)
    parser.add_argument("--dataset", type=Path, help="a data set that is there, instead")
    parser.add_argument("--set", nargs="*", default=[], help="settings instead of those above, for all methods")
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder for the runs, instead of a temporary one")
    options = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) if options.keep is None else options.keep
        sets = [options.dataset] if options.dataset else []
        if not sets:
            sets = [make_dataset(place / f"data-{n}", n, options.box, options.structure) for n in options.per_state]
        # Whatever is compiled on first use is compiled before anything is timed.
        tiny = make_dataset(place / "tiny", 20, 32, ())
        for method in options.methods:
            small = ("min_particles=10",) if method == "recovar" else ()
            run(method, tiny, place / f"compiled-{method}", small)
        for method in options.methods:
            first = None
            for dataset in sets:
                settings = options.set or SETTINGS[method]
                cost = run(method, dataset, place / f"{method}-{dataset.name}", settings)
                first = first or cost
                growth = cost.seconds / first.seconds / (cost.particles / first.particles)
                each, peak = 1000 * cost.seconds / cost.particles, cost.peak_bytes / 2**30
                print(f"{method:9s} {cost.particles:7,d} images {cost.seconds:8.1f} s {peak:6.2f} GiB")
                print(f"          {each:.2f} ms an image, {growth:.2f} of proportional growth")
                if options.score:
                    _, scores = score_run(cost.folder)
                    found = {name: scores.scores[name] for name in SCORES if name in scores.scores}
                    shown = {name: [round(x, 3) for x in (s.value, s.low, s.high)] for name, s in found.items()}
                    print("          " + json.dumps(shown))


if __name__ == "__main__":
    main()
