"""A volume on another grid: other voxels, another box, the same centre voxel ``n // 2``.

Voxels change by cropping or padding the spectrum, which is exact for frequencies of both grids; this changes their
size by a ratio of integers only, so that the box is first padded until one comes close enough. The box then
changes by cropping or zero-padding in space.
"""

import numpy as np
import torch
from jaxtyping import Float

from cryobench.fourier import fourier_crop, fourier_pad

_TOLERANCE_PX = 0.02
"""Largest displacement of a voxel at the edge of the new box, by rounding of the ratio."""


def regrid_volume(
    volume: Float[np.ndarray, "z y x"], pixel_size: float, *, box_size: int, new_pixel_size: float
) -> Float[np.ndarray, "z2 y2 x2"]:
    """A volume (z, y, x) with voxels of ``pixel_size`` Å on a grid of ``box_size`` voxels of ``new_pixel_size`` Å.

    Values are kept, not integrals. ValueError if it is not cubic, or a size not positive.
    """
    if volume.ndim != 3 or len(set(volume.shape)) != 1 or box_size < 1:
        raise ValueError(f"expected a cubic volume and a box of 1 voxel or more, got {volume.shape} and {box_size}.")
    if not (pixel_size > 0 and new_pixel_size > 0):
        raise ValueError(f"pixel sizes must be positive, got {pixel_size} and {new_pixel_size} Å.")
    padded, resampled = _choose_sizes(len(volume), pixel_size / new_pixel_size, box_size)
    values = torch.from_numpy(_fit_box(np.array(volume, dtype=np.float32), padded))
    resample = fourier_crop if resampled <= padded else fourier_pad
    return _fit_box(resample(values, resampled, dimensions=3).numpy(), box_size)


def _choose_sizes(size: int, ratio: float, box_size: int) -> tuple[int, int]:
    """Box to pad to, and its size in new voxels: the smallest close enough, else the closest up to twice the size."""
    padded = np.arange(size, 2 * size + 1)
    resampled = np.maximum(np.round(padded * ratio), 1)
    errors = np.abs(resampled / (padded * ratio) - 1) * box_size / 2
    near = np.flatnonzero(errors <= _TOLERANCE_PX)
    chosen = near[0] if len(near) else np.argmin(errors)
    return int(padded[chosen]), int(resampled[chosen])


def _fit_box(values: Float[np.ndarray, "z y x"], box_size: int) -> Float[np.ndarray, "z2 y2 x2"]:
    """Crop or zero-pad in space about the centre voxel ``n // 2``."""
    size = len(values)
    if size == box_size:
        return values
    if size > box_size:
        start = size // 2 - box_size // 2
        part = slice(start, start + box_size)
        return np.ascontiguousarray(values[part, part, part])
    before = box_size // 2 - size // 2
    return np.pad(values, (before, box_size - size - before))
