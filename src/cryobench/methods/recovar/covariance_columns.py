"""Columns of the covariance of the volumes' spectra at chosen frequencies ξ (step g).

With residuals r_i = m_i (y_i − C_i P_i μ), m_i the image mask, E r rᴴ = A Σ Aᴴ + Γ. The least-squares fit of column
ξ, with the operator approximated as diagonal, is B / H,

    a_i  = Σ_q K(ω_q − ξ) C_q r_q                        the residual at ξ, where the slice passes near it
    B(ω) = Σ_i A_i*(C r conj(a) − C n),   n_p = Σ_q K C_q Γ_pq      minus the noise's own covariance
    H(ω) = Σ_i A_i*(C² Σ_q K C_q²)

over full slices, A* by the trilinear kernel (width 1) and K the triangular kernel of width 2 an axis. A column is
complex and not Hermitian; its parts Cov(x̂_ω, Re x̂_ξ) and Cov(x̂_ω, Im x̂_ξ) are spectra of real volumes, which
replace a by its real and imaginary part, have H in common, and represent column −ξ too. Only images whose slice
passes within reach of ξ, a fraction of about 3 / |ξ|, are used. On the CPU a compiled kernel finds a, Σ K C² and n,
and the sums over A* of all columns are matrix products (``FactoredSums``); elsewhere, and as the reference, plain
PyTorch does all of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Complex64, Float, Float32, Int
from torch import Tensor

from cryobench._threads import run_parts
from cryobench.fourier import fft_images
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu.covariance_columns import compare_column, noise_margin
from cryobench.imaging.layout import GridLayout, read
from cryobench.methods.recovar.masks import masked_residuals
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import Posed, PosedSpectra
from cryobench.reconstruction.statistics import FactoredSums, Folding

WIDTH = 2.0
"""Half-width of K along each axis, in index units (published)."""

_REACH = 8
"""Distance in Fourier index units beyond which the kernel treats masked noise as independent."""


ColumnEntries = tuple[Complex64[np.ndarray, "half part w"], Float32[np.ndarray, "half w"]]
"""B, for the real and for the imaginary part of a, and H, of both half-sets."""


class ColumnSums(ABC):
    """B and H of c columns and both half-sets; those of several shards may be added."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __add__(self, other: Any) -> Self: ...

    @abstractmethod
    def subtract_noise(self) -> None:
        """Finish the sums after the last images, once."""

    @abstractmethod
    def reader(self, within: Int[np.ndarray, "w"]) -> Callable[[int], ColumnEntries]:
        """Reads a column at ascending entries of the flat native half-spectrum; may be called from any thread."""


def accumulate_columns(
    passes: Passes,
    frequencies: Int[np.ndarray, "c 3"],
    mean_ft: FourierVolume,
    mask: Float[Tensor, "z y x"] | None,
    noise: Float[np.ndarray, "s"],
    halves: Int[np.ndarray, "n"],
) -> ColumnSums:
    """Sums of the columns at ``frequencies``: one pass over the particles.

    ``mask`` is projected to mask the residuals, None for whole images; ``noise`` (radius + 1,);
    ``halves`` are 0 or 1.
    """
    sums, _ = passes.run(_insert_columns, frequencies, mean_ft, mask, noise, own=(halves,))
    return sums["columns"]


def _insert_columns(
    spectra: PosedSpectra,
    frequencies: Int[np.ndarray, "c 3"],
    mean_ft: FourierVolume,
    mask: Float[Tensor, "z y x"] | None,
    noise: Float[np.ndarray, "s"],
    halves: Int[np.ndarray, "n"],
) -> tuple[Sums, Rows]:
    kind = _FactoredColumns if spectra.device == "cpu" else _SlicedColumns
    sums = kind(spectra.disc, frequencies, noise, spectra.device)
    for left, masks in masked_residuals(spectra, mean_ft, mask):
        sums.add(left, masks, halves[left.indices])
    sums.subtract_noise()
    return {"columns": sums}, {}


class _FactoredColumns(ColumnSums):
    """On the CPU: every image is inserted once for all columns (``FactoredSums``), and its noise near each column."""

    def __init__(
        self, disc: HalfDisc, frequencies: Int[np.ndarray, "c 3"], noise: Float[np.ndarray, "s"], device: str = "cpu"
    ) -> None:
        self._disc, self._frequencies = disc, frequencies.astype(np.float32)
        count = len(frequencies)
        self._sums = [FactoredSums(disc, n_numerators=2 * count, n_weights=count) for _ in range(2)]
        margin = noise_margin(_REACH, WIDTH)
        self._noise = np.zeros((count, 2, *(2 * margin + 1,) * 3, 2), dtype=np.float32)
        self._lookup = _index_pairs(disc)
        self._deviation = np.sqrt(noise)[disc.shells].astype(np.float32)

    def add(self, left: Posed, masks: Float[Tensor, "m y x"] | None, halves: Int[np.ndarray, "m"]) -> None:
        """Add residuals with their image masks, and half-sets."""
        count, overlap = len(self), _overlap(masks, len(left))
        parts = np.zeros((len(left), 2 * count), dtype=np.float32)
        powers = np.zeros((len(left), count), dtype=np.float32)
        arguments = (
            left.data.numpy(),
            left.ctf.numpy(),
            left.rotations.numpy(),
            self._lookup,
            self._deviation,
            overlap,
            np.float32(WIDTH),
        )
        of_half = [np.flatnonzero(halves == half) for half in (0, 1)]
        run_parts(
            compare_column,
            [
                (
                    self._frequencies[column],
                    of_half[half],
                    *arguments,
                    column,
                    parts,
                    powers,
                    self._noise[column, half],
                )
                for column in range(count)
                for half in (0, 1)
            ],
        )
        for sums, rows in zip(self._sums, of_half, strict=True):
            chosen = torch.from_numpy(rows)
            ctf = left.ctf[chosen]
            sums.add(
                ctf * left.data[chosen],
                ctf.square(),
                left.rotations[chosen],
                numerator_factors=torch.from_numpy(parts)[chosen],
                weight_factors=torch.from_numpy(powers)[chosen],
            )

    def __len__(self) -> int:
        return len(self._frequencies)

    def __add__(self, other: Any) -> Self:
        for mine, its in zip(self._sums, other._sums, strict=True):
            mine.numerators += its.numerators
            mine.weights += its.weights
        return self

    def reader(self, within: Int[np.ndarray, "w"]) -> Callable[[int], ColumnEntries]:
        folding = Folding.of(self._sums[0].layout, self._disc.radius, within)

        def read_column(column: int) -> ColumnEntries:
            tops = np.empty((2, 2, len(within)), dtype=np.complex64)
            bottoms = np.empty((2, len(within)), dtype=np.float32)
            for half, sums in enumerate(self._sums):
                for part in (0, 1):
                    tops[half, part] = folding.numerator(sums.numerators, part * len(self) + column)
                bottoms[half] = folding.weight(sums.weights, column)
            return tops, bottoms

        return read_column

    def subtract_noise(self) -> None:
        """Subtract N from B for Re a, and i N from B for Im a: once, after the last images."""
        for column, frequency in enumerate(self._frequencies):
            for half, sums in enumerate(self._sums):
                noise = self._noise[column, half].view(np.complex64)[..., 0]
                for part, values in enumerate((noise, 1j * noise)):
                    for voxels, own in _place(values, frequency, sums.layout):
                        sums.add_at(voxels, -own, part * len(self) + column)


class _SlicedColumns(ColumnSums):
    """The same in plain PyTorch, on any device; correlations of masked noise are exact at any distance."""

    def __init__(
        self, disc: HalfDisc, frequencies: Int[np.ndarray, "c 3"], noise: Float[np.ndarray, "s"], device: str = "cpu"
    ) -> None:
        self._disc, self._device = disc, device
        self._columns = torch.from_numpy(frequencies).float().to(device)
        self._deviation = disc.spread(np.sqrt(noise), device)
        self._points = torch.from_numpy(disc.frequencies).float().to(device)
        self._sums = [
            [SliceAccumulator(disc.box_size, n_volumes=2, radius=disc.radius, device=device) for _ in range(2)]
            for _ in frequencies
        ]

    def add(self, left: Posed, masks: Float[Tensor, "m y x"] | None, halves: Int[np.ndarray, "m"]) -> None:
        """Add residuals with their image masks, and half-sets."""
        own = torch.nn.functional.one_hot(torch.from_numpy(halves).long(), 2).float().to(self._device)
        for column, sums in zip(self._columns, self._sums, strict=True):
            depth = (left.rotations @ column)[:, 2].abs()
            near = torch.nonzero(depth < WIDTH * 3**0.5)[:, 0]
            if len(near) == 0:
                continue
            data, ctf, rotations = left.data[near], left.ctf[near], left.rotations[near]
            points = self._points @ rotations[:, :2]
            kernel, mirrored = (
                (1 - (sign * points - column).abs() / WIDTH).clamp(min=0).prod(-1) for sign in (1, -1)
            )
            twice = torch.cat(
                [torch.zeros_like(mirrored[:, :1]), mirrored[:, 1:]], dim=1
            )  # zero is its own Friedel mate
            found = (kernel * ctf * data + twice * ctf * data.conj()).sum(-1)
            weight = ((kernel + twice) * ctf**2).sum(-1)[:, None] * ctf**2
            spread, turned = (values * ctf * self._deviation for values in (kernel, mirrored))
            for accumulator, part, noise in zip(
                sums, (found.real, found.imag), ((spread + turned) / 2 + 0j, 1j * (spread - turned) / 2), strict=True
            ):
                if masks is not None:
                    noise = self._disc.from_images(self._disc.to_images(noise) * masks[near].square())
                values = ctf * (data * part[:, None] - noise * self._deviation)
                accumulator.add(
                    self._disc.unpack(values), self._disc.unpack(weight), rotations, class_weights=own[near]
                )

    def __len__(self) -> int:
        return len(self._sums)

    def __add__(self, other: Any) -> Self:
        for mine, its in zip(self._sums, other._sums, strict=True):
            for part, added in zip(mine, its, strict=True):
                part.merge(added)
        return self

    def reader(self, within: Int[np.ndarray, "w"]) -> Callable[[int], ColumnEntries]:
        return partial(self._read, within)

    def subtract_noise(self) -> None:
        """Already done, image by image."""

    def _read(self, within: Int[np.ndarray, "w"], column: int) -> ColumnEntries:
        totals = [accumulator.totals() for accumulator in self._sums[column]]
        layout = totals[0][0].layout
        tops = [torch.stack([read(top.values[..., half], layout).flatten() for top, _ in totals]) for half in (0, 1)]
        bottoms = [read(totals[0][1].values[..., half], layout).flatten() for half in (0, 1)]
        return torch.stack(tops).cpu().numpy()[..., within], torch.stack(bottoms).cpu().numpy()[:, within]


def _place(
    around: Complex64[np.ndarray, "k k k"], frequency: Float32[np.ndarray, "3"], layout: GridLayout
) -> Iterator[tuple[Int[np.ndarray, "z y x"], Complex64[np.ndarray, "z y x"]]]:
    """Flat indices of the stored grid, and values there, of a cube around a frequency (x, y, z)."""
    x, y, z = (np.arange(len(around)) - len(around) // 2 + round(float(k)) for k in frequency)
    for sign in (1, -1):  # where x < 0 the Friedel mate is stored
        kept = [np.abs(axis) <= layout.center for axis in (z, y, x)]
        kept[2] &= x >= 0 if sign > 0 else x < 0
        grid = np.ix_(*(sign * axis[own] for axis, own in zip((z, y, x), kept, strict=True)))
        voxels = np.ravel_multi_index(
            np.broadcast_arrays(grid[0] + layout.center, grid[1] + layout.center, grid[2] + layout.center_x),
            layout.shape,
        )
        values = around[np.ix_(*kept)]
        yield voxels, values if sign > 0 else values.conj()


def _index_pairs(disc: HalfDisc) -> Int[np.ndarray, "t t"]:
    """(2r + 1, 2r + 1) by (ky, kx): 1 + packed index, negative where the Friedel mate is stored; 0 for none."""
    radius = disc.radius
    table = np.zeros((2 * radius + 1, 2 * radius + 1), dtype=np.int64)
    along_x, along_y = disc.frequencies.T
    table[radius - along_y, radius - along_x] = -(1 + np.arange(len(along_x)))
    table[radius + along_y, radius + along_x] = 1 + np.arange(len(along_x))
    return table


def _overlap(masks: Float[Tensor, "m y x"] | None, count: int) -> Float32[np.ndarray, "m d 2*d"]:
    """M₂(d) / n² for d = (dy, dx) within reach, real and imaginary parts in turn."""
    if masks is None:
        return np.repeat(np.array([[[1, 0]]], dtype=np.float32), count, axis=0)
    size = masks.shape[-1]
    reach = min(_REACH, (size - 1) // 2)
    spectra = fft_images(masks.square())
    rows = torch.arange(-reach, reach + 1, device=masks.device) % size
    right = spectra[:, rows, : reach + 1]
    left = right[:, :, 1:].flip(1, 2).conj()
    found = (torch.cat([left, right], dim=2) / size**2).to(torch.complex64).contiguous().cpu()
    return torch.view_as_real(found).flatten(2).numpy()
