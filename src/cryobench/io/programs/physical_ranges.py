"""Ranges of microscope parameters, outside which a table must be in other units.

The ranges are wide: refused values are wrong by a factor of ten or more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench.imaging.ctf import Ctf

_PIXEL_SIZES = (0.05, 200.0)
"""Å per pixel."""


@dataclass(frozen=True)
class _Range:
    low: float
    high: float
    unit: str
    hint: str
    degrees: bool = False
    """Stored in radian and written in degrees by some programs."""


_RANGES = {
    "defocus_u": _Range(-2e5, 2e5, "Å", "Is it in another unit?"),
    "defocus_v": _Range(-2e5, 2e5, "Å", "Is it in another unit?"),
    "defocus_angle": _Range(-4 * np.pi, 4 * np.pi, "radian", "Is it in degrees?", degrees=True),
    "voltage_kv": _Range(10, 2000, "kV", "Is it in V?"),
    "cs_mm": _Range(-20, 20, "mm", "Is it in µm or Å?"),
    "amplitude_contrast": _Range(0, 1, "", "Is it in percent?"),
    "phase_shift": _Range(-4 * np.pi, 4 * np.pi, "radian", "Is it in degrees?", degrees=True),
}
_LEAST_DEFOCUS = 50.0
"""Å."""
_DEFOCUS_COLUMNS = {".star": "rlnDefocusU", ".cs": "ctf/df1_A", ".pkl": "column 2 (defocus U, Å)"}


def make_ctf(
    path: Path, values: Mapping[str, np.ndarray], columns: Mapping[str, str], *, degrees: bool = False
) -> Ctf:
    """CTF parameters of the particles of a table.

    Parameters
    ----------
    path
        The table, for messages.
    values
        The fields of ``Ctf``, in our units.
    columns
        Names of the fields in the table.
    degrees
        Whether its angles are in degrees, for messages.

    Raises
    ------
    FormatError
        If a value is not finite, or outside any microscope's range; the message names file, column, value and range.
    """
    for name, allowed in _RANGES.items():
        column = np.asarray(values[name])
        bad = ~((column >= allowed.low) & (column <= allowed.high))
        if bad.any():
            first = int(np.argmax(bad))
            scale, unit = (180 / np.pi, "°") if allowed.degrees and degrees else (1.0, allowed.unit)
            hint = f" {allowed.hint}" if column[first] > allowed.high and unit != "°" else ""
            raise FormatError(
                f"{path}: {columns[name]} of particle {first} is {scale * column[first]:.6g}, expected"
                f" {scale * allowed.low:g} to {scale * allowed.high:g} {unit}".rstrip()
                + f".{hint} Correct the column."
            )
    try:
        return Ctf(**values)
    except ValueError as error:
        raise FormatError(f"{path}: {error}") from error


def check_defocus_unit(path: Path, ctf: Ctf) -> None:
    """Raise FormatError if the defocus in a table is in µm: if some particles have any, but none as much as 50 Å."""
    largest = float(np.abs(ctf.defocus_u).max(initial=0))
    if 0 < largest < _LEAST_DEFOCUS:
        raise FormatError(
            f"{path}: {_DEFOCUS_COLUMNS.get(path.suffix.lower(), 'defocus')} is at most {largest:g}, expected"
            " thousands of Å. Is it in µm? Multiply it by 10,000."
        )


def check_pixel_size(path: Path, column: str, value: float) -> float:
    """The pixel size. FormatError if it is not finite and positive, or outside the range of particle stacks."""
    low, high = _PIXEL_SIZES
    if not low <= value <= high:
        raise FormatError(
            f"{path}: {column} gives pixels of {value:.6g} Å, expected {low:g} to {high:g}. Correct the column."
        )
    return value
