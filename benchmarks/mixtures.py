"""Mixtures of many structures for the studies of how many can be told apart, and runs on them by the command line."""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cells import Cell
from cryobench.data import Dataset
from cryobench.io.store import load_dataset
from cryobench.methods import Control, get_method

EXTENT = 576.0
"""Å, side of the images of the recipe ``tomotwin-100``."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that the studies have in common."""
    parser.add_argument("--snr", type=float, default=0.1)
    parser.add_argument("--preset", default="laptop", help="preset of all methods")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--scheduler", help="address of a Dask scheduler, instead of workers")
    parser.add_argument("--work", type=Path, help="folder that keeps data and runs, instead of a temporary one")
    parser.add_argument("--table", action="store_true", help="only print existing cells")


def make_mixture(folder: Path, species: int, images: int, box: int, snr: float, **more: object) -> Dataset:
    """As many images of each of so many complexes (recipe ``tomotwin-100``); what is there is kept."""
    if not (folder / "dataset.json").exists():
        pixel = EXTENT / box
        settings = {"box_size": box, "pixel_size": pixel, "resolution": pixel, "n_structures": species}
        settings |= {"images_per_structure": images // species, **more}
        command = [sys.executable, "-m", "cryobench", "simulate", "tomotwin-100", "-o", str(folder)]
        command += ["--preset", "lite", "--snr", str(snr), "--seed", "0", *_set(settings)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return load_dataset(folder)


def run_method(
    method: str, dataset: Path, folder: Path, seed: int, settings: Mapping[str, object], options: argparse.Namespace
) -> None:
    """A method by the command line; a finished run is kept, an interrupted one resumes."""
    command = [sys.executable, "-m", "cryobench", "run", method, str(dataset), "-o", str(folder)]
    # Controls have no presets.
    command += [] if issubclass(get_method(method), Control) else ["--preset", options.preset]
    command += ["--seed", str(seed), "--device", options.device, *_set(settings)]
    command += ["--scheduler", options.scheduler] if options.scheduler else ["--workers", str(options.workers)]
    log = folder.with_suffix(".log")
    with log.open("w") as file:
        done = subprocess.run(command, stdout=file, stderr=file)
    if done.returncode:
        raise SystemExit(f"{method} failed, see {log}:\n{log.read_text()[-2000:]}")


def show_seeds(cells: list[Cell], key: str, digits: int = 3) -> str:
    """Mean over the seeds, and the smallest and largest."""
    values = [float(cell[key]) for cell in cells if key in cell]
    if not values:
        return ""
    text = f"{np.mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def _set(settings: Mapping[str, object]) -> list[str]:
    return [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
