"""Blobs: the smooth bodies that make up the shape of a procedural complex.

A blob is a superellipsoid with a *depth* at every point: about the distance to its surface, negative inside. Space
is divided among blobs by depth, as by a Voronoi diagram: a point belongs to the blob whose surface it is
deepest below. If all surfaces grow by the same distance, neighbours meet in a wall and never overlap.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Blob:
    """|axesᵀ (x - centre) / radii| = 1 in the norm with this ``exponent``: 2 an ellipsoid, 4 a rounded brick.

    ``axes`` (3, 3) holds the unit axes as columns; ``centre`` and ``radii`` (3,) are in Å.
    """

    centre: Float[np.ndarray, "3"]
    axes: Float[np.ndarray, "3 3"]
    radii: Float[np.ndarray, "3"]
    exponent: float

    @property
    def reach(self) -> float:
        """Radius in Å of a ball about the centre that contains the blob."""
        return float(self.radii.max() * 3 ** (0.5 - 1 / self.exponent))

    def transformed(self, rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]) -> Self:
        """The blob at x' = rotation x + translation (Å)."""
        return replace(self, centre=rotation @ self.centre + translation, axes=rotation @ self.axes)

    def measure_depth(self, points: Float[np.ndarray, "p 3"]) -> Float[np.ndarray, " p"]:
        """Distance in Å to the surface, to first order in it; negative inside."""
        offset = points - self.centre
        scaled = np.abs(offset @ self.axes) / self.radii
        scaled = np.maximum(scaled, 1e-6)
        power = scaled ** (self.exponent - 1)
        norm = (power * scaled).sum(axis=1) ** (1 / self.exponent)
        slope = np.sqrt(((power / self.radii) ** 2).sum(axis=1)) * norm ** (1 - self.exponent)
        return (norm - 1) / slope


def measure_margin(
    points: Float[np.ndarray, "p 3"], depth: Float[np.ndarray, " p"], others: list[Blob], widest: float
) -> Float[np.ndarray, " p"]:
    """How much deeper points are in their own blob than in any other, in Å, at most ``widest``.

    ``depth`` is the points' depth in their own blob. The margin is about twice the distance to the wall.
    """
    margin = np.full(len(points), widest)
    for other in others:
        distance = np.sqrt(((points - other.centre) ** 2).sum(axis=1))
        near = np.flatnonzero(distance - other.reach < depth + widest)
        if len(near):
            margin[near] = np.minimum(margin[near], other.measure_depth(points[near]) - depth[near])
    return margin
