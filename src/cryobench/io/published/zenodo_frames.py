"""Truth volumes of the published Spike-MD set, which come as a trajectory: frames are rendered on demand.

The archive holds a seed structure and the frames (XTC), because 100,000 volumes would be too large to publish. Its
authors make a volume of a frame as follows (CryoBench repository, cryosim/pdb2mrc.py): ChimeraX's molmap of the seed
at 3 Å defines a grid around it, 3 × 3 Å beyond its atoms on all sides; that grid is zero-padded to the box, with
(D − n) // 2 voxels before it; every frame's density is resampled on it. Here the density of the frame is computed
directly on the same grid, without the smoothing of the resampling.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from cryobench._errors import FormatError
from cryobench.atoms.files.frames import FrameFile, open_frames
from cryobench.atoms.files.structures import read_topology
from cryobench.volumes.render import render

RESOLUTION = 3.0
"""Resolution of molmap in Å."""
_MARGIN = 3
"""Margin of molmap's grid beyond the atoms, in resolutions."""


class PublishedFrames:
    """Volume of every frame of a published trajectory, as a ``VolumeSource``. Picklable.

    Opening reads only the seed; the trajectory is read with the first volume, which takes a while because its
    frames have to be located.

    Parameters
    ----------
    topology, trajectory
        Seed structure (PDB or mmCIF) and frames (XTC) of the same atoms.
    n_frames
        Expected number of frames.
    box_size, pixel_size
        Of the images, px and Å per pixel.

    Raises
    ------
    FormatError
        When a volume is read: if the trajectory is damaged, or differs from the seed in atoms or from ``n_frames``.
    """

    def __init__(self, topology: Path, trajectory: Path, n_frames: int, *, box_size: int, pixel_size: float) -> None:
        self._path, self._n_frames = Path(trajectory), n_frames
        self.box_size = box_size
        """Side of the volumes in voxels."""
        self.pixel_size = pixel_size
        """Å per voxel."""
        self._topology = read_topology(topology)
        self._topology_path = Path(topology)
        self._origin = seed_origin(self._topology.positions, box_size, pixel_size)
        self._frames: FrameFile | None = None

    def __len__(self) -> int:
        return self._n_frames

    def read(self, index: int) -> np.ndarray:
        """Volume (z, y, x) float32 of one frame."""
        if not 0 <= index < self._n_frames:
            raise IndexError(f"frame {index} of {self._n_frames}.")
        if self._frames is None:
            self._frames = self._open_frames()
        (frame,) = self._frames.read([index])
        model = self._topology.with_positions(frame.positions - self._origin)
        return render(model, self.box_size, self.pixel_size, RESOLUTION).numpy()

    def _open_frames(self) -> FrameFile:
        """The trajectory, after checking that it matches the seed and the images."""
        frames = open_frames(self._path)
        if frames.atoms != len(self._topology):
            raise FormatError(
                f"{self._path} holds {frames.atoms} atoms per frame, but its topology {self._topology_path} holds"
                f" {len(self._topology)}. They do not match: unpack the archive again."
            )
        if len(frames) != self._n_frames:
            raise FormatError(
                f"{self._path} holds {len(frames):,} frames, but there are images of {self._n_frames:,} structures."
                " It is truncated, or of another set: unpack the archive again."
            )
        return frames


def seed_origin(positions: Float64[np.ndarray, "a 3"], box_size: int, pixel_size: float) -> Float64[np.ndarray, "3"]:
    """(3,) position (x, y, z) of voxel ``box_size // 2`` of the published grid, in Å of the seed's file."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    margin = _MARGIN * RESOLUTION
    count = np.ceil((high - low + 2 * margin) / pixel_size).astype(int)
    before = (box_size - count) // 2
    return low - margin + (box_size // 2 - before) * pixel_size
