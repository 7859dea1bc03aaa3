"""Images and volumes read on demand: two protocols, and sources in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from cryobench.data._checks import check_range, check_shapes, freeze
from cryobench.fourier import fourier_crop, fourier_pad


@runtime_checkable
class ImageSource(Protocol):
    """Images read on demand. ``cryobench.io.formats.mrc`` has the source for MRC stacks."""

    @property
    def box_size(self) -> int:
        """Side of the square images in px."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images (m, y, x) float32 in the order of ``indices`` (m,), as stored."""
        ...


@runtime_checkable
class VolumeSource(Protocol):
    """Volumes read, decoded or rendered on demand."""

    @property
    def box_size(self) -> int:
        """Side of the cubic volumes in voxels."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> np.ndarray:
        """Volume (z, y, x) float32."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images (n, y, x) already in memory, as an ``ImageSource``."""

    images: np.ndarray

    def __post_init__(self) -> None:
        freeze(self, "images", np.asarray(self.images))
        check_shapes(self, images="n y y")

    @property
    def box_size(self) -> int:
        return self.images.shape[-1]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.images[indices], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class SelectedImages:
    """Images of a source in a chosen order, as an ``ImageSource``."""

    images: ImageSource
    indices: np.ndarray
    """(m,) indices in the source."""

    @property
    def box_size(self) -> int:
        return self.images.box_size

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self.images.read(self.indices[indices])


@dataclass(frozen=True, eq=False)
class CroppedImages:
    """Images of a source, Fourier-cropped to a smaller box as they are read, as an ``ImageSource``.

    Values are those of the same function on a coarser grid, times the ratio of the boxes, since a projection sums
    over fewer voxels along the line of sight.

    Raises
    ------
    ValueError
        If the box is larger than the images, or smaller than 4 px.
    """

    images: ImageSource
    box_size: int

    def __post_init__(self) -> None:
        if not 4 <= self.box_size <= self.images.box_size:
            raise ValueError(
                f"images of {self.images.box_size} px cannot be cropped to a box of {self.box_size} px: give one "
                f"from 4 to {self.images.box_size}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: np.ndarray) -> np.ndarray:
        whole = torch.from_numpy(np.ascontiguousarray(self.images.read(indices), dtype=np.float32))
        scale = self.box_size / self.images.box_size
        return fourier_crop(whole, self.box_size, dimensions=2).mul_(scale).numpy()


@dataclass(frozen=True, eq=False)
class LevelledImages:
    """Images of a source minus the mean of their corners (``corner_pixels``), as an ``ImageSource``."""

    images: ImageSource

    @property
    def box_size(self) -> int:
        return self.images.box_size

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: np.ndarray) -> np.ndarray:
        images = self.images.read(indices)
        levels = images[:, corner_pixels(self.box_size)].mean(axis=1, dtype=np.float64)
        return images - levels.astype(np.float32)[:, None, None]


def corner_pixels(box_size: int) -> np.ndarray:
    """(y, x) True outside the inscribed circle of an image, which a centred particle leaves free."""
    axis = np.arange(box_size) - box_size // 2
    return axis[:, None] ** 2 + axis**2 > (box_size / 2) ** 2


@dataclass(frozen=True, eq=False)
class PaddedVolumes:
    """Volumes of a source, Fourier-padded to a larger box as they are read, as a ``VolumeSource``."""

    volumes: VolumeSource
    box_size: int

    def __len__(self) -> int:
        return len(self.volumes)

    def read(self, index: int) -> np.ndarray:
        return fourier_pad(torch.tensor(self.volumes.read(index)), self.box_size, dimensions=3).numpy()


def find_origin(images: ImageSource, indices: np.ndarray) -> np.ndarray:
    """Indices of images in the source from which these were selected, cropped or levelled."""
    while isinstance(images, SelectedImages | CroppedImages | LevelledImages):
        if isinstance(images, SelectedImages):
            indices = images.indices[indices]
        images = images.images
    return indices


@dataclass(frozen=True, eq=False)
class IndexedVolumes:
    """A ``VolumeSource`` whose item i is ``volumes[index[i]]``: many items, few volumes (classes)."""

    volumes: np.ndarray
    """(k, z, y, x) float32."""
    index: np.ndarray
    """(m,) index in ``volumes`` of each item."""

    def __post_init__(self) -> None:
        freeze(self, "volumes", np.asarray(self.volumes))
        check_shapes(self, volumes="k z z z")
        index = freeze(self, "index", np.array(self.index, dtype=np.int64, ndmin=1))
        check_range("volume index", index, 0, len(self.volumes))

    @property
    def box_size(self) -> int:
        return self.volumes.shape[-1]

    def __len__(self) -> int:
        return len(self.index)

    def read(self, index: int) -> np.ndarray:
        return np.asarray(self.volumes[self.index[index]], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class SelectedVolumes:
    """A ``VolumeSource`` whose item i is item ``index[i]`` of another, read when it is wanted."""

    volumes: VolumeSource
    index: np.ndarray
    """(m,) index in ``volumes`` of each item."""

    def __post_init__(self) -> None:
        index = freeze(self, "index", np.array(self.index, dtype=np.int64, ndmin=1))
        check_range("volume index", index, 0, len(self.volumes))

    @property
    def box_size(self) -> int:
        return self.volumes.box_size

    def __len__(self) -> int:
        return len(self.index)

    def read(self, index: int) -> np.ndarray:
        return self.volumes.read(int(self.index[index]))
