"""Sums of half-slices at touched voxels, folded into a half-spectrum entry by entry, without a grid in between.

What ``imaging.layout.fold`` does on whole stored grids: F(g) = Σ H(g') + Σ conj H(−g') over all stored copies g' of g
and of −g. Here the copies of each entry are looked up in a table, which is the same for all channels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex64, Float32, Int
from torch import Tensor

from cryobench.imaging.kernels.cpu.slices.patches import fold_channel
from cryobench.imaging.layout import GridLayout
from cryobench.reconstruction.statistics.factored_sums import find_touched


@dataclass(frozen=True)
class Folding:
    """Copies of w = s − 1 entries of a half-spectrum among the voxels of ``FactoredSums``."""

    starts: Int[np.ndarray, "s"]
    sources: Int[np.ndarray, "m"]
    """Those of entry i from ``starts[i]`` on: a touched voxel v, or −1 − v for its conjugate."""

    @staticmethod
    def of(layout: GridLayout, radius: int, within: Int[np.ndarray, "w"]) -> "Folding":
        """For sums of slices up to a radius; ``within`` are flat indices of the native half-spectrum, ascending."""
        size, touched = layout.padded_size, find_touched(layout, radius)
        full, along_x = layout.frequencies
        z, y, x = (
            axis[part].astype(np.int32)
            for axis, part in zip((full, full, along_x), np.unravel_index(touched, layout.shape), strict=True)
        )
        targets, sources = [], []
        for sign in (1, -1):
            column = sign * x % size
            kept = np.flatnonzero(column <= size // 2)
            native = (sign * z[kept] % size).astype(np.int64) * size + sign * y[kept] % size
            native = native * (size // 2 + 1) + column[kept]
            place = np.minimum(np.searchsorted(within, native), len(within) - 1)
            wanted = within[place] == native
            targets.append(place[wanted].astype(np.int32))
            sources.append((kept if sign > 0 else -1 - kept)[wanted].astype(np.int32))
        target, source = np.concatenate(targets), np.concatenate(sources)
        starts = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=len(within)))])
        return Folding(starts, source[np.argsort(target, kind="stable")])

    def numerator(self, sums: Float32[Tensor, "v 2 c"], channel: int) -> Complex64[np.ndarray, "w"]:
        """Entries of a channel of numerators."""
        return self._fold(sums, channel).view(np.complex64)[:, 0]

    def weight(self, sums: Float32[Tensor, "v 1 c"], channel: int) -> Float32[np.ndarray, "w"]:
        """Entries of a channel of weights."""
        return self._fold(sums, channel)[:, 0]

    def _fold(self, sums: Float32[Tensor, "v parts c"], channel: int) -> Float32[np.ndarray, "w parts"]:
        folded = np.empty((len(self.starts) - 1, sums.shape[1]), dtype=np.float32)
        fold_channel(sums.numpy(), channel, self.starts, self.sources, folded)
        return folded
