"""Soft masks, with a record of their origin.

A mask is 1 inside, 0 outside and falls with the cosine (1 + cos(π t)) / 2 over its edge. Distances are Euclidean,
in Å, from the nearest voxel of the binary shape.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage

from cryobench._types import Volume


@dataclass(frozen=True, eq=False)
class Mask:
    """Mask values with their origin.

    ``sha256`` is the hash of the values' bytes (float32, little endian, z slowest).

    Parameters
    ----------
    values
        (z, y, x) float32 in [0, 1].
    pixel_size
        Å.
    recipe
        Its origin: the function's name and every parameter, as numbers and text that JSON can hold.

    Raises
    ------
    ValueError
        If a value is outside [0, 1] or the mask is empty.
    """

    values: Volume
    pixel_size: float
    recipe: Mapping[str, object]
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        array = np.ascontiguousarray(self.values.detach().cpu().numpy(), dtype="<f4")
        if not (array.min() >= 0 and array.max() <= 1):
            raise ValueError(f"mask values must be in [0, 1], got {array.min()} to {array.max()}.")
        if array.max() == 0:
            raise ValueError("the mask is zero everywhere: lower the threshold or enlarge the radius.")
        object.__setattr__(self, "sha256", hashlib.sha256(array.tobytes()).hexdigest())


def make_largest_sphere(box_size: int, diameter: float = 1.0) -> Volume:
    """Soft sphere (z, y, x) that fits the box, or of ``diameter`` boxes, its edge a tenth of the radius wide.

    Nothing is expected beyond it, and the correction for the interpolation kernel raises noise towards the corners.
    """
    radius = diameter * box_size / 2
    axis = np.arange(box_size) - box_size // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    return torch.from_numpy(_fall(distance - 0.9 * radius, 0.1 * radius)).float()


def make_soft_mask(
    volumes: Volume | Iterable[Volume],
    pixel_size: float,
    *,
    threshold: float | None = None,
    enclosed_mass: float = 0.95,
    dilation: float = 6.0,
    edge: float = 9.0,
) -> Mask:
    """Union of the regions above a density threshold in one or many volumes, dilated, with a soft edge.

    Parameters
    ----------
    volumes
        One volume (z, y, x) or any iterable of them, taken one at a time.
    pixel_size
        Å.
    threshold
        Density level, the same for all volumes. None: each volume's own level, such that the voxels at or above
        it hold ``enclosed_mass`` of that volume's positive density (molmap's default display). This needs no
        tuning to a volume's scale, and a state of small mass is not lost next to a large one.
    enclosed_mass
        Fraction in (0, 1), used when ``threshold`` is None.
    dilation, edge
        Å by which the region grows, and over which the mask then falls from 1 to 0.

    Raises
    ------
    ValueError
        If a parameter is out of range, nothing lies above the threshold, there is no volume, or volumes differ in
        shape or are not finite.
    """
    if not 0 < enclosed_mass < 1 or dilation < 0 or edge < 0:
        raise ValueError(
            "enclosed_mass must be between 0 and 1, dilation and edge at least 0, got "
            f"{enclosed_mass}, {dilation} Å and {edge} Å."
        )
    union: np.ndarray | None = None
    levels: list[float] = []
    for volume in [volumes] if isinstance(volumes, torch.Tensor) else volumes:
        array = volume.detach().cpu().numpy()
        if union is not None and union.shape != array.shape:
            raise ValueError(f"volumes of one mask must have one shape, got {union.shape} and {array.shape}.")
        if not np.isfinite(array).all():
            raise ValueError(f"volume {len(levels)} holds values that are not finite.")
        level = find_enclosing_level(array, enclosed_mass) if threshold is None else threshold
        above = array >= level
        union = above if union is None else union | above
        levels.append(float(level))
    if union is None:
        raise ValueError("a mask needs at least one volume, got none.")
    if not union.any():
        raise ValueError(f"no voxel of the {len(levels)} volumes reaches the threshold {threshold}: lower it.")
    recipe = {
        "made_by": "make_soft_mask",
        "volumes": len(levels),
        "threshold": threshold,
        "enclosed_mass": enclosed_mass if threshold is None else None,
        "levels": [min(levels), max(levels)],
        "dilation": dilation,
        "edge": edge,
    }
    return Mask(torch.from_numpy(_soften(union, pixel_size, dilation, edge)), pixel_size, recipe)


def find_enclosing_level(density: Float[np.ndarray, "z y x"], enclosed_mass: float) -> float:
    """Density level at or above which lies at least a given fraction of the positive density."""
    positive = np.sort(density[density > 0])[::-1]
    if len(positive) == 0:
        raise ValueError("the volume has no positive density to make a mask from.")
    mass = np.cumsum(positive, dtype=np.float64)
    return float(positive[np.searchsorted(mass, enclosed_mass * mass[-1])])


def _soften(
    region: Bool[np.ndarray, "z y x"], pixel_size: float, dilation: float, edge: float
) -> Float[np.ndarray, "z y x"]:
    """Dilate a binary region and add a soft edge, working only on the box around it that can change."""
    if dilation + edge == 0:
        return region.astype(np.float32)
    margin = int(np.ceil((dilation + edge) / pixel_size)) + 1
    window = tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, size in zip(ndimage.find_objects(region.astype(np.int8))[0], region.shape, strict=True)
    )
    distance = np.asarray(ndimage.distance_transform_edt(~region[window], sampling=pixel_size))
    values = np.zeros(region.shape, dtype=np.float32)
    values[window] = _fall(distance - dilation, edge)
    return values


def _fall(distance: Float[np.ndarray, "z y x"], edge: float) -> Float[np.ndarray, "z y x"]:
    """1 where the distance (Å) is not positive, 0 beyond ``edge``, a cosine between."""
    if edge == 0:
        return (distance <= 0).astype(np.float32)
    return (0.5 + 0.5 * np.cos(np.pi * np.clip(distance / edge, 0.0, 1.0))).astype(np.float32)
