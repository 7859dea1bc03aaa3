"""The true volume of each state from a folder of maps, on the grid of the images.

States are in natural order of names. Job folders hold other maps too (a consensus, a mask, earlier iterations,
half-maps), which would shift the numbering, so more maps than states are accepted only if numbers in their names
identify the right ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from cryobench._errors import FormatError
from cryobench._text import list_some
from cryobench.data import Particles, VolumeSource
from cryobench.fourier import fourier_crop
from cryobench.io.adoption.stated_size import check_stated
from cryobench.io.formats.mrc import MrcFolder
from cryobench.io.formats.mrc_header import read_header
from cryobench.io.published.zenodo_layout import sort_naturally

SUFFIXES = (".mrc", ".map")
_SHOWN = 6


class _CroppedVolumes:
    """Volumes of a finer grid, Fourier-cropped to that of the images when read."""

    def __init__(self, volumes: MrcFolder, box_size: int) -> None:
        self._volumes, self.box_size = volumes, box_size

    def __len__(self) -> int:
        return len(self._volumes)

    def read(self, index: int) -> np.ndarray:
        volume = torch.from_numpy(self._volumes.read(index))
        return fourier_crop(volume, self.box_size, dimensions=3).numpy()


def open_state_volumes(folder: Path, particles: Particles, states: np.ndarray, notes: list[str]) -> VolumeSource:
    """Volume of each state from a folder, on the grid of the images.

    ``notes`` report cropping, and the assignment of files to states if names do not number them.

    Raises
    ------
    FormatError
        If there are fewer volumes than states, or more without it being clear which are meant, or their grid is
        neither that of the images nor finer by a whole factor.
    """
    volumes = MrcFolder(choose_volumes(list_volumes(folder), int(states.max(initial=-1)) + 1, folder, notes))
    size, pixel_size, box = particles.box_size, particles.pixel_size, volumes.box_size
    for path in volumes.paths:
        header = read_header(path)
        if header.shape[0] != box:
            raise FormatError(f"{path} has {header.shape[0]} voxels a side, but {volumes.paths[0]} has {box}.")
        if box % size == 0:
            check_stated(path, header.pixel_sizes[0], pixel_size * size / box)
    if box == size:
        return volumes
    if box % size:
        raise FormatError(
            f"the volumes in {folder} have {box} voxels a side, but the images have {size} px: only volumes on the"
            f" grid of the images, or finer by a whole factor, can be compared. Resample them onto {size} voxels of"
            f" {pixel_size:.4g} Å first."
        )
    notes.append(f"volumes Fourier-cropped from {box} to {size} voxels a side, {box // size} times coarser")
    return _CroppedVolumes(volumes, size)


def list_volumes(folder: Path) -> list[Path]:
    """The .mrc and .map files of a folder in natural order of their names. FormatError if there is none."""
    if folder.is_file():
        way = f": give {folder.parent}" if folder.suffix.lower() in SUFFIXES else ", one file each"
        raise FormatError(f"{folder} is a file, expected a folder of .mrc volumes{way}.")
    if not folder.is_dir():
        raise FormatError(f"{folder} does not exist, expected a folder with .mrc volumes.")
    paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    if not paths:
        packed = sorted(path.name for path in folder.glob("*.gz"))
        hint = f" Unpack {packed[0]} and the like." if packed else ""
        raise FormatError(f"{folder} holds no .mrc volumes (nor .map).{hint}")
    return sort_naturally(paths)


def choose_volumes(paths: Sequence[Path], n_states: int, folder: Path, notes: list[str]) -> list[Path]:
    """Maps of states 0, 1, 2, … among those of a folder, in natural order of names.

    All of them if their names number them (differ in one number only), or if there are as many as states; else the
    numbered ones, if there are as many as states and no other such group.

    Raises
    ------
    FormatError
        If there are fewer maps than states, or more without it being clear which are meant.
    """
    if len(paths) < n_states:
        raise FormatError(
            f"labels name the states 0 to {n_states - 1}, but {folder} holds {len(paths)} volumes"
            f" ({paths[0].name} to {paths[-1].name}). Give one per state, state 0 first; labels count from 0."
        )
    if _are_counted(paths):
        return list(paths)
    if len(paths) == n_states:
        if n_states > 1:
            notes.append(f"states are the volumes in the order of their names: {_list_states(paths)}")
        return list(paths)
    families: dict[str, list[Path]] = {}
    for path in paths:
        families.setdefault(re.sub(r"\d+(?=\D*$)", "#", path.stem), []).append(path)
    fitting = [family for family in families.values() if len(family) == n_states > 1 and _are_counted(family)]
    if len(fitting) != 1:
        raise FormatError(
            f"{folder} holds {len(paths)} volumes for {n_states} states, and their names do not show which are meant:"
            f" {_list_names(paths)}. Leave one per state in the folder, state 0 first."
        )
    others = [path for path in paths if path not in fitting[0]]
    notes.append(
        f"states are the volumes {_list_states(fitting[0])}; not used: {_list_names(others)}",
    )
    return fitting[0]


def _are_counted(paths: Sequence[Path]) -> bool:
    """Whether names differ in one number only, which numbers them one by one."""
    words = [re.split(r"(\d+)", path.stem) for path in paths]
    if len({len(each) for each in words}) > 1:
        return False
    columns = [list(column) for column in zip(*words, strict=True)]
    varying = [place for place, column in enumerate(columns) if len({_as_number(word) for word in column}) > 1]
    if len(paths) == 1:
        return True
    if len(varying) != 1 or varying[0] % 2 == 0:
        return False
    numbers = [int(word) for word in columns[varying[0]]]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _as_number(word: str) -> int | str:
    return int(word) if word.isdecimal() else word


def _list_states(paths: Sequence[Path]) -> str:
    return list_some([f"{state} = {path.name}" for state, path in enumerate(paths)], _SHOWN)


def _list_names(paths: Sequence[Path]) -> str:
    return list_some([path.name for path in paths], _SHOWN)
