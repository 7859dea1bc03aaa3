"""Weighted back-projection of particles at given poses into K volumes: sums in one pass, volumes from the sums.

The spectrum of a box is sampled at the inverse of its length, whatever the number of voxels, so up to a radius r a
box of 2 r + 4 voxels over the same length has the same entries as the full one, at a fraction of the work.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryobench.fourier import fourier_crop
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.grid import fourier_to_volume
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.layout import GridLayout
from cryobench.reconstruction.engine.passes import Passes, Rows, Sums
from cryobench.reconstruction.images import Posed, PosedSpectra
from cryobench.reconstruction.statistics.priors import invert_weight
from cryobench.rotations import point_group


def small_box(box_size: int, radius: int) -> int:
    """Smallest even box that contains shells 0 … ``radius``; at most that of the images."""
    return min(2 * radius + 4, box_size)


@lru_cache(maxsize=32)
def disc_of(box_size: int) -> HalfDisc:
    """Largest half-disc of a box. Its whole shells are the first entries of that of any larger box, in order."""
    return HalfDisc(box_size, (box_size - 1) // 2)


def cut_mask(mask: Float[Tensor, "z y x"], box_size: int) -> Float[Tensor, "z2 y2 x2"]:
    """Mask (z, y, x) on fewer voxels over the same length."""
    if mask.shape[-1] == box_size:
        return mask
    return fourier_crop(mask, box_size, dimensions=3).clamp(0, 1)


@runtime_checkable
class OnDisc(Protocol):
    """Spectra packed on a half-disc, or a part of it."""

    disc: HalfDisc
    device: str


class ClassSums:
    """Running sums of particles of a shard for K volumes, up to a radius in the smallest box that contains it.

    Parameters
    ----------
    spectra
        The shard's spectra.
    n_volumes
        K.
    noise
        (radius + 1,) power of the noise in each shell, by which data are divided.
    reach
        Radius; None for that of the spectra, in their own box.
    threshold
        Weights below it are ignored.
    padding
        Padding of the grid.
    """

    def __init__(
        self,
        spectra: OnDisc,
        n_volumes: int,
        noise: Float[np.ndarray, "s"],
        *,
        reach: int | None = None,
        threshold: float = 0.0,
        padding: int = 1,
    ) -> None:
        full = spectra.disc
        box_size = full.box_size if reach is None else small_box(full.box_size, reach)
        reach = full.radius if reach is None else reach
        self._disc = full if box_size == full.box_size else disc_of(box_size)
        self._count = full.count(reach)
        self._threshold = threshold
        self._inverse = full.spread(1 / noise, spectra.device)[: self._count]
        self.sums = SliceAccumulator(
            box_size, n_volumes=n_volumes, radius=reach, padding=padding, device=spectra.device
        )

    def add(self, batch: Posed, weights: Float[Tensor, "m k"]) -> None:
        """Add particles with weights (m, k)."""
        data, ctf = batch.data[:, : self._count], batch.ctf[:, : self._count]
        scaled = ctf * self._inverse
        self.sums.add(
            self._disc.unpack(scaled * data),
            self._disc.unpack(scaled * ctf),
            batch.rotations,
            class_weights=weights,
            threshold=self._threshold,
        )


def sum_classes(
    passes: Passes,
    weights: Float[np.ndarray, "n k"],
    noise: Float[np.ndarray, "s"],
    *,
    scales: Float[np.ndarray, "n"] | None = None,
    chosen: Bool[np.ndarray, "n"] | None = None,
    reach: int | None = None,
    threshold: float = 0.0,
    padding: int = 1,
    symmetry: str = "C1",
) -> SliceAccumulator:
    """Sums Σ w_ik A*(C y / σ²) and Σ w_ik A*(C² / σ²) for K volumes, in one pass over the particles.

    Parameters
    ----------
    weights
        (n, k) float32.
    noise
        (radius + 1,) power of the noise in each shell.
    scales
        (n,) factors of the particles' CTFs; None for one.
    chosen
        (n,) mask of particles to include; None for all.
    reach, threshold, padding
        As ``ClassSums``.
    symmetry
        Point group of the volumes: each particle is added at all its equivalent orientations.
    """
    n = len(passes)
    scales = np.ones(n, dtype=np.float32) if scales is None else scales
    chosen = np.ones(n, dtype=bool) if chosen is None else chosen
    options = {"reach": reach, "threshold": threshold, "padding": padding}
    return passes.run(_sum_classes, noise, options, symmetry, own=(weights, scales, chosen))[0]["sums"]


def solve_volumes(
    sums: SliceAccumulator, *, tau_fudge: float = 1.0, mask: Float[Tensor, "z y x"] | None = None
) -> tuple[Float[Tensor, "k z y x"], Float[np.ndarray, "s k"]]:
    """Regularised volumes (k, z, y, x) from sums of K classes, one by one, and their leverage (r + 1, k).

    The leverage is the fraction of a particle's own noise in a volume, per CTF²: ⟨mask⟩ · mean of 1 / (W + 1 / Tτ²)
    over each shell. Volumes are multiplied by the mask (z, y, x), if there is one.
    """
    n_classes = len(sums.sums[0])
    volumes: Tensor | None = None
    leverage = []
    fraction = 1.0 if mask is None else float(mask.mean())
    for index in range(n_classes):
        numerator, weight = sums.totals_of(index)
        inverse = invert_weight(numerator, weight, tau_fudge=tau_fudge)
        volume = fourier_to_volume(numerator.with_values(numerator.values * inverse.values))
        if mask is not None:
            volume *= mask
        if volumes is None:
            volumes = volume.new_empty(n_classes, *volume.shape)
        volumes[index] = volume
        leverage.append(inverse.shell_means()[: numerator.layout.max_radius + 1].cpu().numpy())
    if volumes is None:
        raise ValueError("there are no classes.")
    return volumes, fraction * np.stack(leverage, axis=1)


def backproject(passes: Passes, weights: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k z y x"]:
    """Volumes (k, z, y, x) float32 of particles with weights (n, k), regularised, without a mask.

    The noise is the power of the images themselves.
    """
    return solve_volumes(sum_classes(passes, weights, passes.mean_power))[0].cpu().numpy()


def volume_bytes(box_size: int) -> float:
    """Bytes that one volume takes in ``backproject``: sums, their totals, and the volume."""
    return 2 * 12 * GridLayout(box_size).n_entries + 8 * box_size**3


def scale_batch(batch: Posed, scales: Float[np.ndarray, "n"]) -> Posed:
    """Batch whose CTFs are multiplied by the scales (n,) of its particles; unchanged where all are one."""
    own = scales[batch.indices]
    return batch if (own == 1).all() else batch.scaled(torch.from_numpy(own).to(batch.ctf))


def _sum_classes(
    spectra: PosedSpectra,
    noise: Float[np.ndarray, "s"],
    options: dict,
    symmetry: str,
    weights: Float[np.ndarray, "n k"],
    scales: Float[np.ndarray, "n"],
    chosen: Bool[np.ndarray, "n"],
) -> tuple[Sums, Rows]:
    sums = ClassSums(spectra, weights.shape[1], noise, **options)
    group = torch.tensor(point_group(symmetry), dtype=torch.float32, device=spectra.device)
    for batch in spectra.batches(chosen):
        own = torch.from_numpy(weights[batch.indices]).float().to(spectra.device)
        scaled = scale_batch(batch, scales)
        for turn in group:
            sums.add(replace(scaled, rotations=scaled.rotations @ turn), own)
    return {"sums": sums.sums}, {}
