"""Slices against images over a grid of shifts: scores, and averages of images over the shifts.

For packed slices P_n (n, p), images X_i and weights q_i (b, p) on a half-disc, and shifts t = centre_n + (offset_j,
offset_k) in px that translate an image's content (so that it is centred),

    score:   S[n, j, k] = Re Σ_p conj(P_n) X_i exp(−2πi k_p · t / box) − Σ_p q_i |P_n|²           i = which[n]
    average: Z[n, p]    = X_i Σ_{j, k} w[n, j, k] exp(−2πi k_p · t / box)

The first sum of a score is the adjoint of the average. With X = 2 w c y / σ² and q = w c² / σ² (w of ``HalfDisc``),
a score is the log-likelihood of an image y with CTF c, minus that of noise alone.

On the CPU compiled kernels compute the sums row by row of the disc; elsewhere, and as their reference, a matrix of
phases is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Complex64, Float32, Int
from torch import Tensor

from cryobench._threads import run_ranges
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.kernels.cpu.shift_scores import compile_average, compile_score

_LANES = 8


@dataclass(frozen=True)
class ShiftGrid:
    """Shifts around any centre: the same offsets along x and along y.

    Raises
    ------
    ValueError
        If the extent is negative or there are no shifts.
    """

    extent: float
    """px: offsets are within ± this."""
    count: int
    """Offsets per axis, at the centres of that many cells."""

    def __post_init__(self) -> None:
        if not self.extent >= 0 or self.count < 1:
            raise ValueError(
                f"a grid of shifts needs an extent ≥ 0 px and at least one shift, got {self.extent} px, {self.count}."
            )

    @property
    def spacing(self) -> float:
        """px between neighbours."""
        return 2 * self.extent / self.count

    @property
    def offsets(self) -> np.ndarray:
        """(count,) px."""
        return (np.arange(self.count) + 0.5) * self.spacing - self.extent

    @cached_property
    def pairs(self) -> np.ndarray:
        """(count², 2) px, all shifts (x, y), x slowest."""
        return np.stack(np.meshgrid(self.offsets, self.offsets, indexing="ij"), axis=-1).reshape(-1, 2)

    def finer(self, factor: float) -> "ShiftGrid":
        """Equally many shifts within an extent smaller by a factor."""
        return ShiftGrid(self.extent / factor, self.count)


@dataclass(frozen=True)
class DiscRows:
    """The first entries of a half-disc, row by row."""

    disc: HalfDisc
    count: int
    """Number of entries, in whole shells."""

    @cached_property
    def _order(self) -> np.ndarray:
        return np.lexsort(self.disc.frequencies[: self.count].T)

    @cached_property
    def positions(self) -> np.ndarray:
        """(p,) entries in the order of their rows."""
        return self._order.astype(np.int64)

    @cached_property
    def columns(self) -> np.ndarray:
        """(p,) kx of these."""
        return self.disc.frequencies[self._order, 0].astype(np.int64)

    @cached_property
    def rows(self) -> np.ndarray:
        """(rows,) ky of each row."""
        return np.unique(self.disc.frequencies[: self.count, 1])

    @cached_property
    def starts(self) -> np.ndarray:
        """(rows + 1,) start of each row."""
        return np.searchsorted(self.disc.frequencies[self._order, 1], np.append(self.rows, self.rows[-1] + 1))

    def phases(self, axis: int, shifts: np.ndarray) -> np.ndarray:
        """exp(−2πi k t / box) (..., columns or rows, 2) float32 of shifts (...) in px along x (axis 0) or y (1)."""
        reach = np.arange(self.columns.max() + 1) if axis == 0 else self.rows
        turns = -2 * np.pi / self.disc.box_size * reach * np.asarray(shifts, dtype=np.float64)[..., None]
        return np.stack([np.cos(turns), np.sin(turns)], axis=-1).astype(np.float32)

    def tables(self, grid: ShiftGrid, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Phases of the grid's offsets along x (columns, 2, width) and y (rows, 2, width), flat, zero beyond them."""
        tables = []
        for axis in (0, 1):
            found = self.phases(axis, grid.offsets).transpose(1, 2, 0)
            tables.append(np.pad(found, ((0, 0), (0, 0), (0, width - grid.count))).ravel())
        return tables[0], tables[1]


def score_shifts(
    slices: Complex64[Tensor, "n p"],
    images: Complex64[Tensor, "b p"],
    weights: Float32[Tensor, "b p"],
    which: Int[np.ndarray, "n"],
    centres: Float32[np.ndarray, "n 2"],
    grid: ShiftGrid,
    rows: DiscRows,
) -> Float32[Tensor, "n t t"]:
    """Scores S (n, shifts along x, along y) of each slice against its image, see the module."""
    if slices.device.type != "cpu":
        return score_by_phases(slices, images, weights, which, centres, grid, rows)
    result = np.empty((len(slices), grid.count, grid.count), dtype=np.float32)
    values = [part.contiguous().numpy() for part in (slices, images, weights)]
    _run(compile_score(_width(grid)), (*values, which), centres, grid, rows, result)
    return torch.from_numpy(result)


def average_shifts(
    weights: Float32[Tensor, "n t t"],
    images: Complex64[Tensor, "b p"],
    which: Int[np.ndarray, "n"],
    centres: Float32[np.ndarray, "n 2"],
    grid: ShiftGrid,
    rows: DiscRows,
) -> Complex64[Tensor, "n p"]:
    """Averages Z (n, p) of each image over shifts, see the module."""
    if weights.device.type != "cpu":
        return average_by_phases(weights, images, which, centres, grid, rows)
    result = np.empty((len(weights), rows.count), dtype=np.complex64)
    values = (weights.contiguous().numpy(), images.contiguous().numpy())
    _run(compile_average(_width(grid)), (*values, which), centres, grid, rows, result)
    return torch.from_numpy(result)


def shift_phases(centres: np.ndarray, grid: ShiftGrid, rows: DiscRows, device: torch.device | str = "cpu") -> Tensor:
    """exp(−2πi k · t / box), (n, count², p) complex64, of every shift around each centre (n, 2)."""
    shifts = centres[:, None] + grid.pairs
    turns = -2 * np.pi / rows.disc.box_size * (shifts @ rows.disc.frequencies[: rows.count].T)
    return torch.from_numpy(np.exp(1j * turns).astype(np.complex64)).to(device)


def score_by_phases(
    slices: Tensor,
    images: Tensor,
    weights: Tensor,
    which: np.ndarray,
    centres: np.ndarray,
    grid: ShiftGrid,
    rows: DiscRows,
) -> Tensor:
    """``score_shifts`` with a matrix of phases: for any device, and as the reference in tests of the kernel."""
    chosen = torch.from_numpy(which).to(images.device)
    turned = shift_phases(centres, grid, rows, images.device)
    scores = torch.einsum("np,ntp->nt", slices.conj() * images[chosen], turned).real
    power = (weights[chosen] * slices.abs().square()).sum(1, keepdim=True)
    return (scores - power).reshape(-1, grid.count, grid.count)


def average_by_phases(
    weights: Tensor, images: Tensor, which: np.ndarray, centres: np.ndarray, grid: ShiftGrid, rows: DiscRows
) -> Tensor:
    """``average_shifts`` with a matrix of phases."""
    chosen = images[torch.from_numpy(which).to(images.device)]
    turned = shift_phases(centres, grid, rows, images.device)
    return chosen * torch.einsum("nt,ntp->np", weights.flatten(1).to(turned.dtype), turned)


def _width(grid: ShiftGrid) -> int:
    return _LANES * -(-grid.count // _LANES)


def _run(
    kernel: Callable[..., None],
    arguments: tuple[np.ndarray, ...],
    centres: np.ndarray,
    grid: ShiftGrid,
    rows: DiscRows,
    result: np.ndarray,
) -> None:
    """Call a kernel on ranges of the slices, over threads."""
    phases = tuple(rows.phases(axis, centres[:, axis]) for axis in (0, 1))
    rest = (*phases, *rows.tables(grid, _width(grid)), rows.starts, rows.positions, rows.columns, grid.count, result)
    run_ranges(kernel, len(result), *arguments, *rest)
