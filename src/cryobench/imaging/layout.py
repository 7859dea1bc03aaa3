"""Memory layout of a spectrum for interpolation: the bordered, centred half-grid.

A box of n voxels, padded p times, has a spectrum that is periodic with N = p n. Slices within the radius
r ≤ (n − 1) // 2 touch frequencies up to M = p r, plus a border of b = taps / 2 entries that makes bounds
checks in the kernels unnecessary:

* z and y run from −(M + b) to M + b, both ends included, the zero frequency in the middle;
* x runs from −(b − 1) to M + b: the half-grid, since F(−k) = conj F(k).

Border entries and the two halves of the x = 0 plane are *copies* of other entries: ``fill`` writes them from a
native-order half-spectrum, ``fold`` sums all copies, the adjoint for sums of inserted slices,
and ``read`` takes each frequency once.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from cryobench.imaging.interpolation import Kernel, count_taps


@dataclass(frozen=True)
class GridLayout:
    """Geometry of the stored half-grid of one box size, padding and kernel."""

    box_size: int
    padding: int = 1
    kernel: Kernel = "trilinear"

    def __post_init__(self) -> None:
        count_taps(self.kernel)
        if self.box_size < 4:
            raise ValueError(f"box_size must be at least 4 voxels, got {self.box_size}.")
        if self.padding < 1:
            raise ValueError(f"padding must be an integer of at least 1, got {self.padding}.")

    @property
    def taps(self) -> int:
        """Taps of the kernel per axis."""
        return count_taps(self.kernel)

    @property
    def padded_size(self) -> int:
        """Voxels per axis of the padded box."""
        return self.box_size * self.padding

    @property
    def max_radius(self) -> int:
        """Largest radius of a slice, in index units of the unpadded box."""
        return (self.box_size - 1) // 2

    @property
    def center(self) -> int:
        """Index of the zero frequency along z and y."""
        return self.padding * self.max_radius + self.taps // 2

    @property
    def center_x(self) -> int:
        """Index of the zero frequency along x."""
        return self.taps // 2 - 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Stored entries along z, y, x."""
        full = 2 * self.center + 1
        return full, full, self.center_x + self.center + 1

    @property
    def n_entries(self) -> int:
        """Number of stored entries."""
        return math.prod(self.shape)

    @cached_property
    def frequencies(self) -> tuple[np.ndarray, np.ndarray]:
        """Integer frequencies of the padded grid along z or y, and along x."""
        full = np.arange(self.shape[0]) - self.center
        return full, np.arange(self.shape[2]) - self.center_x

    def row_ends(self, radius: float) -> np.ndarray:
        """Number of x columns of each native-order image row within ``radius``: (box_size,) int64."""
        indices = np.arange(self.box_size)
        rows = np.where(indices < (self.box_size + 1) // 2, indices, indices - self.box_size)
        remaining = radius**2 - rows.astype(np.float64) ** 2
        ends = np.floor(np.sqrt(np.maximum(remaining, 0))).astype(np.int64) + 1
        return np.where(remaining >= 0, ends, 0)


def fill(spectrum: Tensor, layout: GridLayout) -> Tensor:
    """Stored grid (z, y, x) from a native-order half-spectrum of the padded box: periodic, Hermitian copies."""
    size = layout.padded_size
    full, along_x = layout.frequencies
    columns = along_x % size
    direct = columns <= size // 2
    first, last = int(np.argmax(direct)), len(direct) - int(np.argmax(direct[::-1]))
    # Columns beyond the half are conjugates of their Friedel mates at -z, -y, -x.
    before = _select(spectrum, -full, -along_x[:first], size).conj()
    within = _select(spectrum, full, along_x[first:last], size)
    after = _select(spectrum, -full, -along_x[last:], size).conj()
    return torch.cat([before, within, after], dim=-1)


def fold(values: Tensor, layout: GridLayout) -> Tensor:
    """Native-order half-spectrum F(g) = Σ H(g') + Σ conj H(−g') over all stored copies g' of g and of −g.

    If H is the insertion of half-slices, F is the insertion of the full slices into the full, periodic spectrum.
    """
    full, along_x = layout.frequencies
    mirrored = values.flip(0, 1, 2).conj()
    first = (int(full[0]), int(full[0]), int(along_x[0]))
    first_mirrored = (int(full[0]), int(full[0]), -int(along_x[-1]))
    return _wrap(values, first, layout) + _wrap(mirrored, first_mirrored, layout)


def read(values: Tensor, layout: GridLayout) -> Tensor:
    """Native-order half-spectrum of the padded box: each stored frequency once, zero where none is stored."""
    size = layout.padded_size
    full, along_x = layout.frequencies
    rows = np.flatnonzero((full >= -(size // 2)) & (full < (size + 1) // 2))
    columns = np.flatnonzero((along_x >= 0) & (along_x <= size // 2))
    span, span_x = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    start = int(full[rows[0]])
    return _wrap(values[span, span, span_x], (start, start, 0), layout)


def _select(spectrum: Tensor, rows: np.ndarray, columns: np.ndarray, size: int) -> Tensor:
    row_index = torch.as_tensor(rows % size, device=spectrum.device)
    column_index = torch.as_tensor(columns % size, device=spectrum.device)
    taken = spectrum.index_select(2, column_index)
    return taken.index_select(1, row_index).index_select(0, row_index)


def _wrap(values: Tensor, first: tuple[int, int, int], layout: GridLayout) -> Tensor:
    """Add a block that starts at frequency ``first`` (z, y, x) into a native-order half-spectrum."""
    size = layout.padded_size
    for dim, kept in ((2, size // 2 + 1), (1, size), (0, size)):
        shape = list(values.shape)
        shape[dim] = kept
        wrapped = values.new_zeros(shape)
        offset = 0
        while offset < values.shape[dim]:
            position = (first[dim] + offset) % size
            length = min(values.shape[dim] - offset, size - position)
            inside = min(length, kept - position)
            if inside > 0:
                wrapped.narrow(dim, position, inside).add_(values.narrow(dim, offset, inside))
            offset += length
        values = wrapped
    return values
