"""3DFlex on two domains and a hinge: is the angle found, and is the part that does not move as sharp as before?

python benchmarks/hinge.py [--structure FILE] [--images 5000] [--snr 0.1] [--work DIR]
                           [--methods 3dflex 3dva cryodrgn recovar consensus shuffled-truth] [--set METHOD KEY=VALUE ...]

One Fab of an antibody is turned about its hinge by -30 to 30 degrees, in 41 steps with as many images each, by the
recipe ``custom``. Every method runs by the command line, at its laptop preset. For each: Spearman's correlation of the
angle with the first principal axis of the latents, and of the best monotone reading of all latents; deviation and
whole FSC-AUC with their intervals; the FSC-AUC of the part that does not move, in a mask of its own; half-set FSC with
motion and without; CPU seconds and peak memory.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from cryobench.atoms.files import read_structure, write_structure
from cryobench.atoms.motions import fab_selection, turn_fab
from cryobench.atoms.procedural import procedural_antibody
from cryobench.data import HalfSetFsc, Reconstruction
from cryobench.experiment.score import score_run
from cryobench.io.store import load_dataset, load_reconstruction, read_run_record
from cryobench.latents.principal import principal_axes
from cryobench.metrics.fsc_curve import correlate, transform_masked
from cryobench.volumes.mask import make_soft_mask
from cryobench.volumes.render import render_density
from machine import describe_machine

REACH, STEPS = 30.0, 41
METHODS = ("3dflex", "3dva", "cryodrgn", "recovar", "consensus", "shuffled-truth")
CONTROLS = ("consensus", "shuffled-truth", "truth-backprojection")
SCORES = ("deviation-fsc-auc-normalised-masked", "fsc-auc-masked")


def make_dataset(folder: Path, structure: Path | None, n_images: int, snr: float) -> Path:
    """The set of the hinge; what is there is kept."""
    if (folder / "dataset.json").exists():
        return folder
    models = folder.parent / "structures"
    models.mkdir(parents=True, exist_ok=True)
    base = (read_structure(structure) if structure else procedural_antibody()).centred()
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
