"""Diagnostics of found poses: shifts at the border of the search range, and views that leave frequencies unseen."""

import numpy as np
from jaxtyping import Float, Int

from cryobench._types import RotationArray
from cryobench.imaging.shift_scores import ShiftGrid
from cryobench.rng import stream

_BORDER_SHARE = 0.05
"""Fraction of the particles at the border of the shifts from which it is reported."""
_LEAST_SEEN, _FEWEST = 0.1, 100
"""Fraction of the mean number of images per direction below which it counts as missing; least number of images."""
_DIRECTIONS = 400


def judge_shifts(shifts: Float[np.ndarray, "n 2"], grid: ShiftGrid, pixel_size: float) -> list[str]:
    """A sentence if many shifts (n, 2), in px, are at the border of a grid; else nothing.

    Uniform shifts fill half a cell at each border, one of ``count`` cells of each axis: only an excess is reported.
    """
    if grid.extent == 0 or grid.count < 3:
        return []
    at_border = (np.abs(shifts) > grid.extent - grid.spacing / 2).any(axis=1).mean()
    expected = 1 - (1 - 1 / grid.count) ** 2
    if at_border < max(_BORDER_SHARE, 1.5 * expected):
        return []
    return [
        f"{at_border:.0%} of the particles are at the border of the searched shifts, "
        f"±{grid.extent * pixel_size:.0f} Å: raise shift_range, or centre the particles."
    ]


def judge_views(rotations: RotationArray, classes: Int[np.ndarray, "n"], radius: int) -> list[str]:
    """A sentence for every class whose views leave directions of its spectrum nearly unseen.

    An image contains the plane perpendicular to its view; a direction is seen by the images whose plane contains it.
    """
    directions = stream(0, "directions of the judgement").standard_normal((_DIRECTIONS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sentences = []
    for index in np.unique(classes):
        views = rotations[classes == index, 2]
        if len(views) < _FEWEST:
            continue
        # A direction is seen if the plane of the image is within an index unit of it at the radius, or 5 % of that.
        seen = (np.abs(directions @ views.T) < max(1 / radius, 0.05)).mean(1)
        missing = float((seen < _LEAST_SEEN * seen.mean()).mean())
        if missing > 0.02:
            of_class = f" of class {index}" if classes.any() else ""
            sentences.append(
                f"The views{of_class} leave {missing:.0%} of the directions of its spectrum nearly unseen: "
                "the particles prefer some views, or the search ended in a wrong solution."
            )
    return sentences
