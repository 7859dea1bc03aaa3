"""Choice of covariance columns: where variance is large and well measured (steps e and f)."""

from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import FourierVolume
from cryobench.imaging.layout import GridLayout
from cryobench.methods.recovar.masks import masked_residuals
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import PosedSpectra
from cryobench.reconstruction.statistics import fsc_of_sums, signal_to_noise


def estimate_variance(
    passes: Passes,
    mean_ft: FourierVolume,
    mask: Float[Tensor, "z y x"] | None,
    noise: Float[np.ndarray, "s"],
    halves: Int[np.ndarray, "n"],
) -> tuple[Float[Tensor, "u v w"], Float[Tensor, "u v w"]]:
    """Variance v(ω) of the volumes' spectra on the stored half-grid (``imaging.layout``), and Σ A*(C⁴) there.

    v = Σ A*(C² (|r|² − noise)) / Σ A*(C⁴), damped by the agreement of the half-sets shell by shell.
    """
    sums, _ = passes.run(_insert_variance, mean_ft, mask, noise, own=(halves,))
    numerator, weight = (total.to("cpu") for total in sums["sums"].totals())
    top, bottom = numerator.values.real, weight.values
    typical = weight.shell_means().mean(-1)
    floor = weight.spread_shells(1e-3 * typical)[..., None]
    single = torch.where(bottom > 0, top / (bottom + floor).clamp(min=1e-30), 0)
    cross, *powers = weight.shell_sums(torch.stack([single.prod(-1), *single.square().unbind(-1)], dim=-1)).unbind(-1)
    ratio = signal_to_noise(fsc_of_sums(cross, *powers).numpy())
    damping = weight.spread_shells(typical / torch.from_numpy(ratio))
    variance = top.sum(-1) / (bottom.sum(-1) + damping).clamp(min=1e-30)
    return variance.clamp(min=0), bottom.sum(-1)


def _insert_variance(
    spectra: PosedSpectra,
    mean_ft: FourierVolume,
    mask: Float[Tensor, "z y x"] | None,
    noise: Float[np.ndarray, "s"],
    halves: Int[np.ndarray, "n"],
) -> tuple[Sums, Rows]:
    disc, device = spectra.disc, spectra.device
    sums = SliceAccumulator(disc.box_size, n_volumes=2, radius=disc.radius, device=device)
    power = disc.spread(noise, device)
    for left, masks in masked_residuals(spectra, mean_ft, mask):
        share = 1.0 if masks is None else masks.square().mean(dim=(1, 2))[:, None]
        excess = left.ctf**2 * (left.data.abs().square() - share * power)
        own = torch.from_numpy(np.eye(2, dtype=np.float32)[halves[left.indices]]).to(device)
        sums.add(disc.unpack(excess + 0j), disc.unpack(left.ctf**4), left.rotations, class_weights=own)
    return {"sums": sums}, {}


def choose_columns(
    variance: Float[Tensor, "u v w"],
    weight: Float[Tensor, "u v w"],
    layout: GridLayout,
    *,
    n_columns: int,
    radius: float,
    exclusion: float,
) -> Int[np.ndarray, "c 3"]:
    """Frequencies as integers (x, y, z), best first: largest weight times variance, none near another.

    From the half-space |ξ| ≤ ``radius`` without the origin; after each choice frequencies within ``exclusion`` of it
    or of its Friedel mate are dropped. Fewer than ``n_columns`` if there are no more.
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
