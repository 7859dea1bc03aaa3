"""Slices and projections of the volumes a run found: components about their mean, volumes along a path, classes.

Molecules seldom vary in the central planes, so slices are the planes that contain most of the variance. Volumes
larger than ``LARGEST_BOX`` are Fourier-cropped to it. Rows of a picture (n, n) run upwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, zoom

from cryobench._sampling import spread_indices
from cryobench.data import ClassVolumes, Components
from cryobench.report.surfaces import reduce_volume, typical_density

LARGEST_BOX = 96
MOST_COMPONENTS = 4
MOST_FRAMES = 12
MOST_CLASSES = 12
OUTLINE = 0.25
"""Density at the outline of a molecule, as a fraction of the typical density inside it."""
PROJECTIONS = ("along z (columns x, rows y)", "along y (columns x, rows z)", "along x (columns y, rows z)")


@dataclass(frozen=True, eq=False)
class ComponentsView:
    """Mean and components of a run in the three planes that contain most of the variance."""

    mean: np.ndarray
    """(3, n, n) slices of the mean."""
    components: np.ndarray
    """(k, 3, n, n) slices of components times the standard deviation of the latents along each, in density."""
    variances: np.ndarray
    """(k,) variances of the latents."""
    n_components: int
    """Components of the run, of which the first are shown."""
    n_variances: int
    """Variances of the run, which may be more: not all components need be kept."""
    limit: float
    """Limit (±) of the common colour scale of the components."""
    edge: float
    """Density of the mean at which its outline is drawn."""


@dataclass(frozen=True, eq=False)
class FramesView:
    """Projections of an ordered series of volumes along the direction in which they differ most."""

    frames: np.ndarray
    """(f, n, n) projections."""
    differences: np.ndarray
    """(f, n, n) differences from their mean."""
    shown: np.ndarray
    """(f,) indices of these volumes in the series."""
    n_frames: int
    direction: int
    """Index into ``PROJECTIONS``: the axis summed over, 0 for z."""
    limit: float
    """Limit (±) of the colour scale of the differences."""


@dataclass(frozen=True, eq=False)
class ClassesView:
    """Class volumes in the three planes in which they differ most, the most populated first."""

    planes: np.ndarray
    """(k, 3, n, n) slices."""
    shown: np.ndarray
    """(k,) class numbers."""
    n_classes: int


def find_planes(variance: np.ndarray) -> tuple[int, int, int]:
    """Indices along z, y and x of the planes that contain most of a variance map (z, y, x)."""
    z, y, x = (int(variance.sum(axis=others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
    return z, y, x


def cut_planes(volume: np.ndarray, planes: tuple[int, int, int]) -> np.ndarray:
    """Three planes (3, n, n): xy at a z (rows y), xz at a y (rows z), yz at an x (rows z, columns y)."""
    z, y, x = planes
    return np.stack([volume[z], volume[:, y], volume[:, :, x]])


def view_components(found: Components) -> ComponentsView:
    """View of the first ``MOST_COMPONENTS`` components of a run."""
    deviations = found.deviations[:MOST_COMPONENTS].tolist()
    mean = _reduce(found.mean)
    volumes = np.stack(
        [deviation * _reduce(each) for deviation, each in zip(deviations, found.components, strict=False)]
    )
    planes = find_planes(np.square(volumes).sum(axis=0))
    slices = np.stack([cut_planes(volume, planes) for volume in volumes])
    return ComponentsView(
        mean=cut_planes(mean, planes),
        components=slices,
        variances=found.variances[:MOST_COMPONENTS],
        n_components=len(found.components),
        n_variances=len(found.variances),
        limit=_limit(slices),
        edge=OUTLINE * typical_density(mean),
    )


def view_frames(count: int, read: Callable[[int], np.ndarray]) -> FramesView:
    """View of at most ``MOST_FRAMES`` volumes (z, y, x) in order, including the first and the last."""
    shown = spread_indices(count, MOST_FRAMES, nearest=True)
    sums = np.stack([_project(_reduce(read(frame))) for frame in shown.tolist()], axis=1)
    direction = int(sums.var(axis=1).sum(axis=(1, 2)).argmax())
    frames = sums[direction]
    differences = frames - frames.mean(axis=0)
    return FramesView(frames, differences, shown, count, direction, _limit(differences))


def view_classes(found: ClassVolumes, n_particles: int | None = None) -> ClassesView:
    """View of at most ``MOST_CLASSES`` class volumes: the most populated, without empty classes."""
    populations = np.asarray(found.populations, dtype=np.float64)
    order = np.argsort(-populations, kind="stable")
    shown = order[~found.find_empty(n_particles)[order]][:MOST_CLASSES]
    reduced = [_reduce(found.volumes[number]) for number in shown.tolist()]
    if not reduced:
        return ClassesView(np.zeros((0, 3, 1, 1), np.float32), shown, len(populations))
    planes = find_planes(np.var(reduced, axis=0))
    return ClassesView(np.stack([cut_planes(volume, planes) for volume in reduced]), shown, len(populations))


def grey_range(pictures: np.ndarray) -> tuple[float, float]:
    """Black and white of density: white is the 99.9th percentile w of all pictures, black −0.3 w."""
    white = float(np.percentile(pictures, 99.9))
    if white <= 0:
        white = float(np.abs(pictures).max()) or 1.0
    return -0.3 * white, white


def find_outline(plane: np.ndarray, level: float, scale: int) -> np.ndarray:
    """Boolean outline (scale n, scale n), in an enlarged plane, of the region above a level."""
    above = zoom(plane, scale, order=1, grid_mode=True, mode="nearest") > level
    return above & ~binary_erosion(above)


def _project(volume: np.ndarray) -> np.ndarray:
    return np.stack([volume.sum(axis=axis) for axis in range(3)])


def _reduce(volume: np.ndarray) -> np.ndarray:
    return reduce_volume(np.nan_to_num(np.asarray(volume, dtype=np.float32)), LARGEST_BOX)


def _limit(values: np.ndarray) -> float:
    return float(np.percentile(np.abs(values), 99.9)) or float(np.abs(values).max()) or 1.0
