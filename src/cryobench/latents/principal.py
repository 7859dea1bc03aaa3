"""Principal axes of latents, and traversals along one of them.

The axes are those of the covariance of the latents: these are centred, and not whitened, so that distances
along the axes are distances of latents. A traversal goes between two percentiles of the coordinates along an
axis, through the mean of the latents, with the other coordinates at their mean.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """A mean and the orthonormal axes of largest variance about it."""

    mean: Float[np.ndarray, "d"]
    axes: Float[np.ndarray, "k d"]
    """Of unit length, by descending variance; the largest entry of each is positive."""
    variances: Float[np.ndarray, "k"]
    """Variances of the latents along them, with divisor n − 1."""

    def project(self, latents: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
        """Coordinates of latents along the axes."""
        return (latents - self.mean) @ self.axes.T

    def walk(
        self, latents: Float[np.ndarray, "n d"], number: int, percentiles: tuple[float, float], n_points: int
    ) -> tuple[Float[np.ndarray, "f d"], Float[np.ndarray, "f"]]:
        """Points on axis ``number``, from 0, between two percentiles of latents along it, and their coordinates.

        ValueError if there is no such axis.
        """
        if not 0 <= number < len(self.axes):
            raise ValueError(
                f"axis {number + 1} does not exist: these latents have the principal axes 1 to {len(self.axes)}."
            )
        low, high = np.percentile(self.project(latents)[:, number], percentiles)
        along = np.linspace(low, high, n_points)
        return self.mean + along[:, None] * self.axes[number], along


def principal_axes(latents: Float[np.ndarray, "n d"]) -> PrincipalAxes:
    """The min(n, d) principal axes of finite latents, by a singular value decomposition in float64."""
    latents = np.asarray(latents, dtype=np.float64)
    mean = latents.mean(axis=0) if len(latents) else np.zeros(latents.shape[1])
    _, singular, axes = np.linalg.svd(latents - mean, full_matrices=False)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return PrincipalAxes(mean, axes * np.where(largest < 0, -1, 1), singular**2 / max(len(latents) - 1, 1))
