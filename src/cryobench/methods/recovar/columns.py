"""Columns of the covariance of the volumes' spectra at chosen frequencies ξ (steps e to g).

With residuals r_i = m_i (y_i − C_i P_i μ), m_i the image mask, E r rᴴ = A Σ Aᴴ + Γ. The least-squares fit of column
ξ with the operator taken as diagonal is B / H,

    a_i  = Σ_q K(ω_q − ξ) C_q r_q                        the residual at ξ, where the slice passes near it
    B(ω) = Σ_i A_i*(C r conj(a) − C n),   n_p = Σ_q K C_q Γ_pq      the noise's own covariance taken off
    H(ω) = Σ_i A_i*(C² Σ_q K C_q²)

over full slices, A* by the trilinear kernel (width 1) and K the triangular kernel of width 2 an axis. A column is
complex and not Hermitian; its parts Cov(x̂_ω, Re x̂_ξ) and Cov(x̂_ω, Im x̂_ξ) are spectra of real volumes, which replace
a by its real and imaginary part, share H, and stand for column −ξ too. Only images whose slice passes within reach
of ξ, a share of about 2 / |ξ|, are touched.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from cryobench.fourier import fft_images
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.kernels.cpu.threads import run_parts
from cryobench.imaging.layout import GridLayout
from cryobench.methods._shared.passes import Passes
from cryobench.methods._shared.spectra import HalfDisc, ParticleSpectra
from cryobench.methods.recovar.column_kernel import CHANNELS, add_columns
from cryobench.methods.recovar.masked_images import MaskedImages
from cryobench.methods.recovar.mean import ssnr
from cryobench.methods.recovar.predicted import predict

_REACH = 8
"""Distance in Fourier index units beyond which masked noise is taken as independent."""


def estimate_variance(
    passes: Passes, mean_ft: FourierVolume, mask: Tensor, noise: np.ndarray, halves: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Variance v(ω) of the volumes' spectra on the native half-spectrum (z, y, h), and the mean's weight there.

    v = Σ A*(C² (|r|² − noise)) / Σ A*(C⁴), damped by the agreement of the half-sets shell by shell.
    """
    sums, _ = passes.run(_insert_variance, mean_ft, mask, noise, own=(halves,))
    numerator, weight = sums["sums"].totals()
    shells = weight.shell_indices().clamp(max=passes.disc.box_size // 2)
    flat, counts = shells.flatten(), weight.multiplicities().flatten().double()

    def over_shells(values: Tensor) -> Tensor:
        result = torch.zeros(int(flat.max()) + 1, dtype=torch.float64, device=values.device)
        return result.index_add_(0, flat, values.flatten().double() * counts)

    top, bottom = numerator.values.real, weight.values
    typical = (over_shells(bottom.mean(-1)) / over_shells(torch.ones_like(shells)).clamp(min=1))[shells].float()
    single = torch.where(bottom > 0, top / (bottom + 1e-3 * typical[..., None]).clamp(min=1e-30), 0)
    cross = over_shells(single[..., 0] * single[..., 1])
    power = (over_shells(single[..., 0] ** 2) * over_shells(single[..., 1] ** 2)).sqrt()
    agreement = torch.where(power > 0, cross / power.clamp(min=1e-30), 0).cpu().numpy()
    damping = typical / torch.from_numpy(ssnr(agreement)).float().to(typical)[shells]
    variance = top.sum(-1) / (bottom.sum(-1) + damping).clamp(min=1e-30)
    return variance.clamp(min=0), bottom.sum(-1)


def _insert_variance(
    spectra: ParticleSpectra, mean_ft: FourierVolume, mask: Tensor, noise: np.ndarray, halves: np.ndarray
) -> tuple[dict, dict]:
    disc, device = spectra.disc, spectra.device
    window = MaskedImages.of(mask.to(device), disc)
    mean_ft = mean_ft.to(device)
    sums = SliceAccumulator(disc.box_size, n_volumes=2, radius=disc.radius, device=device)
    power = torch.from_numpy(noise[disc.shells]).float().to(device)
    for packed in spectra.batches():
        masks = window.project(packed.rotations)
        residual = window.apply(packed.data - packed.ctf * predict(mean_ft, packed, disc), masks)
        share = masks.square().mean(dim=(1, 2))[:, None]
        excess = packed.ctf**2 * (residual.abs().square() - share * power)
        own = torch.nn.functional.one_hot(torch.from_numpy(halves[packed.indices]).long(), 2).float().to(device)
        sums.add(disc.unpack(excess + 0j), disc.unpack(packed.ctf**4), packed.rotations, class_weights=own)
    return {"sums": sums}, {}


def choose_columns(
    variance: Tensor, weight: Tensor, layout: GridLayout, *, n_columns: int, radius: float, exclusion: float
) -> np.ndarray:
    """Frequencies (c, 3) as integers (x, y, z), best first: largest weight times variance, none near another.

    From the half-space |ξ| ≤ ``radius`` without the origin; after each choice what lies within ``exclusion`` of it
    or of its mate is dropped. Fewer than ``n_columns`` if there are no more.
    """
    full, along_x = layout.frequencies
    keep_z = np.flatnonzero(np.abs(full) <= radius)
    keep_x = np.flatnonzero((along_x >= 0) & (along_x <= radius))
    part = np.ix_(keep_z, keep_z, keep_x)
    score = (variance * weight).cpu().numpy()[part]
    z, y, x = np.meshgrid(full[keep_z], full[keep_z], along_x[keep_x], indexing="ij")
    frequencies = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    order = np.lexsort((np.arange(score.size), -score.ravel()))
    inside = (frequencies**2).sum(axis=1) <= radius**2
    first = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    order = order[(inside & first.ravel())[order]]
    reach = int(np.floor(exclusion))
    offsets = np.array(list(product(range(-reach, reach + 1), repeat=3)))
    offsets = offsets[(offsets**2).sum(axis=1) <= exclusion**2]
    dropped: set[tuple[int, int, int]] = set()
    chosen: list[np.ndarray] = []
    for index in order:
        frequency = frequencies[index]
        if tuple(frequency.tolist()) in dropped:
            continue
        chosen.append(frequency)
        if len(chosen) == n_columns:
            break
        for near in frequency + offsets:
            dropped.add(tuple(near.tolist()))
            dropped.add(tuple((-near).tolist()))
    return np.array(chosen, dtype=np.int64).reshape(-1, 3)


@dataclass(frozen=True)
class ColumnSums:
    """B and H of some columns and both half-sets, before the mates are added."""

    values: np.ndarray
    """(c, 2, z, y, x, 5) float32: B for the real part of a (re, im), for its imaginary part (re, im), and H."""

    def __add__(self, other: "ColumnSums") -> "ColumnSums":
        return ColumnSums(self.values + other.values)


def accumulate_columns(
    passes: Passes,
    frequencies: np.ndarray,
    mean_ft: FourierVolume,
    mask: Tensor | None,
    noise: np.ndarray,
    halves: np.ndarray,
    width: float = 2.0,
) -> ColumnSums:
    """Sums of the columns at ``frequencies`` (c, 3): one pass over the particles. ``mask`` None: whole images."""
    sums, _ = passes.run(_insert_columns, frequencies, mean_ft, mask, noise, width, own=(halves,))
    return sums["columns"]


def _insert_columns(
    spectra: ParticleSpectra,
    frequencies: np.ndarray,
    mean_ft: FourierVolume,
    mask: Tensor | None,
    noise: np.ndarray,
    width: float,
    halves: np.ndarray,
) -> tuple[dict, dict]:
    disc, device = spectra.disc, spectra.device
    layout = GridLayout(disc.box_size, 1, "trilinear")
    window = None if mask is None else MaskedImages.of(mask.to(device), disc)
    mean_ft = mean_ft.to(device)
    grids = np.zeros((len(frequencies), 2, *layout.shape, CHANNELS), dtype=np.float32)
    lookup = _lookup(disc)
    deviation = np.sqrt(noise)[disc.shells].astype(np.float32)
    for packed in spectra.batches():
        residual = packed.data - packed.ctf * predict(mean_ft, packed, disc)
        if window is None:
            overlap = np.ones((len(residual), 1, 1), dtype=np.complex64)
        else:
            masks = window.project(packed.rotations)
            residual = window.apply(residual, masks)
            overlap = _mask_overlap(masks)
        arguments = (
            residual.cpu().numpy(),
            packed.ctf.cpu().numpy(),
            packed.rotations.cpu().numpy(),
            disc.frequencies.astype(np.float32),
            lookup,
            deviation,
            overlap,
            np.float32(width),
            layout.center,
            layout.center_x,
        )
        of_half = [np.flatnonzero(halves[packed.indices] == half) for half in (0, 1)]
        run_parts(
            add_columns,
            [
                (frequencies[column].astype(np.float32), of_half[half], *arguments, grids[column, half].reshape(-1))
                for column in range(len(frequencies))
                for half in (0, 1)
            ],
        )
    return {"columns": ColumnSums(grids)}, {}


def _lookup(disc: HalfDisc) -> np.ndarray:
    """(2r + 1, 2r + 1) by (ky, kx): 1 + packed index, negative where the entry is stored as its mate; 0 for none."""
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
