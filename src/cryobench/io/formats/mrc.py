"""MRC volumes and stacks: read on demand, in any order; written completely or not at all.

Arrays are [z, y, x] and [n, y, x], x fastest, as stored, and are returned as native float32. Stacks are
memory-mapped (`mapped_stacks.py`); nothing is opened before it is read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np

from cryobench._errors import FormatError
from cryobench._types import ImageArray, VolumeArray
from cryobench.io.atomic import atomic_write
from cryobench.io.formats.mapped_stacks import MappedStacks
from cryobench.io.formats.mrc_header import MrcHeader, make_header, read_header


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
        self._paths = tuple(Path(path).absolute() for path in given)
        if not self._paths:
            raise ValueError("no stack was given.")
        if (file_index is None) != (image_index is None):
            raise ValueError("give both file_index and image_index, or neither.")
        self._headers = tuple(read_header(path) for path in self._paths)
        self._box_size = self._headers[0].box_size
        for header in self._headers:
            if header.box_size != self._box_size:
                raise FormatError(
                    f"{header.path} holds images of {header.box_size} px, {self._paths[0]} of {self._box_size} px."
                    " All images of a data set must have the same size."
                )
        counts = np.array([header.shape[0] for header in self._headers])
        if file_index is None or image_index is None:
            file_index = np.repeat(np.arange(len(counts)), counts)
            image_index = np.concatenate([np.arange(count) for count in counts])
        self._file_index = np.array(file_index, dtype=np.int32, ndmin=1)
        self._image_index = np.array(image_index, dtype=np.int64, ndmin=1)
        self._check_entries(counts)
        self._stacks = MappedStacks(self._headers)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Absolute paths of the stacks."""
        return self._paths

    @property
    def headers(self) -> tuple[MrcHeader, ...]:
        """Headers of the stacks, in the order of ``paths``."""
        return self._headers

    @property
    def file_index(self) -> np.ndarray:
        """(n,) index in ``paths`` of each image's stack."""
        return self._file_index

    @property
    def image_index(self) -> np.ndarray:
        """(n,) index of each image in its stack, from 0."""
        return self._image_index

    @property
    def box_size(self) -> int:
        """Side of the images in px."""
        return self._box_size

    @property
    def pixel_size(self) -> float:
        """Å per pixel in the header of the first stack; 0 if not stated."""
        return self._headers[0].pixel_sizes[0]

    @property
    def storage_order(self) -> np.ndarray:
        """(n,) images in the order in which they are stored."""
        return np.lexsort((self._image_index, self._file_index))

    def __len__(self) -> int:
        return len(self._file_index)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images (m, y, x) float32 in the order of ``indices`` (m,), as stored. IndexError beyond the last."""
        indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        files, images_in_file = self._file_index[indices], self._image_index[indices]
        images = np.empty((len(indices), self._box_size, self._box_size), dtype=np.float32)
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
        if self._file_index.shape != self._image_index.shape or self._file_index.ndim != 1:
            raise ValueError(
                f"file_index has shape {self._file_index.shape} and image_index {self._image_index.shape},"
                " expected one entry of each per image."
            )
        bad = (self._file_index < 0) | (self._file_index >= len(counts))
        if bad.any():
            first = int(np.argmax(bad))
            raise ValueError(
                f"file index {self._file_index[first]} (entry {first}) but there are {len(counts)} stacks."
            )
        bad = (self._image_index < 0) | (self._image_index >= counts[self._file_index])
        if bad.any():
            first = int(np.argmax(bad))
            file = int(self._file_index[first])
            raise FormatError(
                f"particle {first} is image {self._image_index[first] + 1} (counted from 1) of {self._paths[file]},"
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
        self._paths = tuple(Path(path).absolute() for path in paths)
        if not self._paths:
            raise FormatError("no volume was given.")
        first = _check_cube(read_header(self._paths[0]))
        self._box_size = first.shape[0]
        self._pixel_size = first.pixel_sizes[0]

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """All .mrc files of a folder, sorted by name. FormatError if there is none."""
        paths = sorted(path for path in Path(folder).glob("*.mrc") if not path.name.startswith("."))
        if not paths:
            raise FormatError(f"{folder} holds no .mrc volumes.")
        return cls(paths)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Absolute paths of the volumes."""
        return self._paths

    @property
    def box_size(self) -> int:
        """Side of the volumes in voxels."""
        return self._box_size

    @property
    def pixel_size(self) -> float:
        """Å per voxel in the header of the first volume; 0 if not stated."""
        return self._pixel_size

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, index: int) -> np.ndarray:
        """Volume (z, y, x) float32. FormatError if its size differs from the first one's."""
        volume, _ = read_volume(self._paths[index])
        if len(volume) != self._box_size:
            raise FormatError(
                f"{self._paths[index]} has {len(volume)} voxels a side, but {self._paths[0]} has {self._box_size}."
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
    """Write a stack of n images piece by piece; the file appears once all are written.

    >>> with StackWriter(path, 1000, 128, 3.0) as writer:  # doctest: +SKIP
    ...     for images in pieces:
    ...         writer.append(images)
    >>> writer.sha256  # doctest: +SKIP

    The bytes depend on the images alone, not on the pieces. Statistics in the header are "not determined", so that
    the header can be written first and the hash computed on the way.

    Raises
    ------
    On entering if there is too little space, or when the disk fills up; nothing is left behind.
        On entering if there is too little room, or when the disk fills up; nothing is left behind.
    ValueError
        If a piece has another shape, or the number of images is not n at the end; nothing is left behind.
    """

    def __init__(self, path: Path, n: int, box_size: int, pixel_size: float) -> None:
        if n < 1 or box_size < 1:
            raise ValueError(f"a stack needs at least one image of at least 1 px, got {n} of {box_size} px.")
        _check_pixel_size(pixel_size)
        self.path = Path(path)
        self._n, self._box_size, self._pixel_size = n, box_size, pixel_size
        self._written = 0
        self._hash = hashlib.sha256()
        self._context: AbstractContextManager[IO[bytes]] | None = None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        header = make_header((self._n, self._box_size, self._box_size), self._pixel_size, stack=True)
        self._context = atomic_write(self.path, bytes_needed=header.nbytes + 4 * self._n * self._box_size**2)
        self._file = self._context.__enter__()
        self._put(header.tobytes())
        return self

    def append(self, images: ImageArray) -> None:
        """Add images (m, y, x), stored as float32."""
        expected = (self._box_size, self._box_size)
        if images.ndim != 3 or images.shape[1:] != expected:
            raise ValueError(f"images must have shape (m, {expected[0]}, {expected[1]}), got {images.shape}.")
        if self._written + len(images) > self._n:
            raise ValueError(
                f"{self.path} expects {self._n} images; {self._written} are written, and {len(images)} more were "
                "given."
            )
        if len(images):
            self._put(np.ascontiguousarray(images, dtype="<f4").data.cast("B"))
            self._written += len(images)

    def sync(self) -> None:
        """Flush what was appended so far to disk; called from another thread, it spares the wait on closing."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    @property
    def sha256(self) -> str:
        """SHA-256 of the finished file, in hexadecimal. ValueError before it is finished."""
        if self._written != self._n or self._file is not None:
            raise ValueError(f"{self.path} is not finished: {self._written} of {self._n} images are written.")
        return self._hash.hexdigest()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context, self._context, self._file = self._context, None, None
        if context is None:
            return
        if error is None and self._written != self._n:
            error = ValueError(f"{self.path} expects {self._n} images, but only {self._written} were written.")
            kind = ValueError
            try:
                context.__exit__(kind, error, None)
            finally:
                self._written = 0
            raise error
        context.__exit__(kind, error, traceback)

    def _put(self, data: bytes | memoryview) -> None:
        if self._file is None:
            raise ValueError(f"{self.path} is not open for writing: use StackWriter in a with statement.")
        self._file.write(data)
        self._hash.update(data)


def _check_cube(header: MrcHeader) -> MrcHeader:
    if len(set(header.shape)) != 1:
        sections, rows, columns = header.shape
        raise FormatError(f"{header.path} is {columns} x {rows} x {sections} (x, y, z), expected a cubic volume.")
    return header


def _check_pixel_size(pixel_size: float) -> None:
    if not (np.isfinite(pixel_size) and pixel_size > 0):
        raise ValueError(f"pixel_size must be positive, in Å per pixel; got {pixel_size}.")
