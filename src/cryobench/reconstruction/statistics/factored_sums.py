"""Sums over particles of slices times many factors each, by matrix products.

    F_c(ω) = Σ_i f_ic insert(a_i),        W_c(ω) = Σ_i g_ic insert(b_i)        for many channels c

The slices of particles seen from similar directions touch few voxels altogether. So particles are taken in patches of
neighbouring directions; each slice is inserted once, into a row over the voxels of its patch, and the sums of all
channels are the product of these rows with the factors. That takes 10 V multiplications per channel and particle, V
being six to ten times the entries of an image, at the rate of matrix products, where insertion into every channel
takes 120 per entry at the rate of scattered memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Complex64, Float, Float32, Int
from torch import Tensor

from cryobench._threads import run_ranges
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu.slices.patches import add_rows, fill_slices, find_voxels
from cryobench.imaging.layout import GridLayout
from cryobench.rotations import order_directions

PATCH = 128
"""Particles whose slices are multiplied together."""
_PATCH_BYTES = 2e8
"""Most bytes of the rows of a patch: directions far apart are taken in smaller patches."""
_LEAST_COLUMNS, _LANES = 64, 16
"""Products have at least so many columns, and a multiple: those of few columns are summed in another order, and a
channel's sums should not depend on how many others are computed with it."""
_VOXELS_AT_ONCE = 4096
"""Voxels whose products are in the cache before they are added."""


@dataclass(frozen=True)
class Halves:
    """Sums of the two half-sets: as one array they would be copied."""

    parts: list[Tensor]

    def __add__(self, other: "Halves") -> "Halves":
        """In place: sums of workers are not needed any more."""
        return Halves([mine.add_(its) for mine, its in zip(self.parts, other.parts, strict=True)])


class FactoredSums:
    """Running sums of half-slices on the stored grid, with many channels; on the CPU.

    Parameters
    ----------
    disc
        Half-disc of the particles: its box and its radius.
    n_numerators, n_weights
        Channels of each kind.
    """

    def __init__(self, disc: HalfDisc, *, n_numerators: int, n_weights: int) -> None:
        self._frequencies = disc.frequencies.astype(np.float32)
        self.layout = GridLayout(disc.box_size)
        """Stored grid."""
        voxels, touched = int(np.prod(self.layout.shape)), find_touched(self.layout, disc.radius)
        self.numerators: Float32[Tensor, "v 2 c"] = torch.zeros(len(touched), 2, n_numerators)
        """F at the voxels of ``find_touched``, real and imaginary part."""
        self.weights: Float32[Tensor, "v 1 d"] = torch.zeros(len(touched), 1, n_weights)
        """W, likewise."""
        self._kept = np.full(voxels, -1, dtype=np.int64)
        self._kept[touched] = np.arange(len(touched))
        self._numbers = np.full(voxels, -1, dtype=np.int32)
        self._voxels = np.empty(voxels, dtype=np.int64)
        self._rows = torch.empty(0)

    def __getstate__(self) -> dict[str, Any]:
        """Without the memory of the rows, which workers need not send."""
        return self.__dict__ | {"_rows": torch.empty(0)}

    def add(
        self,
        data: Complex64[Tensor, "m p"],
        weights: Float[Tensor, "m p"],
        rotations: Float[Tensor, "m 3 3"],
        *,
        numerator_factors: Float[Tensor, "m c"],
        weight_factors: Float[Tensor, "m d"],
    ) -> None:
        """Add particles with packed a and b, their rotations, and factors f and g. Zero factors cost nothing where
        they are zero for a whole patch."""
        for rows in _patches(rotations):
            chosen = torch.from_numpy(rows)
            patch = (data[chosen], weights[chosen].float(), rotations[chosen].float())
            self._add_patch(patch, numerator_factors[chosen], weight_factors[chosen])

    def add_at(self, voxels: Int[np.ndarray, "*m"], values: Complex64[np.ndarray, "*m"], channel: int) -> None:
        """Add values at distinct flat indices of the stored grid to a channel of F, where slices touch it."""
        kept = self._kept[voxels]
        touched = kept >= 0
        parts = torch.view_as_real(torch.from_numpy(values[touched])).numpy()
        self.numerators.numpy()[kept[touched], :, channel] += parts

    def _add_patch(
        self,
        patch: tuple[Complex[Tensor, "m p"], Float[Tensor, "m p"], Float[Tensor, "m 3 3"]],
        first: Float[Tensor, "m c"],
        second: Float[Tensor, "m d"],
    ) -> None:
        layout = self.layout
        geometry = (layout.center, layout.center_x, layout.shape[1] * layout.shape[2], layout.shape[2])
        rotations = patch[2].numpy()
        count = find_voxels(rotations, self._frequencies, *geometry, self._numbers, self._voxels)
        voxels = self._voxels[:count]
        if len(rotations) > 1 and 12 * count * len(rotations) > _PATCH_BYTES:
            self._numbers[voxels] = -1
            for part in np.array_split(np.arange(len(rotations)), 2):
                ends = slice(part[0], part[-1] + 1)
                self._add_patch((patch[0][ends], patch[1][ends], patch[2][ends]), first[ends], second[ends])
            return
        arrays = (torch.view_as_real(patch[0]).numpy(), patch[1].numpy())
        slices = self._empty_rows(len(rotations), count)
        inserted = [each.numpy() for each in slices]
        run_ranges(
            fill_slices, len(rotations), *arrays, rotations, self._frequencies, *geometry, self._numbers, *inserted
        )
        self._numbers[voxels] = -1
        kept = self._kept[voxels]
        for rows, factors, sums in zip(slices, (first, second), (self.numerators, self.weights), strict=True):
            used = torch.nonzero((factors != 0).any(0))[:, 0]
            if len(used) > 0:
                _add_products(rows, factors[:, used], kept, used.numpy(), sums)

    def _empty_rows(self, n: int, count: int) -> tuple[Float[Tensor, "n w"], Float[Tensor, "n v"]]:
        """Zeroed rows (n, 2 count) and (n, count), in memory that is used again."""
        if len(self._rows) < 3 * n * count:
            self._rows = torch.empty(3 * n * count)
        rows = self._rows[: 3 * n * count].zero_()
        return rows[: 2 * n * count].view(n, 2 * count), rows[2 * n * count :].view(n, count)


@lru_cache(maxsize=8)
def find_touched(layout: GridLayout, radius: int) -> Int[np.ndarray, "v"]:
    """Flat indices of the voxels of a stored grid that slices up to a radius touch: half of it, or fewer."""
    full, along_x = layout.frequencies
    squared = full[:, None, None] ** 2 + full[:, None] ** 2 + along_x**2
    return np.flatnonzero(squared <= (radius + 3**0.5) ** 2)


def patch_bytes(touched: int) -> float:
    """Most bytes of the rows of a patch on a grid of which slices touch so many voxels."""
    return min(_PATCH_BYTES, 12.0 * PATCH * touched)


def spread_touched(
    values: Float32[Tensor, "v parts c"], layout: GridLayout, radius: int
) -> Float32[Tensor, "c z y x parts"]:
    """Sums of ``FactoredSums`` on the whole stored grid, channel by channel."""
    grid = values.new_zeros(values.shape[2], int(np.prod(layout.shape)), values.shape[1])
    grid[:, torch.from_numpy(find_touched(layout, radius))] = values.permute(2, 0, 1)
    return grid.unflatten(1, layout.shape)


def _patches(rotations: Float[Tensor, "m 3 3"]) -> Iterator[Int[np.ndarray, "k"]]:
    """Indices of particles of neighbouring directions."""
    order = order_directions(rotations[:, 2].numpy())
    for first in range(0, len(order), PATCH):
        yield order[first : first + PATCH]


def _add_products(
    rows: Float32[Tensor, "m w"],
    factors: Float32[Tensor, "m c"],
    voxels: Int[np.ndarray, "v"],
    columns: Int[np.ndarray, "c"],
    sums: Float32[Tensor, "n parts d"],
) -> None:
    """Add rows ᵀ factors to some columns of the sums of some voxels, a block of voxels at a time."""
    parts, target = sums.shape[1], sums.numpy()
    padded = max(_LEAST_COLUMNS, _LANES * -(-len(columns) // _LANES))
    factors = torch.nn.functional.pad(factors, (0, padded - len(columns)))
    for first in range(0, len(voxels), _VOXELS_AT_ONCE):
        block = voxels[first : first + _VOXELS_AT_ONCE]
        products = rows[:, parts * first : parts * (first + len(block))].T @ factors
        run_ranges(add_rows, len(block), products.view(len(block), parts, padded).numpy(), block, columns, target)
