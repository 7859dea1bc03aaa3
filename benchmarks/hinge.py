"""3DFlex on two domains and a hinge: recovery of the angle, and sharpness of the rigid part.

python benchmarks/hinge.py [--structure FILE] [--images 5000] [--snr 0.1] [--work DIR]
                           [--methods 3dflex 3dva cryodrgn recovar consensus shuffled-truth] [--set KEY=VALUE ...]

One Fab of an antibody is rotated about its hinge by -30 to 30 degrees, in 41 steps with as many images each, by the
recipe ``custom``. Every method runs by the command line, at its laptop preset. For each: Spearman's correlation of
the angle with the first principal axis of the latents, and with its nearest-neighbour prediction from all latents;
deviation and whole FSC-AUC with their intervals; the FSC-AUC of the rigid part, in its own mask;
the mean of the half-set FSC with motion and without; CPU seconds and peak memory.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from cryobench.atoms.entries import find_entry
from cryobench.atoms.files.structures import read_structure, write_structure
from cryobench.atoms.motion.fab_hinge import fab_selection, turn_fab
from cryobench.data import Dataset, HalfSetFsc, Reconstruction
from cryobench.io.store import load_dataset, load_reconstruction, read_run_record
from cryobench.latents.principal import principal_axes
from cryobench.metrics.volumes.fsc_curve import fsc, fsc_auc
from cryobench.runs.score import score_run
from cryobench.volumes.mask import make_soft_mask
from cryobench.volumes.render import render
from machine import describe_machine

REACH, STEPS = 30.0, 41
METHODS = ("3dflex", "3dva", "cryodrgn", "recovar", "consensus", "shuffled-truth")
CONTROLS = ("consensus", "shuffled-truth", "truth-backprojection")
SCORES = ("deviation-fsc-auc-normalised-masked", "fsc-auc-masked")


def make_dataset(folder: Path, structure: Path, n_images: int, snr: float) -> Path:
    """The set of the hinge; what is there is kept."""
    if (folder / "dataset.json").exists():
        return folder
    models = folder.parent / "structures"
    models.mkdir(parents=True, exist_ok=True)
    base = read_structure(structure).centred()
    angles = np.linspace(-REACH, REACH, STEPS)
    order = [STEPS // 2, *(step for step in range(STEPS) if step != STEPS // 2)]  # the first one is centred
    for number, step in enumerate(order):
        write_structure(turn_fab(base, float(np.deg2rad(angles[step]))), models / f"{number:02d}.cif")
    table = models / "variables.csv"
    table.write_text("turn [deg]\n" + "".join(f"{angles[step]:.4f}\n" for step in order))
    settings = {
        "box_size": 64,
        "pixel_size": 6.0,
        "resolution": 6.0,
        "n_images": n_images,
        "n_queries": STEPS,
        "snr": snr,
        "variables_file": table,
    }
    command = [sys.executable, "-m", "cryobench", "simulate", "custom", "-o", str(folder), "--seed", "1"]
    command += [part for number in range(STEPS) for part in ("--structure", str(models / f"{number:02d}.cif"))]
    command += [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def run(method: str, dataset: Path, folder: Path, settings: Sequence[str]) -> None:
    """The method by the command line, in a process of its own; a finished run is kept."""
    preset = [] if method in CONTROLS else ["--preset", "laptop"]
    command = [sys.executable, "-m", "cryobench", "run", method, str(dataset), "-o", str(folder), "--device", "cpu"]
    command += [*preset, *(part for setting in settings for part in ("--set", setting))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def read_angles(reconstruction: Reconstruction, angles: np.ndarray) -> tuple[float, float]:
    """Spearman's correlation of the angle with the first principal axis, and with a reading of all latents.

    The reading is the mean angle of the 50 nearest among the other four fifths of the particles.
    """
    latents = reconstruction.latents
    if latents is None:
        return float("nan"), float("nan")
    first = principal_axes(latents).project(latents)[:, 0]
    nearest = KNeighborsRegressor(50)
    reading = cross_val_predict(nearest, latents, angles, cv=KFold(5, shuffle=True, random_state=0))
    return tuple(abs(float(spearmanr(values, angles).statistic)) for values in (first, reading))


def make_rigid_mask(dataset: Dataset, structure: Path) -> np.ndarray:
    """Soft mask (z, y, x) of the part that does not turn."""
    particles = dataset.particles
    base = read_structure(structure).centred()
    rest = base.select(~fab_selection(base))
    density = render(rest, particles.box_size, particles.pixel_size, 2 * particles.pixel_size)
    return make_soft_mask(density, particles.pixel_size, dilation=3.0, edge=9.0).values.numpy()


def score_rigid_part(reconstruction: Reconstruction, dataset: Dataset, mask: np.ndarray) -> float:
    """Mean normalised FSC-AUC of the query volumes in a mask."""
    truth = dataset.truth
    assert truth is not None
    assert truth.volumes is not None
    assert reconstruction.volumes is not None
    values = []
    for number, query in enumerate(reconstruction.queries.tolist()):
        true = truth.volumes.read(int(truth.states[query]))
        values.append(fsc_auc(fsc(reconstruction.volumes.read(number), true, mask), normalised=True))
    return float(np.mean(values))


def describe(folder: Path, dataset: Dataset, mask: np.ndarray) -> dict[str, Any]:
    """Every number of a finished run."""
    _, scores = score_run(folder)
    found = load_reconstruction(folder)
    assert dataset.truth is not None
    angles = next(iter(dataset.truth.variables.values())).values
    first, reading = read_angles(found, angles)
    cost = read_run_record(folder).cost
    row: dict[str, Any] = {"spearman": first, "spearman of reading": reading}
    for name in SCORES:
        score = scores.scores[name]
        row[name] = (score.value, score.low, score.high)
    row["rigid part"] = score_rigid_part(found, dataset, mask)
    half_sets = found.find(HalfSetFsc)
    if half_sets is not None and half_sets.control is not None:
        row["half-set FSC, mean, and without motion"] = (half_sets.curves.mean(), half_sets.control.mean())
    return row | {"CPU s": cost.cpu_seconds or 0.0, "GiB": (cost.peak_memory_bytes or 0) / 2**30}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--structure", type=Path, default=find_entry("1HZH").path, help="of an antibody; default: 1HZH"
    )
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--snr", type=float, default=0.1)
    parser.add_argument("--work", type=Path, help="folder that keeps data and runs, instead of a temporary one")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--set", nargs="*", default=[], help="settings of 3dflex")
    options = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        folder = make_dataset(work / "data", options.structure, options.images, options.snr)
        dataset = load_dataset(folder)
        mask = make_rigid_mask(dataset, options.structure)
        for method in options.methods:
            run(method, folder, work / method, options.set if method == "3dflex" else [])
            row = describe(work / method, dataset, mask)
            rounded = {name: np.round(values, 3).tolist() for name, values in row.items()}
            print(method, json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
