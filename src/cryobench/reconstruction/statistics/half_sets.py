"""Half-sets: two random halves of the particles, and statistics from the agreement of their volumes.

The Fourier shell correlation of two volumes from independent halves gives the ratio of signal to noise power in each
shell, SSNR = FSC / (1 − FSC) for one half, and with it resolution and Wiener prior, without any truth.
Source: Rosenthal & Henderson, J. Mol. Biol. 333 (2003) 721; Scheres, J. Struct. Biol. 180 (2012) 519.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.fourier import fft_volume, shell_indices, shell_sum
from cryobench.rng import stream

GOLD_STANDARD = 0.143


def split_halves(n: int, seed: int) -> Int[np.ndarray, "n"]:
    """(n,) 0 or 1: random half-set of each particle, of equal sizes up to one. ValueError if one would be empty."""
    if n < 2:
        raise ValueError(f"two half-sets need at least two particles, there is {n}.")
    return stream(seed, "half-sets").permutation(np.arange(n) % 2)


def volume_fsc(first: Float[Tensor, "*k z y x"], second: Float[Tensor, "*k z y x"]) -> Float[np.ndarray, "*k s"]:
    """FSC (..., n // 2 + 1) of two volumes (z, y, x), or of K pairs, over rounded shells; 0 where one is empty."""
    size = first.shape[-1]
    indices, shells = shell_indices(size, 3, device=first.device), size // 2 + 1
    pairs = zip(first.reshape(-1, size, size, size), second.reshape(-1, size, size, size), strict=True)
    curves = []
    for one, other in pairs:
        one_ft, other_ft = fft_volume(one), fft_volume(other)
        cross, power, other_power = (
            shell_sum(values, indices, shells, box_size=size)
            for values in ((one_ft * other_ft.conj()).real, one_ft.abs().square(), other_ft.abs().square())
        )
        curves.append(fsc_of_sums(cross, power, other_power))
    return torch.stack(curves).reshape(*first.shape[:-3], shells).cpu().numpy()


def fsc_of_sums(
    cross: Float[Tensor, "*s"], power: Float[Tensor, "*s"], other_power: Float[Tensor, "*s"]
) -> Float[Tensor, "*s"]:
    """FSC from sums over shells of Re(F₀ conj F₁), |F₀|² and |F₁|²; 0 where a shell is empty."""
    scale = (power * other_power).sqrt()
    return torch.where(scale > 0, cross / scale.clamp(min=1e-30), 0)


def find_resolution(curve: Float[np.ndarray, "s"], length: float, *, threshold: float = GOLD_STANDARD) -> float:
    """Å at which an FSC curve first falls below ``threshold``, for a box of ``length`` Å; its finest shell if never.

    Interpolated linearly between shells. The zero frequency is ignored.
    """
    below = np.flatnonzero(curve[1:] < threshold)
    if len(below) == 0:
        return length / (len(curve) - 1)
    shell = int(below[0]) + 1
    if shell == 1:
        return length
    high, low = float(curve[shell - 1]), float(curve[shell])
    return length / (shell - 1 + (high - threshold) / (high - low))
