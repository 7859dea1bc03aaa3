"""Central slices of reconstructed volumes beside their truth, on one grey scale.

The density of a reconstruction has no absolute scale and the FSC ignores it, so each volume is brought to the mean
and standard deviation of its truth before its slices are cut. Black and white are then those of the truth.
"""

import numpy as np

from cryobench.report.runs.queries import QueryVolumes

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


def slices_of(query: QueryVolumes) -> tuple[dict[str, np.ndarray], tuple[float, float]]:
    """Slices (3, n, n) by slug and the black and white they share.

    White is the 99.9th percentile w of the truth's slices and black −0.3 w; without truth, of the first volume's.
    """
    reference = query.reference
    slices = {slug: cut_slices(match_contrast(volume, reference)) for slug, volume in query.volumes.items()}
    white = float(np.percentile(cut_slices(reference), 99.9))
    if white <= 0:
        white = float(np.abs(reference).max()) or 1.0
    return slices, (-0.3 * white, white)
