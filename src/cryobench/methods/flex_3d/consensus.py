"""Consensus of each half-set, and the power of noise and signal in the images."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.fourier import fft_volume, frequency_grid, ifft_volume
from cryobench.imaging.grid import FourierVolume, volume_to_fourier
from cryobench.reconstruction.engine import Passes, Rows, Sums
from cryobench.reconstruction.images import PosedSpectra, predict_images
from cryobench.reconstruction.statistics import solve_volumes, sum_classes

_LEAST_NOISE = 1e-3


@dataclass(frozen=True)
class Consensus:
    """Estimates before the motion."""

    halves: Tensor
    """(2, z, y, x) float32, of each half-set, inside its mask."""
    noise: np.ndarray
    """(radius + 1,) power of the images' residuals from the consensus, per shell."""
    signal: np.ndarray
    """(radius + 1,) power of the consensus in images, CTF included."""
    gain: np.ndarray
    """(radius + 1,) mean CTF² of each shell."""

    @property
    def volume(self) -> Float[Tensor, "z y x"]:
        """Mean volume (z, y, x) of the half-sets."""
        return self.halves.mean(0)


def find_consensus(passes: Passes, halves: Int[np.ndarray, "n"], mask: Float[Tensor, "z y x"]) -> Consensus:
    """Regularised back-projection of each half (n,) 0 or 1, in a mask, and the power of its residuals."""
    sums = sum_classes(passes, np.eye(2, dtype=np.float32)[halves], passes.mean_power)
    volumes, _ = solve_volumes(sums, mask=mask)
    found = passes.run(_sum_power, volume_to_fourier(volumes.mean(0)))[0]
    entries = len(passes) * passes.disc.shell_weights
    left, signal, gain = (found[name] / entries for name in ("left", "signal", "gain"))
    return Consensus(volumes, np.maximum(left, _LEAST_NOISE * passes.mean_power), signal, gain)


def _sum_power(spectra: PosedSpectra, volume_ft: FourierVolume) -> tuple[Sums, Rows]:
    """Weighted powers (radius + 1,) of the residuals from a volume, of its images, and of the CTF."""
    totals = {name: np.zeros(spectra.disc.radius + 1) for name in ("left", "signal", "gain")}
    for batch in spectra.batches():
        predicted = predict_images(volume_ft, batch, spectra.disc)
        for name, values in (("left", batch.data - predicted), ("signal", predicted)):
            totals[name] += spectra.disc.shell_power(values).sum(0).cpu().numpy()
        totals["gain"] += batch.ctf_power.sum(0).cpu().numpy()
    return totals, {}


def low_pass(volume: Float[Tensor, "z y x"], response: Float[Tensor, "z y h"]) -> Float[Tensor, "z y x"]:
    """The volume (z, y, x) times a response (z, y, h) of its spectrum: symmetric, so its own adjoint."""

    return ifft_volume(fft_volume(volume) * response, volume.shape[-1])


def make_response(box_size: int, radius: float, device: torch.device | str = "cpu") -> Float[Tensor, "z y h"]:
    """(z, y, h) response of a low pass to a radius in index units, with a soft edge of two shells."""

    distance = frequency_grid(box_size, 3, device=device).square().sum(-1).sqrt() * box_size
    return 0.5 + 0.5 * torch.cos(torch.pi * ((distance - radius + 1) / 2).clamp(0, 1))
