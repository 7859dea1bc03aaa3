"""Parts of a data set that come from outside: particles in any form, a mask, true volumes, query particles.

Everything is brought to one grid, that of the images, or refused with what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from cryobench._errors import FormatError
from cryobench.data import GroundTruth, Particles, VolumeSource
from cryobench.fourier import fourier_crop
from cryobench.io.cryodrgn import read_ctf, read_poses
from cryobench.io.cryosparc import read_cs
from cryobench.io.masks import check_power, check_voxel_size, read_mask
from cryobench.io.mrc import MrcFolder, MrcStacks
from cryobench.io.mrc_header import read_header
from cryobench.io.relion import read_star
from cryobench.io.zenodo_layout import sort_naturally

BRIGHT: Literal[-1] = -1
"""Sign of stored images in which protein is bright, as most stacks on disk are."""


def read_particles(
    source: Path,
    *,
    passthrough: Sequence[Path],
    poses: Path | None,
    ctf: Path | None,
    shift_unit: Literal["fraction", "pixel"],
    datadir: Path | None,
    sign: Literal[1, -1] | None,
) -> Particles:
    """Particles of a RELION table, a cryoSPARC file, or stacks with cryoDRGN's pickles: see ``adopt``."""
    kind = source.suffix.lower()
    if kind == ".cs":
        return read_cs(source, passthrough=passthrough, datadir=datadir, sign=sign)
    sign = sign or BRIGHT
    if kind == ".star":
        return read_star(source, datadir=datadir, sign=sign)
    images = MrcStacks(_list_stacks(source, datadir) if kind == ".txt" else [source])
    if ctf is None:
        raise ValueError(f"{source} holds images alone: give their CTF too (ctf.pkl in cryoDRGN's form).")
    parameters, size, pixel_size = read_ctf(ctf, box_size=images.box_size)
    given = (None, None)
    if poses is not None:
        given = read_poses(poses, box_size=size, pixel_size=pixel_size, shift_unit=shift_unit)
    for path, part in ((ctf, parameters), (poses, given[0])):
        if part is not None and len(part) != len(images):
            raise FormatError(
                f"{path} describes {len(part)} particles, but {source} holds {len(images)} images. Use the pickle"
                " that was made for these images."
            )
    return Particles(images, pixel_size, parameters, *given, sign=sign)


def _list_stacks(source: Path, datadir: Path | None) -> list[Path]:
    """Stacks that a text file names, one a line, from its folder or ``datadir``."""
    try:
        names = [line.strip() for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{source} cannot be read as a list of stacks ({error}).") from error
    if not names:
        raise FormatError(f"{source} is empty, expected one stack a line.")
    return [(source.parent if datadir is None else datadir) / name for name in names]


def add_mask(particles: Particles, path: Path, truth: GroundTruth | None = None) -> Particles:
    """The same particles with the mask in a file. FormatError as ``masks.read_mask`` and ``masks.check_power``."""
    mask = read_mask(path, particles.box_size, particles.pixel_size)
    if truth is not None and truth.volumes is not None:
        check_power(mask, truth.volumes, np.unique(truth.states[truth.states >= 0]), path)
    return replace(particles, mask=mask)


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
    """The volume of each state in a folder, on the grid of the images; says in ``notes`` if they were cropped to it.

    Raises
    ------
    FormatError
        If there are fewer than states, or their grid is neither that of the images nor finer by a whole number.
    """
    volumes = MrcFolder(list_volumes(folder))
    if int(states.max()) >= len(volumes):
        raise FormatError(
            f"labels name the states 0 to {int(states.max())}, but {folder} holds {len(volumes)} volumes"
            f" ({volumes.paths[0].name} to {volumes.paths[-1].name}). One per state is needed, state 0 first."
        )
    size, pixel_size, box = particles.box_size, particles.pixel_size, volumes.box_size
    for path in volumes.paths:
        header = read_header(path)
        if header.shape[0] != box:
            raise FormatError(f"{path} has {header.shape[0]} voxels a side, but {volumes.paths[0]} has {box}.")
        if box % size == 0:
            check_voxel_size(path, header.pixel_sizes[0], pixel_size * size / box)
    if box == size:
        return volumes
    if box % size:
        raise FormatError(
            f"the volumes in {folder} have {box} voxels a side, but the images have {size} px: only volumes on the"
            f" grid of the images, or finer by a whole number, can be compared. Resample them onto {size} voxels of"
            f" {pixel_size:.4g} Å first."
        )
    notes.append(f"volumes Fourier-cropped from {box} to {size} voxels a side, {box // size} times coarser")
    return _CroppedVolumes(volumes, size)


def list_volumes(folder: Path) -> list[Path]:
    """The .mrc files of a folder in natural order of their names. FormatError if there is none."""
    if not folder.is_dir():
        raise FormatError(f"{folder} does not exist or is no folder, expected one .mrc volume per state in it.")
    paths = sort_naturally([path for path in folder.glob("*.mrc") if not path.name.startswith(".")])
    if not paths:
        raise FormatError(f"{folder} holds no .mrc volumes, expected one per state.")
    return paths


def read_queries(path: Path, n: int) -> np.ndarray:
    """Indices (q,) of query particles among n: one a line, perhaps below the line ``particle``, as in query.csv."""
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read as a list of query particles ({error}).") from error
    numbers = words[1:] if words[:1] == ["particle"] else words
    bad = [word for word in numbers if not (word.isdecimal() and int(word) < n)]
    if bad or not numbers:
        raise FormatError(
            f"{path} names the query particle {bad[0] if bad else 'none'!r}, expected indices of particles, 0 to"
            f" {n - 1}, one a line."
        )
    return np.array([int(word) for word in numbers], dtype=np.int64)
