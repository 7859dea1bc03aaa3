"""Inspection of back-projected density: whether the particle is bright or dark, and whether a mask fits it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from cryobench.fourier import fft_volume, ifft_volume

_STRONGEST = 0.01
"""Fraction of the voxels of the central sphere that are used."""
_BRIGHT = 0.7
_LEAST_VOXELS = 30


@dataclass(frozen=True)
class Contrast:
    """Sign of the strongest density that two independent half-maps agree on."""

    positive: float
    """Fraction of the strongest voxels of each half that are positive in the other one."""
    error: float
    """Standard error of that fraction, for independent voxels."""
    verdict: Literal["right", "inverted", "open"]


def judge_contrast(halves: Float[np.ndarray, "2 z y x"]) -> Contrast:
    """Contrast from two half-maps (2, z, y, x).

    The strongest voxels of one half, by magnitude, within a central sphere 0.8 of the box wide, are looked up in the
    other half: molecules are denser than their surroundings, so these must be positive. Surroundings made negative by
    a lost zero frequency are never as strong.
    """
    box = halves.shape[-1]
    axis = np.arange(box) - box // 2
    inside = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < (0.4 * box) ** 2
    one, other = (half[inside] for half in halves)
    count = max(int(_STRONGEST * len(one)), min(_LEAST_VOXELS, len(one)))
    signs = []
    for first, second in ((one, other), (other, one)):
        strongest = np.argpartition(np.abs(first), -count)[-count:]
        signs.append(second[strongest] > 0)
    fraction = float(np.mean(signs))
    error = float(np.sqrt(max(fraction * (1 - fraction), 1 / (4 * count)) / count))
    if fraction - 2 * error > _BRIGHT:
        verdict = "right"
    else:
        verdict = "inverted" if fraction + 2 * error < 1 - _BRIGHT else "open"
    return Contrast(fraction, error, verdict)


@dataclass(frozen=True)
class MaskFit:
    """Fit of a mask to the common density of the half-maps."""

    held: float
    """Fraction of the common power within the mask."""
    best: float
    """The largest fraction that the mask would contain if shifted as a whole."""
    offset: tuple[int, int, int]
    """(x, y, z) shift in voxels of the mask's grid for that."""
    verdict: Literal["right", "displaced", "too small", "open"]


def judge_mask_fit(mask: Float[np.ndarray, "z y x"], halves: Float[np.ndarray, "2 z y x"]) -> MaskFit:
    """Fit of a mask (z, y, x) to two half-maps on the same grid.

    The product of the halves is on average their common power. Its correlation with the mask shows at which
    shift the mask would contain most of it.
    """
    common = halves[0] * halves[1]
    total = float(common.sum())
    box = mask.shape[-1]
    found, sought = (fft_volume(torch.from_numpy(np.asarray(each, np.float32))) for each in (common, mask))
    correlation = ifft_volume(found * sought.conj(), box).numpy() / max(total, 1e-30)
    middle = (box // 2,) * 3
    held = float(correlation[middle])
    peak = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    offset = tuple(int(each) - box // 2 for each in reversed(peak))
    best = float(correlation[peak])
    if total <= 0:
        return MaskFit(held, best, offset, "open")
    far = max(abs(each) for each in offset) > 1
    if far and best - held > 0.15:
        verdict = "displaced"
    else:
        verdict = "right" if best > 0.6 else "too small"
    return MaskFit(held, best, offset, verdict)
