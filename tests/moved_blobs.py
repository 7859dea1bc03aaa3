"""Volumes of Gaussian blobs, moved exactly: the blobs' centres are, and the volume is drawn anew."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from cryobench.volumes import Alignment

MIRROR = np.diag([1.0, 1.0, -1.0])


def invert(alignment):
    """The transform from the reference's frame to the volume's, with the same scores."""
    # x = S Rᵀ (x' − t), and S Rᵀ = (S Rᵀ S) S.
    back = alignment.matrix.T
    rotation = back @ MIRROR if alignment.mirrored else back
    score, other, size = alignment.score, alignment.other_hand_score, alignment.pixel_size
    return Alignment(rotation, -back @ alignment.shift, alignment.mirrored, score, other, size)


@dataclass(frozen=True, eq=False)
class Blobs:
    """Centres (b, 3), (x, y, z) in voxels from the centre voxel n // 2, with standard deviations and heights (b,)."""

    centres: np.ndarray
    widths: np.ndarray
    heights: np.ndarray

    def moved(self, matrix, shift):
        """The blobs at x' = matrix x + shift."""
        return replace(self, centres=self.centres @ np.asarray(matrix).T + shift)

    def joined(self, other):
        """Both sets."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("centres", "widths", "heights"))
        return Blobs(*(np.concatenate(pair) for pair in pairs))

    def draw(self, box_size):
        """Density (z, y, x), float32."""
        axis = np.arange(box_size) - box_size // 2
        along = np.exp(-((axis - self.centres[..., None]) ** 2) / (2 * self.widths[:, None, None] ** 2))
        return np.einsum("b,bz,by,bx->zyx", self.heights, along[:, 2], along[:, 1], along[:, 0]).astype(np.float32)


def scatter_blobs(rng, box_size, *, count=12):
    """Blobs without symmetry, within about a quarter of the box from its centre."""
    centres = np.clip(rng.normal(0.0, 0.1 * box_size, (count, 3)), -0.22 * box_size, 0.22 * box_size)
    widths = rng.uniform(0.03, 0.05, count) * box_size
    return Blobs(centres, np.maximum(widths, 1.5), rng.uniform(0.5, 1.5, count))


def draw_transform(rng, largest_shift, *, mirrored=None):
    """Rotation (3, 3), shift (3,) of at most that along each axis, and whether mirrored."""
    rotation = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    hand = bool(rng.integers(2)) if mirrored is None else mirrored
    return rotation, rng.uniform(-largest_shift, largest_shift, 3), hand


def add_noise(volume, snr, rng):
    """The volume with white noise of its variance over all voxels divided by ``snr``."""
    return (volume + rng.normal(0.0, np.sqrt(volume.var() / snr), volume.shape)).astype(np.float32)


def angle_between(first, second):
    """Degrees of the rotation from one to the other."""
    return np.rad2deg(np.linalg.norm(Rotation.from_matrix(first @ second.T).as_rotvec()))
