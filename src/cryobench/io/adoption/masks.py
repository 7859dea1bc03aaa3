"""Masks from files, checked against the data set before anything is measured in one.

A mask is on the grid of the images, with values between 0 and 1. It must cover density: in a mask of a few voxels
any two volumes agree, because the spectrum of one voxel is flat whatever its value. Required are enough voxels
for a spectrum (``LEAST_VOXELS``) and, if true volumes are known, a fraction of the power of one of them
(``LEAST_POWER``): a domain, a subunit, a ligand; not a corner of the box. If none is known, a consensus of the
images is used instead, which is rough and noisy: there the power in the mask is compared with the mean power of
equally many voxels (``LEAST_SHARE``), which solvent does not reach at any noise.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench.data import VolumeSource
from cryobench.io.adoption.stated_size import check_stated
from cryobench.io.formats.mrc import read_volume

LEAST_VOXELS = 64
"""Minimum sum of a mask's values: four voxels a side."""
LEAST_POWER = 1e-3
"""Minimum fraction of a true volume's sum of squares within a mask."""
LEAST_SHARE = 0.25
"""Minimum power of a consensus in a mask, relative to equally many voxels at the mean of the box.

Masks around a molecule or a domain of it have 5 to 60, corners of the box -0.2 to 0.2 (``igg-1d``, ``ribosembly``;
SNR 0.005 to 0.5)."""
LEAST_AGREEMENT = 0.5
"""Minimum correlation of the half-maps of a consensus, for a mask to be judged by it."""
_ROUNDING = 1e-3
"""Tolerance of the range [0, 1], for masks that were resampled."""


def read_mask(path: Path, box_size: int, pixel_size: float) -> np.ndarray:
    """Mask (z, y, x) from a file, float32 in [0, 1].

    Raises
    ------
    FormatError
        If the file is not a cubic volume, is on another grid than images of ``box_size`` px of ``pixel_size`` Å,
        holds values outside [0, 1], or is almost empty.
    """
    mask, stated = read_volume(path)
    if len(mask) != box_size:
        raise FormatError(
            f"{path} has {len(mask)} voxels a side, but the images have {box_size} px. Resample the mask onto"
            f" {box_size} voxels of {pixel_size:.4g} Å first."
        )
    check_stated(path, stated, pixel_size)
    low, high = float(mask.min()), float(mask.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise FormatError(f"{path} is not a mask: its values range from {low:.4g} to {high:.4g}, expected 0 to 1.")
    mask = np.clip(mask, 0, 1)
    check_extent(mask, path)
    return mask


def check_extent(mask: np.ndarray, source: Path | str) -> None:
    """Raise FormatError if a mask from ``source`` is empty, or too small for a spectrum."""
    extent = float(np.sum(mask, dtype=np.float64))
    if extent < LEAST_VOXELS:
        raise FormatError(
            f"{source} is almost empty: its values sum to {extent:.4g} voxels, expected at least"
            f" {LEAST_VOXELS}. In so few voxels any two volumes agree: use a mask around the molecule or a part of"
            " it."
        )


def check_power(mask: np.ndarray, volumes: VolumeSource, states: Iterable[int], source: Path | str) -> None:
    """Raise FormatError if a mask from ``source`` contains too little of the true volume of every given state.

    Volumes are read one by one until one passes.
    """
    most = 0.0
    for state in states:
        squared = np.square(volumes.read(int(state)), dtype=np.float64)
        total = float(squared.sum())
        most = max(most, float((squared * np.square(mask, dtype=np.float64)).sum()) / total if total else 0.0)
        if most >= LEAST_POWER:
            return
    raise FormatError(
        f"{source} holds {most:.2g} of the power of the true volumes, expected at least {LEAST_POWER:g}: it is"
        " off the molecule. Is it of another data set, or in another frame? Use a mask around the molecule or a"
        " part of it."
    )


def check_fraction(mask: np.ndarray, halves: np.ndarray, source: Path | str) -> bool:
    """Raise FormatError if a mask from ``source`` contains too little of a consensus; False if undecidable.

    Parameters
    ----------
    mask
        (z, y, x) in [0, 1].
    halves
        (2, z, y, x) half-maps of the consensus, with independent noise, on the grid of the mask.
    """
    first, second = (half.ravel().astype(np.float64) for half in halves)
    if np.corrcoef(first, second)[0, 1] < LEAST_AGREEMENT:
        return False
    power, weight = first * second, np.square(mask.ravel(), dtype=np.float64)
    held = float((power * weight).sum() / power.sum())
    if held < LEAST_SHARE * float(weight.mean()):
        raise FormatError(
            f"{source} holds {max(held, 0):.2%} of the power of a consensus of the particles in {weight.mean():.2%}"
            f" of the box, expected at least {LEAST_SHARE * weight.mean():.2%}: it is off the molecule. Is it of"
            " another data set, or in another frame? Use a mask around the molecule or a part of it; if the mask is"
            " right, the poses or the hand of the particles are wrong."
        )
    return True
