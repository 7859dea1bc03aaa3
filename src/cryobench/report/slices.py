"""Central slices of reconstructed volumes next to their truth, on one grey scale.

The density of a reconstruction has no absolute scale, and the FSC ignores it, so each volume is scaled to the mean
and standard deviation of its truth before its slices are cut. Black and white are then those of the truth.
"""

from collections.abc import Mapping

import numpy as np

PLANES = ("xy", "xz", "yz")


def match_contrast(volume: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The volume with the mean and standard deviation of the truth; a constant volume is only shifted."""
    deviation = float(volume.std())
    scale = float(truth.std()) / deviation if deviation > 0 else 1.0
    return (volume - volume.mean()) * scale + truth.mean()


def cut_slices(volume: np.ndarray) -> np.ndarray:
    """The three central planes (3, n, n): xy (rows y), xz (rows z), yz (rows z, columns y)."""
    middle = volume.shape[-1] // 2
    return np.stack([volume[middle], volume[:, middle], volume[:, :, middle]])


def match_slices(volumes: Mapping[str, np.ndarray], reference: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """Slices (3, n, n) of volumes by key, and their common white level w; black is −0.3 w.

    White is the 99.9th percentile of the slices of the reference: the truth, or the first volume where there is none.
    """
    slices = {key: cut_slices(match_contrast(volume, reference)) for key, volume in volumes.items()}
    white = float(np.percentile(cut_slices(reference), 99.9))
    if white <= 0:
        white = float(np.abs(reference).max()) or 1.0
    return slices, white
