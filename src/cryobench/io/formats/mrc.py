"""MRC volumes and stacks: read on demand, in any order; written completely or not at all.

Arrays are [z, y, x] and [n, y, x], x fastest, as stored, and are returned as native float32. Stacks stay
open (`open_stacks.py`); none is opened before it is read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Self

import numpy as np

from cryobench._errors import FormatError
from cryobench._types import ImageArray, VolumeArray
from cryobench.io.atomic import atomic_write
from cryobench.io.formats.mrc_header import MrcHeader, make_header, read_header
from cryobench.io.formats.open_stacks import OpenStacks


class MrcStacks:
    """Images in one or many MRC stacks, as an ``ImageSource``, in any order.

    Picklable: only paths and indices are pickled; each process opens the files itself.

    Parameters
    ----------
    paths
        Stacks. Their headers are read at once, their images on demand.
    file_index, image_index
        (n,) stack of each image, and its index there from 0. Without them, all images in order.

    Raises
    ------
    FormatError
        If a file is missing, truncated, not MRC, not square, of another box size than the first, or too short for
        ``image_index``.
    ValueError
        If only one of the two index arrays is given, or a file index is out of range.
    """

    def __init__(
        self,
        paths: Sequence[Path] | Path,
        *,
        file_index: np.ndarray | None = None,
        image_index: np.ndarray | None = None,
    ) -> None:
        given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        self.paths = tuple(Path(path).absolute() for path in given)
        """Absolute paths of the stacks."""
        if not self.paths:
            raise ValueError("no stack was given.")
        if (file_index is None) != (image_index is None):
            raise ValueError("give both file_index and image_index, or neither.")
        self.headers = tuple(read_header(path) for path in self.paths)
        """Headers of the stacks, in the order of ``paths``."""
        self.box_size = self.headers[0].box_size
        """Side of the images in px."""
        self.pixel_size = self.headers[0].pixel_sizes[0]
        """Å per pixel in the header of the first stack; 0 if not stated."""
        for header in self.headers:
            if header.box_size != self.box_size:
                raise FormatError(
                    f"{header.path} holds images of {header.box_size} px, {self.paths[0]} of {self.box_size} px."
                    " All images of a data set must have the same size."
                )
        counts = np.array([header.shape[0] for header in self.headers])
        if file_index is None or image_index is None:
            file_index = np.repeat(np.arange(len(counts)), counts)
            image_index = np.concatenate([np.arange(count) for count in counts])
        self.file_index = np.array(file_index, dtype=np.int32, ndmin=1)
        """(n,) index in ``paths`` of each image's stack."""
        self.image_index = np.array(image_index, dtype=np.int64, ndmin=1)
        """(n,) index of each image in its stack, from 0."""
        self._check_entries(counts)
        self._stacks = OpenStacks(self.headers)

    def __len__(self) -> int:
        return len(self.file_index)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images (m, y, x) float32 in the order of ``indices`` (m,), as stored. IndexError beyond the last."""
        indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        files, images_in_file = self.file_index[indices], self.image_index[indices]
        images = np.empty((len(indices), self.box_size, self.box_size), dtype=np.float32)
        order = np.lexsort((images_in_file, files))
        files, images_in_file = files[order], images_in_file[order]
        # A run of neighbours both on disk and in the result is copied at once.
        breaks = (np.diff(files) != 0) | (np.diff(images_in_file) != 1) | (np.diff(order) != 1)
        edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(indices)]
        for start, stop in pairwise(edges if len(indices) else []):
            target = int(order[start])
            self._stacks.copy(int(files[start]), int(images_in_file[start]), images[target : target + stop - start])
        return images

    def _check_entries(self, counts: np.ndarray) -> None:
        if self.file_index.shape != self.image_index.shape or self.file_index.ndim != 1:
            raise ValueError(
                f"file_index has shape {self.file_index.shape} and image_index {self.image_index.shape},"
                " expected one entry of each per image."
            )
        bad = (self.file_index < 0) | (self.file_index >= len(counts))
        if bad.any():
            first = int(np.argmax(bad))
            raise ValueError(
                f"file index {self.file_index[first]} (entry {first}) but there are {len(counts)} stacks."
            )
        bad = (self.image_index < 0) | (self.image_index >= counts[self.file_index])
        if bad.any():
            first = int(np.argmax(bad))
            file = int(self.file_index[first])
            raise FormatError(
                f"particle {first} is image {self.image_index[first] + 1} (counted from 1) of {self.paths[file]},"
                f" which holds {counts[file]} images. The table and the stack do not match:"
                " use the stack the table was made for, or a table of the same length."
            )


class MrcFolder:
    """Volumes in MRC files, one each, as a ``VolumeSource``. Picklable; each is read on demand.

    Raises
    ------
    FormatError
        If there is no file, or the first is not a cubic MRC volume. Later ones are checked when read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(Path(path).absolute() for path in paths)
        """Absolute paths of the volumes."""
        if not self.paths:
            raise FormatError("no volume was given.")
        first = _check_cube(read_header(self.paths[0]))
        self.box_size = first.shape[0]
        """Side of the volumes in voxels."""
        self.pixel_size = first.pixel_sizes[0]
        """Å per voxel in the header of the first volume; 0 if not stated."""

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """All .mrc files of a folder, sorted by name. FormatError if there is none."""
        paths = sorted(path for path in Path(folder).glob("*.mrc") if not path.name.startswith("."))
        if not paths:
            raise FormatError(f"{folder} holds no .mrc volumes.")
        return cls(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> np.ndarray:
        """Volume (z, y, x) float32. FormatError if its size differs from the first one's."""
        volume, _ = read_volume(self.paths[index])
        if len(volume) != self.box_size:
            raise FormatError(
                f"{self.paths[index]} has {len(volume)} voxels a side, but {self.paths[0]} has {self.box_size}."
            )
        return volume


def read_volume(path: Path) -> tuple[VolumeArray, float]:
    """Cubic volume (z, y, x) float32 and its voxel size in Å (0 if not stated).

    Files with permuted axes (CCP4) are transposed to z, y, x.

    Raises
    ------
    FormatError
        If the file is missing, truncated, not MRC, not a cube, or its voxels are not cubes (to 1 %).
    """
    header = _check_cube(read_header(path))
    count = header.shape[0] * header.shape[1] * header.shape[2]
    volume = np.fromfile(header.path, header.dtype, count, offset=header.offset).reshape(header.shape)
    if header.axes != (1, 2, 3):
        # Array axis 0 runs along the section axis, 1 along rows, 2 along columns.
        runs_along = header.axes[::-1]
        volume = volume.transpose([runs_along.index(axis) for axis in (3, 2, 1)])
    sizes = header.pixel_sizes
    if min(sizes) > 0 and max(sizes) > 1.01 * min(sizes):
        raise FormatError(
            f"{path} has voxels of {sizes[0]:.4g} x {sizes[1]:.4g} x {sizes[2]:.4g} Å (x, y, z), expected cubes."
            " Resample it, or correct its header."
        )
    return np.ascontiguousarray(volume, dtype=np.float32), sizes[0]


def write_volume(path: Path, volume: VolumeArray, pixel_size: float) -> None:
    """Write a cubic volume (z, y, x) as float32, atomically; ``pixel_size`` in Å per voxel."""
    if volume.ndim != 3 or len(set(volume.shape)) != 1:
        raise ValueError(f"a volume must be a cube (z, y, x), got shape {volume.shape}.")
    _check_pixel_size(pixel_size)
    values = np.ascontiguousarray(volume, dtype="<f4")
    header = make_header((values.shape[0], values.shape[1], values.shape[2]), pixel_size, stack=False)
    header["dmin"], header["dmax"] = values.min(), values.max()
    header["dmean"], header["rms"] = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    with atomic_write(path, bytes_needed=header.nbytes + values.nbytes) as file:
        file.write(header.tobytes())
        file.write(values.data)


class StackWriter:
    """A stack of n images being written piece by piece, made by ``begin_stack``."""

    def __init__(self, path: Path, file: IO[bytes], n: int, box_size: int) -> None:
        self.path = path
        self._file, self._n, self._box_size = file, n, box_size
        self._hash = hashlib.sha256()
        self.written = 0
        """Images so far."""

    def append(self, images: ImageArray) -> None:
        """Add images (m, y, x), stored as float32."""
        expected = (self._box_size, self._box_size)
        if images.ndim != 3 or images.shape[1:] != expected:
            raise ValueError(f"images must have shape (m, {expected[0]}, {expected[1]}), got {images.shape}.")
        if self.written + len(images) > self._n:
            raise ValueError(
                f"{self.path} expects {self._n} images; {self.written} are written, and {len(images)} more were "
                "given."
            )
        if len(images):
            self.put(np.ascontiguousarray(images, dtype="<f4").data.cast("B"))
            self.written += len(images)

    def put(self, data: bytes | memoryview) -> None:
        """Add bytes, such as the header."""
        self._file.write(data)
        self._hash.update(data)

    def sync(self) -> None:
        """Flush what was appended so far to disk; called from another thread, it spares the wait on closing."""
        self._file.flush()
        os.fsync(self._file.fileno())

    @property
    def sha256(self) -> str:
        """SHA-256 of the finished file, in hexadecimal. ValueError before it is finished."""
        if self.written != self._n:
            raise ValueError(f"{self.path} is not finished: {self.written} of {self._n} images are written.")
        return self._hash.hexdigest()


@contextmanager
def begin_stack(path: Path, n: int, box_size: int, pixel_size: float) -> Iterator[StackWriter]:
    """Write a stack of n images piece by piece; the file appears once all are written.

    >>> with begin_stack(path, 1000, 128, 3.0) as writer:  # doctest: +SKIP
    ...     for images in pieces:
    ...         writer.append(images)
    >>> writer.sha256  # doctest: +SKIP

    The bytes depend on the images alone, not on the pieces. Statistics in the header are "not determined", so that
    the header can be written first and the hash computed on the way.

    Raises
    ------
    DiskFull
        On entering if there is too little room, or when the disk fills up; nothing is left behind.
    ValueError
        If a piece has another shape, or the number of images is not n at the end; nothing is left behind.
    """
    if n < 1 or box_size < 1:
        raise ValueError(f"a stack needs at least one image of at least 1 px, got {n} of {box_size} px.")
    _check_pixel_size(pixel_size)
    header = make_header((n, box_size, box_size), pixel_size, stack=True)
    with atomic_write(path, bytes_needed=header.nbytes + 4 * n * box_size**2) as file:
        writer = StackWriter(path, file, n, box_size)
        writer.put(header.tobytes())
        yield writer
        if writer.written != n:
            raise ValueError(f"{path} expects {n} images, but only {writer.written} were written.")


def _check_cube(header: MrcHeader) -> MrcHeader:
    if len(set(header.shape)) != 1:
        sections, rows, columns = header.shape
        raise FormatError(f"{header.path} is {columns} x {rows} x {sections} (x, y, z), expected a cubic volume.")
    return header


def _check_pixel_size(pixel_size: float) -> None:
    if not (np.isfinite(pixel_size) and pixel_size > 0):
        raise ValueError(f"pixel_size must be positive, in Å per pixel; got {pixel_size}.")
