"""A rigid transform that aligns one volume to another, as a value that is applied to volumes."""

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
import torch
from jaxtyping import Float

from cryobench.volumes.rotate import MIRROR, rotate_volume

_ORTHONORMAL = 1e-6
_AnyVolumes = TypeVar("_AnyVolumes", torch.Tensor, np.ndarray)


@dataclass(frozen=True, eq=False)
class Alignment:
    """x_reference = R S x_volume + t, from the centre voxel ``n // 2``, S reversing z if ``mirrored``.

    Parameters
    ----------
    rotation
        R (3, 3), proper, acting on (x, y, z).
    shift
        t (3,), (x, y, z) in Å: translation of the volume after the rotation.
    mirrored
        Whether the volume has the other hand than the reference.
    score
        Mean Fourier shell correlation of the aligned volume and the reference over the shells used, within a soft
        envelope of both, or the mask given: 1 for equal volumes.
    other_hand_score
        The best score of the hand not chosen; None where it was not tried.
    pixel_size
        Å of the volumes it was computed from, and of those it is applied to unless given.

    Raises
    ------
    ValueError
        If R is not a rotation, the shift is not finite, or the pixel size is not positive.

    Examples
    --------
    A volume that must be translated by 3 Å along x, its z reversed first:

    >>> import numpy as np
    >>> alignment = Alignment(np.eye(3), np.array([3.0, 0.0, 0.0]), mirrored=True, score=1.0, pixel_size=1.5)
    >>> (alignment.matrix @ [1, 2, 4] + alignment.shift).tolist()
    [4.0, 2.0, -4.0]
    """

    rotation: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]
    mirrored: bool
    score: float
    other_hand_score: float | None = None
    pixel_size: float = 1.0

    def __post_init__(self) -> None:
        rotation = np.array(self.rotation, dtype=np.float64)
        shift = np.array(self.shift, dtype=np.float64)
        if rotation.shape != (3, 3) or not np.abs(rotation @ rotation.T - np.eye(3)).max() <= _ORTHONORMAL:
            raise ValueError(f"rotation must be an orthonormal 3 x 3 matrix, got {rotation.tolist()}.")
        if np.linalg.det(rotation) < 0:
            raise ValueError("rotation has determinant -1: give the proper rotation, and mirrored=True.")
        if shift.shape != (3,) or not np.isfinite(shift).all():
            raise ValueError(f"shift must be three finite numbers (x, y, z) in Å, got {shift.tolist()}.")
        if not self.pixel_size > 0:
            raise ValueError(f"pixel_size must be positive, got {self.pixel_size} Å.")
        for name, array in (("rotation", rotation), ("shift", shift)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def identity(cls, *, score: float, pixel_size: float = 1.0) -> Self:
        """The identity transform."""
        return cls(np.eye(3), np.zeros(3), False, score, None, pixel_size)

    @property
    def matrix(self) -> Float[np.ndarray, "3 3"]:
        """R S (3, 3), orthogonal: x_reference = matrix x_volume + shift, as for the coordinates of a model."""
        return self.rotation @ MIRROR if self.mirrored else self.rotation.copy()

    def apply(self, volumes: _AnyVolumes, *, pixel_size: float | None = None) -> _AnyVolumes:
        """One volume (z, y, x) or several (k, z, y, x) in the reference's frame, float32.

        ``pixel_size`` in Å defaults to that of the alignment. Frequencies with |k| ≥ n / 2 are dropped: see
        `rotate_volume`, whose errors also apply.
        """
        size = self.pixel_size if pixel_size is None else pixel_size
        options = {"pixel_size": size, "mirrored": self.mirrored}
        if isinstance(volumes, torch.Tensor):
            return rotate_volume(volumes, self.rotation, self.shift, **options)
        copy = torch.from_numpy(np.array(volumes, dtype=np.float32))
        return rotate_volume(copy, self.rotation, self.shift, **options).numpy()
