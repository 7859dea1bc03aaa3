"""Maps of other programs at the query particles: assignment of files, and resampling to the data set's grid.

Files are assigned to query particles by the number in their names, in this order of trust: a table of names; the
index of the particle; a count of the query particles, from 0 or from 1. Maps of classes or states are assigned by
each particle's class. The voxel size in the header of a map is often wrong (many programs write 1 Å), so a map of
another box is taken to cover the same extent as the images, unless its header states otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryobench._errors import FormatError
from cryobench._progress import Progress
from cryobench._text import list_some
from cryobench.check.inspections.references import AGREES, compare_in_place, judge_references, mean_map
from cryobench.data import Particles
from cryobench.io.adoption.state_volumes import list_volumes
from cryobench.io.adoption.stated_size import are_unequal, differs
from cryobench.io.formats.csv_table import read_csv_table
from cryobench.io.formats.mrc import MrcFolder, read_volume
from cryobench.io.formats.mrc_header import read_header
from cryobench.reconstruction.statistics import draw_consensus
from cryobench.volumes import mirror_volume
from cryobench.volumes.regrid import regrid_volume

TABLE = "volumes.csv"
"""File in a folder of maps that lists which belongs to which particle."""
_GAIN = 0.2
"""Gain in correlation by which an alignment shows that maps are in another frame."""


@dataclass(frozen=True, eq=False)
class ForeignMaps:
    """Maps in files, resampled to a grid when read, as a ``VolumeSource``."""

    paths: tuple[Path, ...]
    """One per item; some may be equal."""
    voxel_size: float
    """Å, of the files."""
    box_size: int
    pixel_size: float
    """Å, of the grid."""
    inverted: bool = False
    """Whether contrast is inverted."""
    mirrored: bool = False
    """Whether the hand is inverted, by reversing z."""

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> np.ndarray:
        """Volume (z, y, x) float32."""
        volume, _ = read_volume(self.paths[index])
        if len(volume) != self.box_size or are_unequal(self.voxel_size, self.pixel_size):
            volume = regrid_volume(volume, self.voxel_size, box_size=self.box_size, new_pixel_size=self.pixel_size)
        if self.mirrored:
            volume = mirror_volume(volume)
        return -volume if self.inverted else volume


def place_maps(
    paths: Sequence[Path],
    particles: Particles,
    notes: list[str],
    *,
    voxel_size: float | None = None,
    inverted: bool = False,
    mirrored: bool = False,
) -> ForeignMaps:
    """Maps, one per item, on the grid of the particles; ``notes`` receive the conversions.

    Parameters
    ----------
    voxel_size
        Å, if given explicitly; None to use box and headers.

    Raises
    ------
    FormatError
        If a file is not a cubic map, boxes differ, or a voxel is NaN or infinite.
    ValueError
        If a given voxel size is not positive.
    """
    if voxel_size is not None and not voxel_size > 0:
        raise ValueError(f"--voxel-size must be positive, in Å, got {voxel_size:g}.")
    box = MrcFolder(paths[:1]).box_size
    for path in dict.fromkeys(paths):
        header = read_header(path)
        if set(header.shape) != {box}:
            raise FormatError(f"{path} has {header.shape} voxels, and {paths[0]} {box} a side: expected equal boxes.")
        wrong = int(np.count_nonzero(~np.isfinite(read_volume(path)[0])))
        if wrong:
            raise FormatError(f"{path}: {wrong:,} of {box**3:,} voxels are NaN or infinite. Write the map again.")
    stated = read_header(paths[0]).pixel_sizes[0]
    size, pixel_size = particles.box_size, particles.pixel_size
    extent = size * pixel_size / box
    if voxel_size is None:
        voxel_size = stated if box != size and differs(stated, extent) else extent
        if voxel_size != stated and differs(stated, voxel_size):
            notes.append(
                f"headers of the maps state voxels of {stated:.4g} Å, ignored: on the box of the images they have "
                f"{voxel_size:.4g} Å. If the header is right, give --voxel-size {stated:.4g}."
            )
    if box != size or are_unequal(voxel_size, pixel_size):
        notes.append(
            f"maps of {box} voxels of {voxel_size:.4g} Å are resampled in Fourier space to {size} of "
            f"{pixel_size:.4g} Å."
        )
    for done, what in ((inverted, "contrast"), (mirrored, "hand")):
        if done:
            notes.append(f"the {what} of the maps was inverted, as requested.")
    return ForeignMaps(tuple(paths), voxel_size, size, pixel_size, inverted, mirrored)


def choose_by_query(folder: Path, queries: np.ndarray, notes: list[str]) -> list[Path]:
    """Map of each query particle in a folder, by the numbers in the file names.

    FormatError if the assignment is unclear.
    """
    if (folder / TABLE).exists():
        return _by_table(folder / TABLE, queries)
    paths = list_volumes(folder)
    numbers = [_last_number(path) for path in paths]
    by_number: dict[int, list[Path]] = {}
    for path, number in zip(paths, numbers, strict=True):
        if number is not None:
            by_number.setdefault(number, []).append(path)
    single = {number: found[0] for number, found in by_number.items() if len(found) == 1}
    if all(int(query) in single for query in queries):
        if len(paths) > len(queries):
            notes.append(
                f"{len(paths) - len(queries)} maps in {folder.name} belong to no query particle and are not used."
            )
        return [single[int(query)] for query in queries]
    for first in (0, 1):
        if sorted(single) == list(range(first, first + len(queries))) and len(paths) == len(queries):
            notes.append(
                f"maps are assigned to the query particles in order, counted from {first}: {paths[0].name} to "
                f"particle {queries[0]}, {paths[-1].name} to particle {queries[-1]}."
            )
            return [single[first + place] for place in range(len(queries))]
    missing = [query for query in queries.tolist() if query not in by_number]
    why = "their names do not identify particles"
    if 0 < 2 * len(missing) < len(queries):
        why = f"none has the number of query particle {missing[0]} ({len(missing)} have no map)"
    raise FormatError(
        f"{folder} holds {len(paths)} maps ({paths[0].name} to {paths[-1].name}) for {len(queries)} query "
        f"particles, and {why}. Name each by its particle ({queries[0]:06d}.mrc), count in the order of "
        "DATASET/query.csv, or list them in a file volumes.csv with the columns particle and file."
    )


def choose_by_class(folder: Path, classes: np.ndarray, labels: np.ndarray, notes: list[str]) -> list[Path]:
    """Map of each query particle's class (q,) in a folder; ``labels`` (k,), sorted, are the classes with particles.

    Maps of other classes, without particles, are not used. FormatError if file names do not count the classes.
    """
    paths = list_volumes(folder)
    numbered = {number: path for path in paths if (number := _last_number(path)) is not None}
    first, count = min(numbered, default=0), len(labels)
    without_gaps = sorted(numbered) == list(range(first, first + len(paths))) and first <= 1
    if without_gaps and len(paths) == count:
        numbers = first + np.arange(count)
    else:
        # Labels count from 0 or 1, the maps from ``first``; or a map was removed with its empty class.
        steps = (first, first - 1) if without_gaps else (-1, 0, 1)
        fitting = [step for step in steps if _are_maps_of(labels + step, numbered, whole=not without_gaps)]
        if len(numbered) != len(paths) or len(fitting) != 1:
            raise FormatError(
                f"{folder} holds {len(paths)} maps ({list_some([path.name for path in paths], 5)}) for the classes "
                f"{list_some([str(label) for label in labels.tolist()], 8)}: expected one each, counted by the last "
                "number in its name. Leave only those of classes with particles."
            )
        numbers = labels + fitting[0]
    notes.append(
        f"the map of a particle is that of its class; class {labels[0]} is {numbered[int(numbers[0])].name}."
    )
    return [numbered[number] for number in numbers[np.searchsorted(labels, classes)].tolist()]


def _are_maps_of(numbers: np.ndarray, numbered: Collection[int], *, whole: bool) -> bool:
    """Whether there is a map of each of these numbers; ``whole``: and no other one."""
    wanted = set(numbers.tolist())
    return wanted == set(numbered) if whole else wanted <= set(numbered)


def judge_maps(maps: ForeignMaps, particles: Particles, progress: Progress | None = None) -> list[str]:
    """Contrast, hand and frame of maps as judged by the images, in sentences; nothing is changed.

    The mean of the maps is compared with half-maps of the images at their given poses, and aligned to them if it does
    not agree as it is. Empty where poses are withheld.
    """
    if particles.rotations is None or not len(maps):
        return []
    halves = draw_consensus(particles, progress)
    size = halves.shape[-1]
    reference = mean_map(maps, particles, size)
    found = compare_in_place(halves, reference)
    in_place, notes = max(abs(found.as_it_is), abs(found.mirrored)), []
    inverted, mirrored = found.is_inverted, found.is_mirrored
    if in_place < AGREES:
        voxel_size = particles.box_size * particles.pixel_size / size
        judged = judge_references(halves, reference, voxel_size, always_align=False)
        moved = judged.aligned
        if moved is not None and max(moved.same_hand, moved.other_hand) > in_place + _GAIN:
            inverted, mirrored = judged.inverted, False
            hand = ", mirrored," if judged.hand == "other" else ""
            aligned = max(moved.same_hand, moved.other_hand)
            notes.append(
                "the maps are not in the frame of the given poses: their mean correlates with the images at "
                f"{found.as_it_is:.2f}, and{hand} at {aligned:.2f} after a rotation by {moved.angle:.0f}° and a "
                f"shift by {moved.shift:.0f} Å. Score the run with --align reconstruction, or correct the axes, the "
                "hand or the voxel size (--voxel-size) of the maps."
            )
    for wrong, done, what, option in (
        (inverted, maps.inverted, "inverted", "--invert"),
        (mirrored, maps.mirrored, "mirrored", "--mirror"),
    ):
        if wrong:
            way = f"leave out {option}" if done else f"give them to import files --volumes with {option}"
            notes.append(f"the maps look {what}: {found.evidence}. If so, {way}.")
    return notes


def _last_number(path: Path) -> int | None:
    found = re.findall(r"\d+", path.stem)
    return int(found[-1]) if found else None


def _by_table(path: Path, queries: np.ndarray) -> list[Path]:
    columns = read_csv_table(path, "a list of maps with the columns particle and file").columns()
    if not {"particle", "file"} <= set(columns):
        raise FormatError(f"{path} has the columns {', '.join(columns) or 'none'}, expected particle and file.")
    named: dict[int, str] = {}
    for particle, file in zip(columns["particle"], columns["file"], strict=True):
        if not particle.isdecimal():
            raise FormatError(f"{path} names the particle {particle!r}, expected an index counted from 0.")
        other = named.setdefault(int(particle), file)
        if other != file:
            raise FormatError(f"{path} names two maps of particle {int(particle)}, {other} and {file}. Remove one.")
    missing = [query for query in queries.tolist() if query not in named]
    if missing:
        raise FormatError(f"{path} names no map of query particle {missing[0]} ({len(missing)} of {len(queries)}).")
    return [path.parent / named[query] for query in queries.tolist()]
