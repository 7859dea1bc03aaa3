"""Fourier shell correlation of two volumes by CryoBench's published definition, and scores of the curve.

Both volumes are multiplied by the mask, if there is one, *before* the transform. With |k| in index units of a box
of D voxels, entry i ≥ 1 of the curve is the correlation over the shell i − 1 ≤ |k| < i, at i / D cycles per
pixel, and entry 0 is 1 by definition; entry 1 is hence the zero frequency alone, ±1, the sign of the mean
density. There are D // 2 entries, for odd D too. A score integrates the curve by the trapezoid rule.

Differences from the published code, and reasons:

* Signs are kept. The published scripts store curves clipped to [0, 1] but integrate |fsc| in one script and the
  clipped curve in another, so that an anticorrelated shell counts as a correlated one, or as 0.
* A shell in which exactly one volume has no power scores 0: the signal is missing. The published code
  gives 1 wherever the denominator is 0, which rewards a hard low-pass filter. Where *both* have no power they
  agree, and the published 1 is kept, so that a truth compared with itself is exactly 1. Two volumes without any
  power at all, such as within an empty mask, do not agree: every shell scores 0.
* A curve that never falls below a threshold is marked as such. The published code then reports 2 pixels.

Source: Jeon et al., CryoBench, NeurIPS 2024 (arXiv 2408.05526), and its code, metrics/fsc/utils/volumes.py.
Shell correlation: Harauz & van Heel, Optik 73 (1986) 146.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.fourier import fft_volume_from_corner
from cryobench.metrics.volumes.shell_products import shell_products

INVERTED = (
    "the volumes have inverted contrast relative to the true ones: the contrast of the images was read wrongly "
    "(cryobench adopt --contrast), or the imported maps have the opposite sign"
)
"""Likely cause of a negative correlation with the truth."""


@dataclass(frozen=True, eq=False)
class FscCurve:
    """Correlation shell by shell: D // 2 values for a box of D voxels."""

    values: Float[np.ndarray, "s"]
    """In [−1, 1]; the first is 1 by definition."""
    box_size: int

    @property
    def frequencies(self) -> Float[np.ndarray, "s"]:
        """Frequencies (s,) of the entries, in cycles per pixel: i / D."""
        return np.arange(len(self.values)) / self.box_size


class Resolution(NamedTuple):
    """Frequency, as wavelength, at which a curve falls below a threshold."""

    value: float
    """Å. If the curve never crossed, the finest resolution of the curve: the true value is at most this."""
    crossed: bool
    """False if the curve stayed at or above the threshold to its end: ``value`` is then censored."""


def fsc(
    volume: Float[np.ndarray, "z y x"],
    truth: Float[np.ndarray, "z y x"],
    mask: Float[np.ndarray, "z y x"] | None = None,
) -> FscCurve:
    """Fourier shell correlation of a volume with the true one.

    Parameters
    ----------
    volume, truth
        (z, y, x), cubes of equal size, even or odd, on the same grid and in the same frame.
    mask
        (z, y, x) multiplies both before the transform. None compares the whole boxes.

    Raises
    ------
    ValueError
        If the shapes differ, a volume is not a cube of at least 4 voxels a side, or a voxel is NaN or infinite.

    Examples
    --------
    A signal plus as much white noise correlates with the signal at 1/√2:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> truth, noise = rng.normal(size=(2, 32, 32, 32))
    >>> curve = fsc(truth + noise, truth)
    >>> round(float(curve.values[8:].mean()), 1), round(fsc_auc(curve, normalised=True), 1)
    (0.7, 0.7)
    """
    _check_pair(volume, truth, mask)
    return correlate(transform_masked(volume, mask), transform_masked(truth, mask), volume.shape[-1])


def fsc_auc(curve: FscCurve, *, normalised: bool = False) -> float:
    """Area under an FSC curve by the trapezoid rule, over frequency in cycles per pixel.

    This is the published score, whose largest value is (D // 2 − 1) / D, so 0.492 at 128 px, and not 1.
    ``normalised`` divides by that value: the score of a perfect volume is then exactly 1 at every box size.

    Examples
    --------
    >>> import numpy as np
    >>> perfect = FscCurve(np.ones(64), box_size=128)
    >>> round(fsc_auc(perfect), 3), fsc_auc(perfect, normalised=True)
    (0.492, 1.0)
    """
    area = float(np.sum((curve.values[1:] + curve.values[:-1]) / 2))
    return area / (len(curve.values) - 1) if normalised else area / curve.box_size


def resolution(curve: FscCurve, threshold: float, pixel_size: float) -> Resolution:
    """Resolution in Å: the wavelength of the first entry below ``threshold``, without interpolation.

    Entries 0 (1 by definition) and 1 (the zero frequency, ±1) carry no resolution information and are skipped.
    """
    below = np.flatnonzero(curve.values[2:] < threshold)
    entry = below[0] + 2 if len(below) else len(curve.values) - 1
    return Resolution(value=pixel_size * curve.box_size / float(entry), crossed=len(below) > 0)


def transform_masked(volume: np.ndarray, mask: np.ndarray | None) -> Tensor:
    """Half-spectrum of a volume times its mask, complex64, about voxel 0 (products of two equal centred ones)."""
    values = np.asarray(volume, dtype=np.float32)
    if mask is not None:
        values = values * np.asarray(mask, dtype=np.float32)
    return fft_volume_from_corner(torch.from_numpy(np.array(values) if not values.flags.writeable else values))


def correlate(volume_ft: Tensor, truth_ft: Tensor, box_size: int) -> FscCurve:
    """FSC curve of two half-spectra (z, y, h)."""
    cross, volume_power, truth_power = shell_products(volume_ft.numpy(), truth_ft.numpy())
    empty = (volume_power == 0) & (truth_power == 0)
    scale = np.sqrt(volume_power) * np.sqrt(truth_power)
    # Equal powers are divided by themselves, not by a product of two roots: identical volumes give exactly 1.
    scale = np.where(volume_power == truth_power, volume_power, scale)
    correlation = np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 0)
    correlation = np.where(empty, 0.0 if empty.all() else 1.0, np.clip(correlation, -1.0, 1.0))
    return FscCurve(values=np.concatenate([[1.0], correlation]), box_size=box_size)


def _check_pair(volume: np.ndarray, truth: np.ndarray, mask: np.ndarray | None) -> None:
    side = volume.shape[-1]
    if volume.shape != (side,) * 3 or side < 4:
        raise ValueError(f"an FSC needs cubic volumes of at least 4 voxels a side, got shape {volume.shape}.")
    for name, other in (("truth", truth), ("mask", mask)):
        if other is not None and other.shape != volume.shape:
            raise ValueError(
                f"the {name} has shape {other.shape} but the volume {volume.shape}: "
                "resample one onto the grid of the other."
            )
    for name, values in (("volume", volume), ("truth", truth)):
        if not np.isfinite(values).all():
            raise ValueError(f"the {name} holds NaN or infinite voxels: no FSC can be computed.")
