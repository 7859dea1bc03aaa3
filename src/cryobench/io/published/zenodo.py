"""The published archives (Zenodo 11629428, 12528292, 14941494) as data sets, read without conversion.

Differences from the files of this package, and how they are handled:

* Images are −CTF × projection + noise, protein bright: ``sign = -1``. They are in the order of the structures.
* combined_poses.pkl is cryoDRGN's: our rotations, and shifts as fractions of the box that re-centre the particle.
* combined_ctfs.pkl describes the images before they were Fourier-cropped (256 px of 1.5 Å for images of 128 px): the
    pixel size of the images is that of the table, times its box size, divided by theirs. Headers of the stacks do not
    always state a pixel size and are ignored; a truth volume that states another causes a warning.
* The envelope exp(−B s² / 4) of the images, B = 100 Å² by default, is in no table and is not assumed.
* gt_latents.pkl holds the structure of each image. Other numbers in it are read as coordinates in conformation
  space, and the structure is then that of the image's stack.
* Truth volumes are NNN.mrc or NNN_NAME.mrc; their machine stamps, and those of the stacks, are zero. Those of
  Spike-MD are rendered from its trajectory on demand (``zenodo_frames``).
* Query particles are those of the published per-image FSC: every (n // 100)th.

An archive has no card, so one is made: ``sha256`` identifies the data set by the names and sizes of its files and the
content of its tables. Missing parts are missing truth, not an error. Nothing is written.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import FormatError
from cryobench._progress import Progress, show_megabytes
from cryobench.data import CollectiveVariable, Dataset, GroundTruth, Particles, VolumeSource
from cryobench.imaging.ctf import Ctf
from cryobench.io.adoption.masks import LEAST_VOXELS
from cryobench.io.adoption.stated_size import differs
from cryobench.io.atomic import canonical_json, read_json
from cryobench.io.formats.mrc import MrcFolder, MrcStacks, read_volume
from cryobench.io.formats.mrc_header import read_header
from cryobench.io.formats.npy import to_numbers
from cryobench.io.formats.pickles import read_pickle
from cryobench.io.programs import cryodrgn
from cryobench.io.programs.relion import read_star
from cryobench.io.published.unpack import crc32_of
from cryobench.io.published.zenodo_frames import PublishedFrames
from cryobench.io.published.zenodo_layout import Archive, leading_number, sort_naturally

SIGN = -1
N_QUERIES = 100
DOWNLOAD_NOTE = "download.json"
"""File written by ``cryobench download``: record, archive, and size and CRC-32 of every file."""

CITATION = "Jeon et al., CryoBench, NeurIPS 2024 Datasets and Benchmarks, arXiv:2408.05526"
_NAMES = {
    "igg1d": "igg-1d",
    "iggrl": "igg-rl",
    "ribosembly": "ribosembly",
    "tomotwin": "tomotwin-100",
    "spike": "spike-md",
}
_CIRCLE = "igg-1d"
"""The set whose states are equal steps of a full turn."""


@dataclass(frozen=True, eq=False)
class _Imaged:
    """Facts about the particles from the tables of an archive."""

    images: MrcStacks
    pixel_size: float
    ctf: Ctf
    poses: tuple[np.ndarray, np.ndarray] | None
    source: str
    """Source of the CTF, for the card."""


def load_archive(archive: Archive, folder: Path) -> Dataset:
    """Open a published archive. Tables are read now, images and truth volumes on demand.

    Parameters
    ----------
    archive
        Its parts (``zenodo_layout.find_archive``).
    folder
        Folder as given by the user: it becomes the path of the data set.

    Raises
    ------
    FormatError
        If tables, labels and stacks differ in length; a stack or volume is missing or damaged; a table is not a
        cryoDRGN pickle; or there is no CTF.

    Warns
    -----
    UserWarning
        If the truth volumes state another pixel size than the CTF table.
    """
    imaged = _read_images(archive)
    notes: list[str] = []
    name = _recognise(archive.root)
    volumes = _find_volumes(archive, imaged, notes)
    particles = Particles(
        images=imaged.images,
        pixel_size=imaged.pixel_size,
        ctf=imaged.ctf,
        rotations=None if imaged.poses is None else imaged.poses[0],
        shifts=None if imaged.poses is None else imaged.poses[1],
        sign=SIGN,
        mask=_read_mask(archive, imaged.images.box_size, notes),
    )
    truth = _read_truth(archive, imaged, volumes, circle=name == _CIRCLE)
    count = len(particles)
    card = {
        "name": name or archive.root.name,
        "title": archive.root.name,
        "citation": CITATION,
        "sources": "published archive, read directly",
        "images": archive.images.relative_to(archive.root).as_posix(),
        "ctf": imaged.source,
        "n_particles": count,
        "n_states": 0 if truth is None else truth.n_states,
        "box_size": particles.box_size,
        "pixel_size": imaged.pixel_size,
        "sign": SIGN,
        "poses": "withheld" if imaged.poses is None else "true",
        "notes": notes,
    }
    if (archive.root / DOWNLOAD_NOTE).exists():
        note = read_json(archive.root / DOWNLOAD_NOTE)
        card["download"] = {key: note[key] for key in ("record", "url", "archives") if key in note}
    card["sha256"] = _identify(archive, imaged.images, volumes)
    return Dataset(particles, truth, np.arange(0, count, max(1, count // N_QUERIES)), card, Path(folder).absolute())


def verify_archive(archive: Archive, progress: Progress | None = None) -> None:
    """Compare every byte of a downloaded archive with the checksums recorded on download.

    Raises
    ------
    FormatError
        With the names of files that differ or are missing; or if there are no checksums, because the archive was not
        unpacked by ``cryobench download``.
    """
    path = archive.root / DOWNLOAD_NOTE
    if not path.exists():
        raise FormatError(
            f"{archive.root} cannot be verified: it has no {DOWNLOAD_NOTE}, which cryobench download writes."
            " Published archives contain no checksums."
        )
    contents = read_json(path)["contents"]
    total = sum(entry["bytes"] for entry in contents.values())
    differing = []
    with show_megabytes(progress, "verifying", total) as shown:
        for name, entry in contents.items():
            if not _is_unchanged(archive.root / name, entry):
                differing.append(name)
            shown.add(entry["bytes"])
    if differing:
        raise FormatError(
            f"{archive.root}: {', '.join(differing)} differ from what was downloaded, or are missing. Remove the"
            " folder and download it again."
        )


def _is_unchanged(path: Path, entry: Mapping[str, Any]) -> bool:
    if not path.is_file() or path.stat().st_size != entry["bytes"]:
        return False
    if "crc32" in entry:
        return crc32_of(path) == entry["crc32"]
    algorithm, _, expected = str(entry["checksum"]).rpartition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm or "md5").hexdigest() == expected.lower()


def _read_images(archive: Archive) -> _Imaged:
    """Images with CTF and poses: from the pickles if complete, else from the STAR file alone."""
    if archive.ctf is not None and archive.stacks and (archive.poses is not None or archive.table is None):
        images = MrcStacks(archive.stacks)
        ctf, size, pixel_size = cryodrgn.read_ctf(archive.ctf, box_size=images.box_size)
        _check_count(archive.ctf, len(ctf), images, archive)
        poses = None
        if archive.poses is not None:
            poses = cryodrgn.read_poses(archive.poses, box_size=size, pixel_size=pixel_size)
            _check_count(archive.poses, len(poses[0]), images, archive)
        return _Imaged(images, pixel_size, ctf, poses, archive.ctf.name)
    if archive.table is None:
        raise FormatError(
            f"{archive.root} has no CTF: combined_ctfs.pkl is missing, and so is a .star file in {archive.images}."
            " Unpack the archive again."
        )
    particles = read_star(archive.table, datadir=archive.images, sign=SIGN)
    assert isinstance(particles.images, MrcStacks)
    poses = None
    if particles.rotations is not None and particles.shifts is not None:
        poses = (particles.rotations, particles.shifts)
    return _Imaged(particles.images, particles.pixel_size, particles.ctf, poses, archive.table.name)


def _check_count(path: Path, count: int, images: MrcStacks, archive: Archive) -> None:
    if count != len(images):
        raise FormatError(
            f"{path} describes {count:,} particles, but the {len(images.paths)} stacks in {archive.images} hold"
            f" {len(images):,} images. Parts of the archive are missing, or of another set: unpack it again."
        )


def _find_volumes(archive: Archive, imaged: _Imaged, notes: list[str]) -> MrcFolder | None:
    """Truth volumes of the images' box size, structure by structure."""
    size = imaged.images.box_size
    for folder in archive.volume_folders:
        paths = sort_naturally([path for path in folder.glob("*.mrc") if not path.name.startswith(".")])
        if read_header(paths[0]).shape[0] != size:
            notes.append(f"volumes in {folder.relative_to(archive.root).as_posix()} are not of {size} px: not used")
            continue
        _check_numbers(paths)
        volumes = MrcFolder(paths)
        stated = volumes.pixel_size
        if differs(stated, imaged.pixel_size):
            warnings.warn(
                f"{paths[0]} has voxels of {stated:.4g} Å, but {imaged.source} gives images of"
                f" {imaged.pixel_size:.4g} Å per pixel. The latter is used, with which the CTF was applied.",
                UserWarning,
                stacklevel=4,
            )
        return volumes
    return None


def _check_numbers(paths: list[Path]) -> None:
    """Refuse a gap in NNN.mrc: every later structure would get the wrong volume."""
    numbers = [leading_number(path) for path in paths]
    if all(number is None for number in numbers):
        return
    for place, (number, path) in enumerate(zip(numbers, paths, strict=True)):
        if number != place:
            raise FormatError(
                f"{path.parent} should hold one volume for each structure, counted from 000, but number {place:03d}"
                f" is {path.name}. Volumes are missing or were added: unpack the archive again."
            )


def _read_truth(archive: Archive, imaged: _Imaged, volumes: MrcFolder | None, *, circle: bool) -> GroundTruth | None:
    images = imaged.images
    states, coordinates = _read_labels(archive, images)
    if states is None:
        return None
    n_states = int(states.max()) + 1 if volumes is None else len(volumes)
    source: VolumeSource | None = volumes
    if source is None and archive.topology is not None and archive.trajectory is not None:
        grid = {"box_size": images.box_size, "pixel_size": imaged.pixel_size}
        source = PublishedFrames(archive.topology, archive.trajectory, n_states, **grid)
    if int(states.min()) < 0 or int(states.max()) >= n_states:
        raise FormatError(
            f"{archive.labels} names structures {states.min()} to {states.max()}, but there are volumes of"
            f" 0 to {n_states - 1}. Parts of the archive are missing, or of another set: unpack it again."
        )
    if coordinates is not None and len(coordinates) != len(states):
        coordinates = coordinates[states]
    variables = {}
    if circle and coordinates is None:
        turn = 2 * np.pi * states / n_states
        variables["turn"] = CollectiveVariable(turn, "rad", 2 * np.pi)
        coordinates = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return GroundTruth(
        states=states,
        volumes=source,
        rotations=None if imaged.poses is None else imaged.poses[0],
        shifts=None if imaged.poses is None else imaged.poses[1],
        embedding=coordinates,
        variables=variables,
        state_names=None if volumes is None else _names_of(volumes.paths),
    )


def _read_labels(archive: Archive, images: MrcStacks) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Structure of each image, and coordinates of each image or structure, if available."""
    by_stack = _numbers_of(images.paths)[images.file_index] if len(images.paths) > 1 else None
    if archive.labels is None:
        return by_stack, None
    values = to_numbers(read_pickle(archive.labels), archive.labels, "an array of numbers, one row per image")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or not np.isfinite(values).all():
        raise FormatError(f"{archive.labels} must hold an array of finite numbers, found shape {values.shape}.")
    if values.ndim == 1 and (values == np.round(values)).all():
        _check_count(archive.labels, len(values), images, archive)
        states = values.astype(np.int64)
        _check_stacks(states, images, archive)
        return states, None
    coordinates = values if values.ndim == 2 else values[:, None]
    if len(coordinates) != len(images.paths):
        _check_count(archive.labels, len(coordinates), images, archive)
    return by_stack, coordinates


def _numbers_of(stacks: tuple[Path, ...]) -> np.ndarray:
    """Structure of each stack: 12 for 012_particles_128.mrcs, its position among them if they have no numbers."""
    numbers = [leading_number(path) for path in stacks]
    known = [number for number in numbers if number is not None]
    return np.array(known if len(set(known)) == len(stacks) else range(len(stacks)), dtype=np.int64)


def _check_stacks(states: np.ndarray, images: MrcStacks, archive: Archive) -> None:
    """If each structure has its own stack, check that labels do not change within one, as in another order."""
    if len(images.paths) != len(np.unique(states)) or len(images.paths) == 1:
        return
    order = np.argsort(images.file_index, kind="stable")
    same_stack = np.diff(images.file_index[order]) == 0
    mixed = same_stack & (np.diff(states[order]) != 0)
    if mixed.any():
        path = images.paths[images.file_index[order[int(np.argmax(mixed))]]]
        raise FormatError(
            f"{archive.labels} gives the images of {path.name} to different structures, though there are as many"
            " stacks as structures: labels and images are in different orders. Unpack the archive again."
        )


def _names_of(paths: tuple[Path, ...]) -> tuple[str, ...] | None:
    """1bxn for 012_1bxn.mrc; None unless all have distinct names."""
    names = [re.sub(r"^\d+[_-]?", "", path.stem) for path in paths]
    return tuple(names) if all(names) and len(set(names)) == len(names) else None


def _read_mask(archive: Archive, box_size: int, notes: list[str]) -> np.ndarray | None:
    for path in archive.masks:
        relative = path.relative_to(archive.root).as_posix()
        size = read_header(path).shape[0]
        if size != box_size:
            notes.append(f"{relative} is of {size} px, the images are of {box_size} px: not used")
            continue
        mask, _ = read_volume(path)
        if mask.min() < -0.1 or mask.max() > 1.1:
            notes.append(f"{relative} has values from {mask.min():.3g} to {mask.max():.3g}: not a mask, not used")
            continue
        if mask.sum() < LEAST_VOXELS:
            notes.append(f"{relative} is almost empty ({mask.sum():.4g} voxels): not used")
            continue
        return np.clip(mask, 0, 1)
    return None


def _recognise(root: Path) -> str | None:
    """Name of the recipe whose published set is in a folder."""
    plain = re.sub(r"[^a-z0-9]", "", root.name.lower())
    return next((name for mark, name in _NAMES.items() if mark in plain), None)


def _identify(archive: Archive, images: MrcStacks, volumes: MrcFolder | None) -> str:
    """SHA-256 of the data set's contents: names and sizes of stacks and volumes, contents of tables."""
    large = [*images.paths, *(() if volumes is None else volumes.paths), *archive.masks]
    large += [path for path in (archive.trajectory, archive.topology) if path is not None]
    small = [path for path in (archive.poses, archive.ctf, archive.labels) if path is not None]
    if not small and archive.table is not None:
        small.append(archive.table)

    def name(path: Path) -> str:
        return path.relative_to(archive.root).as_posix() if path.is_relative_to(archive.root) else path.name

    found: dict[str, Any] = {name(path): path.stat().st_size for path in large}
    for path in small:
        with path.open("rb") as file:
            found[name(path)] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(canonical_json(found)).hexdigest()
