"""Truth volumes rendered on demand from a trajectory stored with the truth.

truth/topology.cif        names and elements of the atoms of every frame, with the positions of frame 0
truth/trajectory/NNN.xtc  positions: frame i is frame i mod n of file i // n, n = ``frames_per_file``
truth/volumes.json        number of frames, frames per file, and the grid and resolution of the volumes

A volume of 256 px takes 64 MB, a frame of 25,000 atoms 0.13 MB.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from cryobench._errors import FormatError
from cryobench.atoms.files.frames import XdrFile
from cryobench.atoms.files.structures import read_topology, write_structure
from cryobench.atoms.model import AtomicModel
from cryobench.fourier import crop_with_power
from cryobench.io.atomic import read_json, write_json
from cryobench.io.formats.xtc import round_positions, write_frames
from cryobench.volumes.render import render

FRAMES_PER_FILE = 250
"""Number of frames in each file except the last."""

_KEYS = ("n_frames", "frames_per_file", "box_size", "pixel_size", "resolution", "oversampling", "solvent_density")


def trajectory_path(part: int) -> Path:
    """File of the frames ``part * FRAMES_PER_FILE`` and following, within a data set."""
    return Path("truth", "trajectory", f"{part:03d}.xtc")


def write_topology(folder: Path, topology: AtomicModel) -> None:
    """Write DATASET/truth/topology.cif."""
    path = Path(folder) / "truth" / "topology.cif"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_structure(topology, path)


def write_trajectory_part(
    folder: Path, part: int, positions: Float[np.ndarray, "m a 3"]
) -> Float64[np.ndarray, "m a 3"]:
    """Write the frames of one file of DATASET/truth/trajectory; return them as rounded there, for imaging."""
    write_frames(Path(folder) / trajectory_path(part), positions)
    return round_positions(positions)


def write_volume_settings(
    folder: Path,
    *,
    n_frames: int,
    box_size: int,
    pixel_size: float,
    resolution: float,
    oversampling: int,
    solvent_density: float = 0.0,
) -> None:
    """Write DATASET/truth/volumes.json: how the volume of a frame is rendered."""
    settings = {
        "kind": "rendered from truth/trajectory",
        "n_frames": n_frames,
        "frames_per_file": FRAMES_PER_FILE,
        "box_size": box_size,
        "pixel_size": pixel_size,
        "resolution": resolution,
        "oversampling": oversampling,
        "solvent_density": solvent_density,
    }
    write_json(Path(folder) / "truth" / "volumes.json", settings)


def has_trajectory(folder: Path) -> bool:
    """Whether a data set's true volumes come from a trajectory."""
    return (Path(folder) / "truth" / "volumes.json").exists()


def list_trajectory_files(folder: Path) -> list[str]:
    """Trajectory files of the truth, relative to the data set."""
    parts = sorted((Path(folder) / "truth" / "trajectory").glob("[0-9]*.xtc"))
    return ["truth/topology.cif", "truth/volumes.json", *(f"truth/trajectory/{path.name}" for path in parts)]


class TrajectoryVolumes:
    """Volume of every frame of a data set's trajectory, as a ``VolumeSource``. Picklable; nothing is cached.

    Atoms are rendered on a grid ``oversampling`` times finer and Fourier-cropped, as `recipes.imaging.images` does
    for states that are kept as volumes.

    Raises
    ------
    FormatError
        If a file is missing or truncated, or its number of frames or atoms is inconsistent.
    """

    def __init__(self, folder: Path) -> None:
        self._truth = Path(folder).absolute() / "truth"
        path = self._truth / "volumes.json"
        settings = read_json(path)
        missing = [key for key in _KEYS if key not in settings]
        if missing:
            raise FormatError(f"{path} lacks {', '.join(missing)}. Restore it, or simulate the data set again.")
        self._settings = settings
        self._topology = read_topology(self._truth / "topology.cif")
        paths = [self._truth.parent / trajectory_path(part) for part in range(self._count_parts())]
        absent = [part.name for part in paths if not part.is_file()]
        if absent:
            raise FormatError(f"{self._truth / 'trajectory'} lacks {', '.join(absent)}. Copy the data set again.")
        last = len(self) - (len(paths) - 1) * self._settings["frames_per_file"]
        found = len(XdrFile(paths[-1]))
        if found != last:
            raise FormatError(f"{paths[-1]} holds {found} frames, but {path} says {last}. Copy the data set again.")

    def _count_parts(self) -> int:
        return -(-len(self) // int(self._settings["frames_per_file"]))

    @property
    def folder(self) -> Path:
        """Folder of the data set."""
        return self._truth.parent

    @property
    def box_size(self) -> int:
        """Side of the volumes in voxels."""
        return int(self._settings["box_size"])

    @property
    def pixel_size(self) -> float:
        """Å per voxel."""
        return float(self._settings["pixel_size"])

    @property
    def topology(self) -> AtomicModel:
        """Names and elements of the atoms, at the positions of frame 0."""
        return self._topology

    @property
    def settings(self) -> dict[str, Any]:
        """Content of volumes.json."""
        return dict(self._settings)

    def __len__(self) -> int:
        return int(self._settings["n_frames"])

    def positions(self, index: int) -> Float64[np.ndarray, "a 3"]:
        """Atoms of one frame in Å; the origin is the centre of the box."""
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}.")
        part, frame = divmod(index, int(self._settings["frames_per_file"]))
        path = self._truth.parent / trajectory_path(part)
        positions = round_positions(next(XdrFile(path).read([frame])).positions)
        if len(positions) != len(self._topology):
            raise FormatError(
                f"{path} holds {len(positions)} atoms per frame, {self._truth / 'topology.cif'} "
                f"{len(self._topology)}. Copy the data set again."
            )
        return positions

    def read(self, index: int) -> np.ndarray:
        """Volume (z, y, x) float32 of one frame. FormatError if its file is damaged."""
        fine = int(self._settings["oversampling"])
        density = render(
            self._topology.with_positions(self.positions(index)),
            self.box_size * fine,
            self.pixel_size / fine,
            float(self._settings["resolution"]),
            solvent_density=float(self._settings["solvent_density"]),
        )
        return crop_with_power(density, self.box_size)[0].numpy()
