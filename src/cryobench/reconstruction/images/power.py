"""Power of the images of a shard, summed over shards, and whether the images differ at all.

Both are judged on all particles together: a shard may contain one image many times, or blank ones, where the whole
set does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class ImagePower:
    """Power of some images."""

    count: int
    """Number of images."""
    total: np.ndarray
    """(radius + 1,) sum over the images of the mean |data|² of each shell."""
    first: np.ndarray
    """(radius + 1,) the same of the first image."""
    alike: bool
    """Whether every image has the power of the first."""

    @classmethod
    def of(cls, power: Float[np.ndarray, "m s"]) -> ImagePower:
        """Power of images with mean |data|² (m, radius + 1)."""
        return cls(len(power), power.sum(0), power[0], _are_alike(power, power[0]))

    def __add__(self, other: ImagePower) -> ImagePower:
        alike = self.alike and other.alike and _are_alike(other.first, self.first)
        return ImagePower(self.count + other.count, self.total + other.total, self.first, alike)

    def mean(self) -> Float[np.ndarray, " s"]:
        """(radius + 1,) mean |data|² of each shell: the noise power of a model without particle.

        At the zero frequency it is that of the background of the images, so that weighting by this power removes
        its influence. ValueError if a shell has no power, or all images are the same.
        """
        power = self.total / self.count
        if not (power[1:] > 0).all():
            raise ValueError("the images have no power at some frequencies: all pixels equal, or a blank stack.")
        if self.alike and self.count > 1:
            raise ValueError(
                f"all {self.count} particles have the same image, apart from shifts: there is no variation. "
                "Check the table's image names and the stack."
            )
        power[0] = max(power[0], power[1] * 1e-3)
        return power


def _are_alike(power: Float[np.ndarray, "*m s"], first: Float[np.ndarray, " s"]) -> bool:
    """Whether powers are equal up to rounding: a shift changes the rounding of an image's power."""
    return bool(np.isclose(power, first, 1e-4, 1e-6 * float(first.max())).all())
