"""Truth volumes rendered on demand from a trajectory stored with the truth.

truth/topology.cif        names and elements of the atoms of every frame, with the positions of frame 0
truth/trajectory/NNN.xtc  positions: frame i is frame i mod n of file i // n, n = ``frames_per_file``
truth/volumes.json        number of frames, frames per file, and the grid and resolution of the volumes

A volume of 256 px takes 64 MB, a frame of 25,000 atoms 0.13 MB.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64

from cryobench._errors import FormatError
from cryobench.atoms.files.frames import XdrFile
from cryobench.atoms.files.structures import read_topology, write_structure
from cryobench.atoms.model import AtomicModel
from cryobench.data.plain import read_plain
from cryobench.fourier import crop_with_power
from cryobench.io.atomic import read_json, write_json
from cryobench.io.formats.xtc import round_positions, write_frames
from cryobench.volumes.render import render

FRAMES_PER_FILE = 250
"""Number of frames in each file except the last."""


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


@dataclass(frozen=True, kw_only=True)
class FrameRendering:
    """Content of DATASET/truth/volumes.json: how the volume of a frame is rendered."""

    kind: str = "rendered from truth/trajectory"
    n_frames: int
    frames_per_file: int = FRAMES_PER_FILE
    box_size: int
    pixel_size: float
    resolution: float
    oversampling: int
    solvent_density: float = 0.0


def write_rendering(folder: Path, rendering: FrameRendering) -> None:
    """Write DATASET/truth/volumes.json."""
    write_json(Path(folder) / "truth" / "volumes.json", asdict(rendering))


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
        content = read_json(path)
        try:
            self._rendering = read_plain(FrameRendering, content)
        except ValueError as error:
            raise FormatError(f"{path}: {error}. Restore it, or simulate the data set again.") from error
        self.folder = self._truth.parent
        """Folder of the data set."""
        self.box_size, self.pixel_size = self._rendering.box_size, self._rendering.pixel_size
        """Side of the volumes in voxels, and Å per voxel."""
        self.topology = read_topology(self._truth / "topology.cif")
        """Names and elements of the atoms, at the positions of frame 0."""
        n_parts = -(-len(self) // self._rendering.frames_per_file)
        paths = [self.folder / trajectory_path(part) for part in range(n_parts)]
        absent = [part.name for part in paths if not part.is_file()]
        if absent:
            raise FormatError(f"{self._truth / 'trajectory'} lacks {', '.join(absent)}. Copy the data set again.")
        last = len(self) - (n_parts - 1) * self._rendering.frames_per_file
        found = len(XdrFile(paths[-1]))
        if found != last:
            raise FormatError(f"{paths[-1]} holds {found} frames, but {path} says {last}. Copy the data set again.")

    def __len__(self) -> int:
        return self._rendering.n_frames

    def positions(self, index: int) -> Float64[np.ndarray, "a 3"]:
        """Atoms of one frame in Å; the origin is the centre of the box."""
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}.")
        part, frame = divmod(index, self._rendering.frames_per_file)
        path = self.folder / trajectory_path(part)
        positions = round_positions(next(XdrFile(path).read([frame])).positions)
        if len(positions) != len(self.topology):
            raise FormatError(
                f"{path} holds {len(positions)} atoms per frame, {self._truth / 'topology.cif'} "
                f"{len(self.topology)}. Copy the data set again."
            )
        return positions

    def read(self, index: int) -> np.ndarray:
        """Volume (z, y, x) float32 of one frame. FormatError if its file is damaged."""
        how = self._rendering
        density = render(
            self.topology.with_positions(self.positions(index)),
            self.box_size * how.oversampling,
            self.pixel_size / how.oversampling,
            how.resolution,
            solvent_density=how.solvent_density,
        )
        return crop_with_power(density, self.box_size)[0].numpy()
