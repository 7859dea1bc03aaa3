"""Motion along latent axes over a projection of the map: arrows for a figure, and an animated picture.

Points are those with density, viewed along the direction that shows most of the motion. Arrows point from a point's
position at the low end of an axis to that at the high end.
"""

from dataclasses import dataclass

import numpy as np

from cryobench._sampling import spread_indices
from cryobench.data import Motion
from cryobench.report.colours import greys, png_link
from cryobench.report.findings.volumes import LARGEST_BOX, grey_range
from cryobench.report.surfaces import reduce_volume

MOST_POINTS = 160
LEAST_MASS = 0.05
"""Smallest mass of a point that is shown, as a fraction of the largest."""
MOST_AXES = 4
_PLANES = ((0, 1), (0, 2), (1, 2))
"""Coordinates (x, y, z) along columns and rows of a projection along z, y and x."""
_MARGIN = 3
"""Pixels of the picture beyond the outermost point."""
_SECONDS = 4.0


@dataclass(frozen=True, eq=False)
class MotionView:
    """Projection of the map, and paths of points over it for each latent axis."""

    picture: np.ndarray
    """(n, n), rows upwards, cropped to the points."""
    paths: np.ndarray
    """(a, f, m, 2) positions in px of the picture, (column, row)."""
    moved: np.ndarray
    """(a,) Å, root mean square of the density's displacement from one end of the axis to the other."""
    n_axes: int
    """Axes of the run, of which the first are shown."""
    direction: int
    """Index into ``PROJECTIONS``: the axis summed over, 0 for z."""


def view_motion(found: Motion) -> MotionView:
    """View of the first ``MOST_AXES`` axes of a run."""
    masses = np.asarray(found.masses, dtype=np.float64)
    displacements = np.asarray(found.displacements[:MOST_AXES], dtype=np.float64)
    ends = displacements[:, -1] - displacements[:, 0]
    fractions = masses / max(masses.sum(), 1e-30)
    moved = np.sqrt((np.square(ends).sum(axis=-1) * fractions).sum(axis=-1))
    seen = [(np.square(ends[..., plane]).sum(axis=-1) * fractions).sum() for plane in _PLANES]
    direction = int(np.argmax(seen))
    volume = reduce_volume(np.nan_to_num(np.asarray(found.volume, dtype=np.float32)), LARGEST_BOX)
    pixel_size = found.pixel_size * found.volume.shape[-1] / volume.shape[-1]
    chosen = _choose_points(masses)
    positions = found.points[chosen] + displacements[:, :, chosen]
    paths = positions[..., _PLANES[direction]] / pixel_size
    centre = volume.shape[-1] // 2
    reach = min(centre, int(np.abs(paths).max(initial=0)) + _MARGIN)
    shown = slice(centre - reach, centre + reach + 1)
    return MotionView(volume.sum(axis=direction)[shown, shown], paths + reach, moved, len(found.latents), direction)


def _choose_points(masses: np.ndarray) -> np.ndarray:
    """Indices of points with density, at most ``MOST_POINTS``, evenly spaced."""
    heavy = np.flatnonzero(masses > LEAST_MASS * masses.max()) if masses.max() > 0 else np.arange(len(masses))
    return heavy[spread_indices(len(heavy), MOST_POINTS, nearest=True)]


def animate_motion(view: MotionView, axis: int, colour: str) -> str:
    """SVG animation, without a script, of the points moving along an axis and back over the map."""
    size = view.picture.shape[-1]
    image = png_link(greys(view.picture, *grey_range(view.picture)))
    there = view.paths[axis] * [1, -1] + [0.5, size - 0.5]
    there_and_back = np.concatenate([there, there[-2::-1]])
    dots = []
    for path in there_and_back.transpose(1, 0, 2).round(2):
        along = (
            f'<animate attributeName="{name}" dur="{_SECONDS:g}s" repeatCount="indefinite" '
            f'values="{";".join(f"{value:g}" for value in values)}"/>'
            for name, values in (("cx", path[:, 0]), ("cy", path[:, 1]))
        )
        x, y = path[len(path) // 4]
        dots.append(f'<circle cx="{x:g}" cy="{y:g}" r="{size / 140:.2f}">{"".join(along)}</circle>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="360" height="360">'
        f'<image href="{image}" width="{size}" height="{size}"/>'
        f'<g fill="{colour}">{"".join(dots)}</g></svg>'
    )
