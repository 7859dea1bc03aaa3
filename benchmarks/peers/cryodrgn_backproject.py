"""Let cryoDRGN 4.3.1 read a data set of ours, unedited, and reconstruct it: are our conventions the field's?

    python benchmarks/peers/cryodrgn_backproject.py DATASET --cryodrgn ENVIRONMENT/bin [--work FOLDER] [--controls]

(1) ``cryodrgn parse_pose_star`` and ``parse_ctf_star`` of particles.star are compared with our poses.pkl and ctf.pkl.
(2) ``cryodrgn backproject_voxel`` makes a map of all particles, whose FSC with the mean true volume (states weighted
by their particles) must exceed 0.9 up to a third of Nyquist. (3) ``--controls`` repeats it with the hand, the shift,
the contrast, the astigmatism or the CTF wrong, to show that each would be noticed. Exit status 1 if a check fails.

ENVIRONMENT is made by ``make_cryodrgn_env.sh``. FSC is written out below in plain NumPy, apart from the
package's own.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from cryobench.data import Dataset
from cryobench.io.cryodrgn import read_ctf, read_poses, write_ctf, write_poses
from cryobench.io.mrc import read_volume
from cryobench.io.pickles import read_pickle
from cryobench.io.store import load_dataset

THRESHOLD = 0.9
MAX_ROTATION_ERROR = 1e-6
MAX_SHIFT_ERROR = 1e-6
"""Of the box."""
MAX_CTF_ERROR = 1e-6
"""Relative."""


def run_cryodrgn(bin_folder: Path, *arguments: object) -> None:
    command = [str(bin_folder / "cryodrgn"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")


def fsc(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Fourier shell correlation (s,) of two volumes, shells one voxel wide up to Nyquist."""
    n = len(first)
    axis = np.fft.fftfreq(n, 1 / n)
    shells = np.rint(np.sqrt(sum(np.square(np.meshgrid(axis, axis, axis, indexing="ij"))))).astype(int).ravel()
    spectra = [np.fft.fftn(volume).ravel() for volume in (first, second)]
    cross = np.bincount(shells, (spectra[0] * spectra[1].conj()).real)
    power = [np.bincount(shells, np.abs(spectrum) ** 2) for spectrum in spectra]
    return (cross / np.sqrt(power[0] * power[1]))[: n // 2]


def mean_truth(dataset: Dataset) -> np.ndarray:
    """Mean true volume of the particles."""
    if dataset.truth is None:
        sys.exit(f"{dataset.path} is blind: it has no truth to compare with.")
    counts = np.bincount(dataset.truth.states, minlength=len(dataset.truth.volumes))
    total = np.zeros((dataset.particles.box_size,) * 3)
    for state in np.flatnonzero(counts):
        total += counts[state] * dataset.truth.volumes.read(int(state)).astype(np.float64)
    return total / counts.sum()


def compare_tables(dataset: Path, bin_folder: Path, work: Path) -> dict[str, float]:
    """Largest differences between what cryoDRGN parses from our table and our own pickles."""
    table = dataset / "particles.star"
    run_cryodrgn(bin_folder, "parse_pose_star", table, "-o", work / "poses.pkl")
    run_cryodrgn(bin_folder, "parse_ctf_star", table, "-o", work / "ctf.pkl")
    theirs, ours = read_pickle(work / "poses.pkl"), read_pickle(dataset / "poses.pkl")
    their_ctf, our_ctf = read_pickle(work / "ctf.pkl"), read_pickle(dataset / "ctf.pkl")
    scale = np.maximum(np.abs(our_ctf).max(axis=0), 1e-12)
    return {
        "rotation matrix": float(np.abs(theirs[0] - ours[0]).max()),
        "translation / box": float(np.abs(theirs[1] - ours[1]).max()),
        "ctf, relative": float((np.abs(their_ctf - our_ctf) / scale).max()),
    }


def backproject(
    dataset: Path, bin_folder: Path, out: Path, *, poses: Path, ctf: Path, invert: bool
) -> tuple[np.ndarray, float]:
    """cryoDRGN's map of all particles, protein positive."""
    options = [] if invert else ["--uninvert-data"]
    table = dataset / "particles.star"
    run_cryodrgn(
        bin_folder, "backproject_voxel", table, "--datadir", dataset, "--poses", poses, "--ctf", ctf,
        "-o", out, "--no-half-maps", "--lazy", *options,
    )  # fmt: skip
    return read_volume(out / "backproject.mrc")


def run_controls(dataset: Dataset, bin_folder: Path, work: Path, truth: np.ndarray, poses: Path, ctf: Path) -> None:
    """Mean FSC up to a third of Nyquist with one convention wrong at a time."""
    assert dataset.path is not None
    size, pixel_size = dataset.particles.box_size, dataset.particles.pixel_size
    third, invert = size // 6, dataset.particles.sign == -1
    geometry = {"box_size": size, "pixel_size": pixel_size}
    rotations, shifts = read_poses(poses, **geometry)
    values, _, _ = read_ctf(ctf)
    mirrored = rotations * np.array([[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    write_poses(work / "transposed.pkl", rotations.swapaxes(1, 2), shifts, **geometry)
    write_poses(work / "mirrored.pkl", mirrored, shifts, **geometry)
    write_poses(work / "negated.pkl", rotations, -shifts, **geometry)
    write_poses(work / "swapped.pkl", rotations, shifts[:, ::-1], **geometry)
    parameters = {name: getattr(values, name) for name in values.__dataclass_fields__}
    turned = type(values)(**parameters | {"defocus_angle": -values.defocus_angle})
    phase = type(values)(**parameters | {"phase_shift": -values.phase_shift})
    write_ctf(work / "angle.pkl", turned, **geometry)
    write_ctf(work / "phase.pkl", phase, **geometry)
    trials = {
        "rotations transposed": (work / "transposed.pkl", ctf, invert),
        "other hand": (work / "mirrored.pkl", ctf, invert),
        "shifts negated": (work / "negated.pkl", ctf, invert),
        "shifts x and y swapped": (work / "swapped.pkl", ctf, invert),
        "contrast inverted": (poses, ctf, not invert),
        "defocus angle negated": (poses, work / "angle.pkl", invert),
        "phase shift negated": (poses, work / "phase.pkl", invert),
    }
    for name, (pose_file, ctf_file, inverted) in trials.items():
        out = work / name.replace(" ", "-")
        found, _ = backproject(dataset.path, bin_folder, out, poses=pose_file, ctf=ctf_file, invert=inverted)
        curve = fsc(found, truth)
        print(f"  wrong on purpose: {name:24s} FSC mean {curve[1 : third + 1].mean():6.3f}"
              f"  least {curve[1 : third + 1].min():6.3f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--cryodrgn", type=Path, required=True, help="folder with the cryodrgn command")
    parser.add_argument("--work", type=Path, help="where to leave cryoDRGN's files; by default they are removed")
    parser.add_argument("--controls", action="store_true")
    given = parser.parse_args()
    dataset = load_dataset(given.dataset)
    assert dataset.path is not None
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        failures = []

        limits = (MAX_ROTATION_ERROR, MAX_SHIFT_ERROR, MAX_CTF_ERROR)
        for (what, difference), limit in zip(
            compare_tables(dataset.path, given.cryodrgn, work).items(), limits, strict=True
        ):
            print(f"parsed from particles.star against our pickle, largest difference, {what}: {difference:.2e}")
            if difference > limit:
                failures.append(f"{what} differs by {difference:.2e}, allowed {limit:.0e}")

        truth = mean_truth(dataset)
        poses, ctf = work / "poses.pkl", work / "ctf.pkl"
        found, pixel_size = backproject(
            dataset.path, given.cryodrgn, work / "map", poses=poses, ctf=ctf, invert=dataset.particles.sign == -1
        )
        curve, mirrored = fsc(found, truth), fsc(found[::-1, ::-1, ::-1], truth)
        third = len(truth) // 6
        print(f"pixel size of cryoDRGN's map {pixel_size:.4f} Å, ours {dataset.particles.pixel_size:.4f} Å")
        print(f"FSC of cryoDRGN's map with the mean true volume, shells 1 to {third} (a third of Nyquist): "
              f"least {curve[1 : third + 1].min():.4f}, mean {curve[1 : third + 1].mean():.4f}")  # fmt: skip
        print("  shell by shell to Nyquist:", " ".join(f"{value:.3f}" for value in curve[1:]))
        print(f"  with the inverted truth (other hand): mean {mirrored[1 : third + 1].mean():.3f}")
        if not curve[1 : third + 1].min() > THRESHOLD:
            failures.append(f"the FSC falls to {curve[1 : third + 1].min():.3f}, expected more than {THRESHOLD}")
        if abs(pixel_size - dataset.particles.pixel_size) > 1e-3:
            failures.append(f"cryoDRGN's map has {pixel_size} Å per voxel")
        if given.controls:
            run_controls(dataset, given.cryodrgn, work, truth, poses, ctf)
    if failures:
        sys.exit("FAILED: " + "; ".join(failures))
    print("passed")


if __name__ == "__main__":
    main()
