"""A process of its own for ``conformance/test_same_bytes.py``: simulates, scores, and prints what came of it.

    python same_bytes.py WORK WORKERS RECIPE...                 hashes of all files of each recipe's smallest data set
    python same_bytes.py WORK WORKERS RECIPE... --score RUN ALIGN     also scores of a run of "igg-1d", simulated anew

What it may use of the machine is set by the environment, as a user would.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

from cryobench.recipes.settings import REALISTIC
from cryobench.recipes.simulate import simulate
from cryobench.runs.score import HowToScore, score_run

_SIZE = {"box_size": 24, "pixel_size": 16.0, "resolution": 16.0, "n_queries": 6}
SMALL = {
    "custom": {**_SIZE, "n_images": 60},
    "igg-1d": {**_SIZE, "n_states": 3, "images_per_state": 25},
    "igg-rl": {**_SIZE, "n_states": 3, "images_per_state": 25},
    "ribosembly": {**_SIZE, "n_images": 60},
    "spike-md": {**_SIZE, "n_frames": 40},
    "tomotwin-100": {**_SIZE, "pixel_size": 24.0, "resolution": 24.0, "n_structures": 2, "images_per_structure": 30},
}
"""Settings of each recipe at which it takes a second or so."""

UNTIDY = {
    **SMALL["igg-1d"],
    **REALISTIC,
    "box_size": 33,
    "pixel_size": 12.0,
    "resolution": 12.0,
    "projection": "atoms",
    "junk_noise": 0.1,
    "junk_wrong": 0.2,
    "junk_pair": 0.3,
}
"""Junk, coloured noise and the rest, in an odd box: the paths that tidy images do not take."""
LARGE = {**SMALL["igg-1d"], "box_size": 64, "pixel_size": 6.0, "resolution": 6.0, "noise_level": "structure"}
"""Arrays long enough for libraries to share out among their threads, and slices of volumes."""
FURTHER = {"igg-1d, untidy": ("igg-1d", UNTIDY), "igg-1d, large": ("igg-1d", {**LARGE, "projection": "slices"})}


def make(name: str, folder: Path, *, workers: int = 1) -> Path:
    """The small data set of a recipe, or of an entry of ``FURTHER``, in a folder."""
    recipe, settings = FURTHER.get(name, (name, SMALL.get(name, {})))
    simulate(recipe, folder, preset="tiny", settings=settings, seed=3, workers=workers)
    return folder


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a data set, and the one that names it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return {**found, "name": json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["sha256"]}


def _score(run: Path, dataset: Path, work: Path, align: str) -> dict[str, object]:
    copy = work / "run"
    shutil.copytree(run, copy)
    score_run(copy, dataset=dataset, how=HowToScore(align=align))
    return json.loads((copy / "scores" / "scores.json").read_text(encoding="utf-8"))


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("workers", type=int)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--score", nargs=2, metavar=("RUN", "ALIGN"))
    asked = parser.parse_args()
    found: dict[str, object] = {
        name: hash_files(make(name, asked.work / name, workers=asked.workers)) for name in asked.names
    }
    if asked.score is not None:
        run, align = asked.score
        found["scores"] = _score(Path(run), make("igg-1d", asked.work / "data"), asked.work, align)
    print(json.dumps(found))


if __name__ == "__main__":
    _main()
