"""cryoDRGN's poses.pkl and ctf.pkl, and conversion of its conventions to ours.

poses.pkl is a tuple (rotations (n, 3, 3), translations (n, 2)), float32. Its rotations are ours. Its translations
have our sign and order (x, y) but are fractions of the box; ``abinit`` of cryoDRGN 4 and DRGN-AI store pixels. They
may be None or absent, or the file may hold only rotations: then they are 0, as in cryoDRGN.

ctf.pkl is an array (n, 9), float32: box size (px), Å per pixel, defocus U, V (Å), defocus angle (°), voltage (kV),
Cs (mm), amplitude contrast, phase shift (°). Its CTF is ours, sign included; it has no B factor. The first two
columns describe the images the CTF was estimated on: after Fourier cropping the pixel size is their product
divided by the new box size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from cryobench._errors import FormatError
from cryobench._types import RotationArray, ShiftArray
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.npy import to_numbers
from cryobench.io.formats.pickles import read_pickle, write_pickle
from cryobench.io.programs.physical_ranges import check_pixel_size, make_ctf

_COLUMNS = "box size, pixel size, defocus U, defocus V, angle, voltage, Cs, amplitude contrast, phase shift"
_CTF_COLUMNS = {
    "defocus_u": "column 2 (defocus U, Å)",
    "defocus_v": "column 3 (defocus V, Å)",
    "defocus_angle": "column 4 (defocus angle, °)",
    "voltage_kv": "column 5 (voltage, kV)",
    "cs_mm": "column 6 (Cs, mm)",
    "amplitude_contrast": "column 7 (amplitude contrast)",
    "phase_shift": "column 8 (phase shift, °)",
}


def write_poses(
    path: Path, rotations: RotationArray, shifts: ShiftArray, *, box_size: int, pixel_size: float
) -> None:
    """Write poses.pkl: rotations (n, 3, 3) and shifts (n, 2) in Å, stored as fractions of the box."""
    fractions = np.asarray(shifts, dtype=np.float64) / (pixel_size * box_size)
    write_pickle(path, (np.asarray(rotations, dtype=np.float32), fractions.astype(np.float32)))


def read_poses(
    path: Path, *, box_size: int, pixel_size: float, shift_unit: Literal["fraction", "pixel"] = "fraction"
) -> tuple[RotationArray, ShiftArray]:
    """Rotations (n, 3, 3) and shifts (n, 2) in Å, float64, from a cryoDRGN pose file.

    Parameters
    ----------
    path
        Pickle of (rotations, translations).
    box_size, pixel_size
        Box size in px and Å per pixel of the images.
    shift_unit
        Unit in the file: fractions of the box, or pixels (cryoDRGN 4 ``abinit``, DRGN-AI).

    Raises
    ------
    FormatError
        If the file is not such a pickle, a number is not finite, or fractions larger than 1 show that they are
        pixels.
    """
    value = read_pickle(path)
    parts = list(value) if isinstance(value, tuple | list) else [value]
    if len(parts) not in (1, 2) or isinstance(value, dict):
        found = f"a {type(value).__name__} of {len(value)}"
        raise FormatError(f"{path} must hold the tuple (rotations, translations), found {found}.")
    rotations = _numbers(parts[0], path)
    n = len(rotations)
    translations = np.zeros((n, 2)) if len(parts) == 1 or parts[1] is None else _numbers(parts[1], path)
    if rotations.shape != (n, 3, 3) or translations.shape != (n, 2):
        raise FormatError(
            f"{path} must hold arrays of shape (n, 3, 3) and (n, 2), found {rotations.shape} and"
            f" {translations.shape}."
        )
    largest = float(np.abs(translations).max(initial=0))
    if shift_unit == "fraction" and largest > 1:
        raise FormatError(
            f"{path} holds translations up to {largest:.4g}, but fractions of the box cannot exceed 1. They are"
            " pixels, as written by cryoDRGN 4 abinit, DRGN-AI and old cryoDRGN: read it with --shift-unit pixel."
        )
    return rotations, translations * (pixel_size * box_size if shift_unit == "fraction" else pixel_size)


def write_ctf(path: Path, ctf: Ctf, *, box_size: int, pixel_size: float) -> None:
    """Write ctf.pkl for images of ``box_size`` px at ``pixel_size`` Å. The format has no B factor."""
    columns = [
        np.full(len(ctf), box_size),
        np.full(len(ctf), pixel_size),
        ctf.defocus_u,
        ctf.defocus_v,
        np.rad2deg(ctf.defocus_angle),
        ctf.voltage_kv,
        ctf.cs_mm,
        ctf.amplitude_contrast,
        np.rad2deg(ctf.phase_shift),
    ]
    write_pickle(path, np.stack(columns, axis=1).astype(np.float32))


def read_ctf(path: Path, *, box_size: int | None = None) -> tuple[Ctf, int, float]:
    """CTF parameters, box size (px) and Å per pixel from a cryoDRGN ctf.pkl.

    Parameters
    ----------
    path
        Pickle of an array (n, 9).
    box_size
        Box of the actual images, if they are Fourier crops of those in the file: the returned pixel size
        is then theirs.

    Raises
    ------
    FormatError
        If the file is not such a pickle, particles differ in box or pixel size, or a parameter is out of range.
    """
    table = _numbers(read_pickle(path), path)
    if table.ndim != 2 or table.shape[1] != 9 or len(table) == 0:
        raise FormatError(f"{path} must hold an array (n, 9) of {_COLUMNS}; found shape {table.shape}.")
    for column, name in enumerate(("box size", "pixel size")):
        values = table[:, column]
        if np.ptp(values) > 1e-4 * abs(values[0]) or values[0] <= 0:
            raise FormatError(
                f"{path}: the {name} must be positive and the same for all particles, found {values.min():.6g} to"
                f" {values.max():.6g}. Split the particles, or rescale them to one size first."
            )
    stated_size, stated_pixel = round(table[0, 0]), _shortest(table[0, 1])
    check_pixel_size(path, "column 1 (pixel size, Å)", stated_pixel)
    values = {name: table[:, column] for column, name in enumerate(_CTF_COLUMNS, start=2)}
    values |= {name: np.deg2rad(values[name]) for name in ("defocus_angle", "phase_shift")}
    ctf = make_ctf(path, values | {"b_factor": np.zeros(len(table))}, _CTF_COLUMNS, degrees=True)
    if box_size is None or box_size == stated_size:
        return ctf, stated_size, stated_pixel
    return ctf, box_size, stated_pixel * stated_size / box_size


def _numbers(value: object, path: Path) -> np.ndarray:
    """A float64 array of at least one axis, finite throughout."""
    array = to_numbers(value, path, "arrays of numbers")
    if array.ndim == 0:
        raise FormatError(f"{path} must hold arrays of numbers, found {value!r}.")
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(axis[0]) for axis in np.nonzero(~finite))
        raise FormatError(f"{path} holds {array[first]} at {first}; every entry must be finite.")
    return array


def _shortest(value: float) -> float:
    """The decimal number that a float32 was written for: 1.31 rather than 1.309999943."""
    return float(str(np.float32(value)))
