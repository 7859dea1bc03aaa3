"""Poses from the files of other programs, in our convention: shifts in Å that centre the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import Particles
from cryobench.importers.rows import Rows
from cryobench.io.atomic import read_array
from cryobench.io.programs.cryodrgn import read_poses
from cryobench.io.programs.cs_poses import read_cs_file_poses
from cryobench.io.programs.relion import read_star_poses


def read_foreign_poses(path: Path, particles: Particles, shift_unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (rows, 3, 3) and shifts (rows, 2) in Å of a file, in its order.

    Parameters
    ----------
    path
        STAR (RELION), .cs (cryoSPARC), .pkl (cryoDRGN), or .npy with rotations alone.
    particles
        Box and pixel size that are the units of shifts.
    shift_unit
        Unit in a .pkl: "fraction" of the box, or "pixel".

    Raises
    ------
    FormatError
        If the file is missing, damaged or holds no poses.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path} does not exist or is not a file, expected poses.")
    kind = path.suffix.lower()
    if kind in (".star", ".cs"):
        reader = read_star_poses if kind == ".star" else read_cs_file_poses
        rotations, shifts = reader(path, particles.pixel_size)
        if rotations is None or shifts is None:
            raise FormatError(f"{path} holds no poses: its columns of angles or alignments are missing.")
        return rotations, shifts
    if kind == ".pkl":
        grid = {"box_size": particles.box_size, "pixel_size": particles.pixel_size}
        return read_poses(path, **grid, shift_unit="pixel" if shift_unit == "pixel" else "fraction")
    if kind == ".npy":
        rotations = read_array(path, numbers=True).astype(np.float64)
        if rotations.ndim != 3 or rotations.shape[1:] != (3, 3):
            raise FormatError(f"{path} holds an array of shape {rotations.shape}, expected rotations (n, 3, 3).")
        return rotations, np.zeros((len(rotations), 2))
    raise FormatError(f"{path} has no supported format for poses: expected .star, .cs, .pkl or .npy.")


def place_poses(rotations: np.ndarray, shifts: np.ndarray, rows: Rows, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Poses in the order of the particles. FormatError if a particle has none: all must have one."""
    missing = np.flatnonzero(rows.of < 0)
    if len(missing):
        raise FormatError(
            f"{path} has no pose of particle {missing[0]} and {len(missing) - 1:,} others: poses are scored over all "
            "particles. Import without poses (--poses none), or make a data set of those that were used."
        )
    return rotations[rows.of], shifts[rows.of]
