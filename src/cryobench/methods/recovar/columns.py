"""Columns of the covariance of the volumes' spectra at chosen frequencies ξ (step g).

With residuals r_i = m_i (y_i − C_i P_i μ), m_i the image mask, E r rᴴ = A Σ Aᴴ + Γ. The least-squares fit of column
ξ, with the operator approximated as diagonal, is B / H,

    a_i  = Σ_q K(ω_q − ξ) C_q r_q                        the residual at ξ, where the slice passes near it
    B(ω) = Σ_i A_i*(C r conj(a) − C n),   n_p = Σ_q K C_q Γ_pq      minus the noise's own covariance
    H(ω) = Σ_i A_i*(C² Σ_q K C_q²)

over full slices, A* by the trilinear kernel (width 1) and K the triangular kernel of width 2 an axis. A column is
complex and not Hermitian; its parts Cov(x̂_ω, Re x̂_ξ) and Cov(x̂_ω, Im x̂_ξ) are spectra of real volumes, which
replace a by its real and imaginary part, have H in common, and represent column −ξ too. Only images whose slice
passes within reach of ξ, a fraction of about 2 / |ξ|, are used. On the CPU a compiled kernel does it; elsewhere, and
as its reference, plain PyTorch does.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cryobench._threads import run_parts
from cryobench.fourier import fft_images
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu.columns import CHANNELS, add_columns
from cryobench.imaging.layout import GridLayout, fold, read
from cryobench.methods.recovar.masks import masked_residuals
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import Posed, PosedSpectra

WIDTH = 2.0
"""Half-width of K along each axis, in index units (published)."""

_REACH = 8
"""Distance in Fourier index units beyond which the kernel treats masked noise as independent."""


@dataclass(frozen=True)
class ColumnSums:
    """B and H of c columns and both half-sets on the flat native half-spectrum (z, y, x)."""

    top: np.ndarray
    """(c, half, part, v) complex64: B for the real and for the imaginary part of a."""
    bottom: np.ndarray
    """(c, half, v) float32: H."""

    def __add__(self, other: "ColumnSums") -> "ColumnSums":
        return ColumnSums(self.top + other.top, self.bottom + other.bottom)


def accumulate_columns(
    passes: Passes,
    frequencies: np.ndarray,
    mean_ft: FourierVolume,
    mask: Tensor | None,
    noise: np.ndarray,
    halves: np.ndarray,
) -> ColumnSums:
    """Sums of the columns at ``frequencies`` (c, 3): one pass over the particles.

    ``mask`` (z, y, x) is projected to mask the residuals, None for whole images; ``noise`` (radius + 1,);
    ``halves`` (n,) 0 or 1.
    """
    sums, _ = passes.run(_insert_columns, frequencies, mean_ft, mask, noise, own=(halves,))
    return sums["columns"]


def _insert_columns(
    spectra: PosedSpectra,
    frequencies: np.ndarray,
    mean_ft: FourierVolume,
    mask: Tensor | None,
    noise: np.ndarray,
    halves: np.ndarray,
) -> tuple[Sums, Rows]:
    kind = _CompiledSums if spectra.device == "cpu" else _SlicedSums
    sums = kind(spectra.disc, frequencies, noise, spectra.device)
    for left, masks in masked_residuals(spectra, mean_ft, mask):
        sums.add(left, masks, halves[left.indices])
    return {"columns": sums.totals()}, {}


class _CompiledSums:
    """Sums on the CPU: columns and half-sets are divided among threads, each with its own grid."""

    def __init__(self, disc: HalfDisc, frequencies: np.ndarray, noise: np.ndarray, device: str = "cpu") -> None:
        self._disc, self._frequencies = disc, frequencies.astype(np.float32)
        self._layout = GridLayout(disc.box_size, 1, "trilinear")
        self._grids = np.zeros((len(frequencies), 2, *self._layout.shape, CHANNELS), dtype=np.float32)
        self._lookup = _index_pairs(disc)
        self._deviation = np.sqrt(noise)[disc.shells].astype(np.float32)

    def add(self, left: Posed, masks: Tensor | None, halves: np.ndarray) -> None:
        arguments = (
            left.data.numpy(),
            left.ctf.numpy(),
            left.rotations.numpy(),
            self._disc.frequencies.astype(np.float32),
            self._lookup,
            self._deviation,
            np.ones((len(left), 1, 1), dtype=np.complex64) if masks is None else _mask_overlap(masks),
            np.float32(WIDTH),
            self._layout.center,
            self._layout.center_x,
        )
        of_half = [np.flatnonzero(halves == half) for half in (0, 1)]
        run_parts(
            add_columns,
            [
                (self._frequencies[column], of_half[half], *arguments, self._grids[column, half].reshape(-1))
                for column in range(len(self._frequencies))
                for half in (0, 1)
            ],
        )

    def totals(self) -> ColumnSums:
        size = self._disc.box_size
        voxels = size * size * (size // 2 + 1)
        top = np.empty((len(self._grids), 2, 2, voxels), dtype=np.complex64)
        bottom = np.empty((len(self._grids), 2, voxels), dtype=np.float32)

        def complete(column: int, half: int) -> None:
            grid = torch.from_numpy(self._grids[column, half])
            for part in (0, 1):
                inserted = torch.complex(grid[..., 2 * part], grid[..., 2 * part + 1])
                top[column, half, part] = fold(inserted, self._layout).flatten().numpy()
            bottom[column, half] = fold(grid[..., 4].contiguous(), self._layout).flatten().numpy()

        run_parts(complete, [(column, half) for column in range(len(top)) for half in (0, 1)])
        return ColumnSums(top, bottom)


class _SlicedSums:
    """The same in plain PyTorch, on any device; correlations of masked noise are exact at any distance."""

    def __init__(self, disc: HalfDisc, frequencies: np.ndarray, noise: np.ndarray, device: str = "cpu") -> None:
        self._disc, self._device = disc, device
        self._columns = torch.from_numpy(frequencies).float().to(device)
        self._deviation = disc.spread(np.sqrt(noise), device)
        self._points = torch.from_numpy(disc.frequencies).float().to(device)
        self._sums = [
            [SliceAccumulator(disc.box_size, n_volumes=2, radius=disc.radius, device=device) for _ in range(2)]
            for _ in frequencies
        ]

    def add(self, left: Posed, masks: Tensor | None, halves: np.ndarray) -> None:
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

    def totals(self) -> ColumnSums:
        tops, bottoms = [], []
        for sums in self._sums:
            totals = [accumulator.totals() for accumulator in sums]
            layout = totals[0][0].layout
            tops.append([[read(top.values[..., half], layout).flatten() for top, _ in totals] for half in (0, 1)])
            bottoms.append([read(totals[0][1].values[..., half], layout).flatten() for half in (0, 1)])
        top = torch.stack([torch.stack([torch.stack(parts) for parts in column]) for column in tops])
        bottom = torch.stack([torch.stack(column) for column in bottoms])
        return ColumnSums(top.cpu().numpy(), bottom.cpu().numpy())


def _index_pairs(disc: HalfDisc) -> np.ndarray:
    """(2r + 1, 2r + 1) by (ky, kx): 1 + packed index, negative where the Friedel mate is stored; 0 for none."""
    radius = disc.radius
    table = np.zeros((2 * radius + 1, 2 * radius + 1), dtype=np.int64)
    along_x, along_y = disc.frequencies.T
    table[radius - along_y, radius - along_x] = -(1 + np.arange(len(along_x)))
    table[radius + along_y, radius + along_x] = 1 + np.arange(len(along_x))
    return table


def _mask_overlap(masks: Tensor) -> np.ndarray:
    """M₂(d) / n² for d = (dy, dx) within reach, (m, 2 reach + 1, 2 reach + 1) complex64."""
    size = masks.shape[-1]
    reach = min(_REACH, (size - 1) // 2)
    spectra = fft_images(masks.square())
    rows = torch.arange(-reach, reach + 1, device=masks.device) % size
    right = spectra[:, rows, : reach + 1]
    left = right[:, :, 1:].flip(1, 2).conj()
    return (torch.cat([left, right], dim=2) / size**2).to(torch.complex64).contiguous().cpu().numpy()
