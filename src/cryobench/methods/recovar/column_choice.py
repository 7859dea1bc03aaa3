"""Which columns of the covariance are estimated: where variance is large and well seen (steps e and f)."""

from itertools import product

import numpy as np
import torch
from torch import Tensor

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.layout import GridLayout
from cryobench.methods._shared.passes import Passes
from cryobench.methods._shared.spectra import ParticleSpectra
from cryobench.methods.recovar.masked_images import MaskedImages
from cryobench.methods.recovar.mean import ssnr
from cryobench.methods.recovar.predicted import predict


def estimate_variance(
    passes: Passes, mean_ft: FourierVolume, mask: Tensor | None, noise: np.ndarray, halves: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Variance v(ω) of the volumes' spectra on the native half-spectrum (z, y, h), and the mean's weight there.

    v = Σ A*(C² (|r|² − noise)) / Σ A*(C⁴), damped by the agreement of the half-sets shell by shell.
    """
    sums, _ = passes.run(_insert_variance, mean_ft, mask, noise, own=(halves,))
    numerator, weight = (total.to("cpu") for total in sums["sums"].totals())
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
    spectra: ParticleSpectra, mean_ft: FourierVolume, mask: Tensor | None, noise: np.ndarray, halves: np.ndarray
) -> tuple[dict, dict]:
    disc, device = spectra.disc, spectra.device
    window = None if mask is None else MaskedImages.of(mask.to(device), disc)
    mean_ft = mean_ft.to(device)
    sums = SliceAccumulator(disc.box_size, n_volumes=2, radius=disc.radius, device=device)
    power = torch.from_numpy(noise[disc.shells]).float().to(device)
    for packed in spectra.batches():
        residual, share = packed.data - packed.ctf * predict(mean_ft, packed, disc), 1.0
        if window is not None:
            masks = window.project(packed.rotations)
            residual = window.apply(residual, masks)
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
