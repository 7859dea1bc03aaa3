"""Shell-wise priors: signal against noise from half-sets, and Wiener-type regularisation of weighted sums.

With whitened data the least-squares volume is F / W, F = Σ A*(C y / σ²) and W = Σ A*(C² / σ²), A* the insertion of a
slice. It is regularised by the power τ² of each shell of F in excess of noise, V = F / (W + 1 / (T τ²))
(Scheres, J. Mol. Biol. 415 (2012) 406, eq. 12, T the tau2 fudge), τ² being estimated from F itself:

    E|F|² = W² τ² + κ W   =>   τ² = Σ max(|F|² − κ W, 0 in sum) / Σ W²   over a shell,

κ = 8/27 being the mean squared weight of the trilinear kernel over its mean weight.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.imaging.grid import FourierVolume

NOISE_GAIN = 8 / 27
LEAST_FSC, MOST_FSC = 0.001, 0.999
_LEAST_SNR = 1e-3


def signal_to_noise(fsc: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Ratio of signal to noise power FSC / (1 − FSC) of one half-set, the FSC clipped to [0.001, 0.999]."""
    kept = np.clip(fsc, LEAST_FSC, MOST_FSC)
    return kept / (1 - kept)


def estimate_prior(
    power: Float[Tensor, "*s"],
    weight: Float[Tensor, "*s"],
    squared_weight: Float[Tensor, "*s"],
    count: Float[Tensor, "*s"],
    fudge: float = 1.0,
) -> Float[Tensor, "*s"]:
    """Inverse prior power 1 / (T τ²) of each shell from sums over it, any shape.

    Where a shell shows no signal it is damped to a thousandth of the data's weight, not set to zero.

    Parameters
    ----------
    power
        Σ |F|² − κ W.
    weight, squared_weight
        Σ W and Σ W².
    count
        Entries in the shell.
    fudge
        T.
    """
    variance = (power / squared_weight.clamp(min=1e-300)).clamp(min=0)
    mean_weight = weight / count.clamp(min=1)
    return 1 / torch.maximum(fudge * variance, _LEAST_SNR / mean_weight.clamp(min=1e-30))


def invert_weight(numerator: FourierVolume, weight: FourierVolume, *, tau_fudge: float = 1.0) -> FourierVolume:
    """1 / (W + 1 / (T τ²)) of whitened sums (see the module), τ² estimated shell by shell and volume by volume.

    It is 0 beyond the last shell. Where nothing was inserted it is T τ².
    """
    last = (numerator.box_size - 1) // 2
    arrays = (
        numerator.values.abs().square() - NOISE_GAIN * weight.values,
        weight.values,
        weight.values**2,
        torch.ones_like(weight.values),
    )
    prior = estimate_prior(*numerator.sum_shells(arrays), fudge=tau_fudge)[: last + 1]
    beyond = torch.full_like(prior[:1], torch.inf)
    denominator = weight.values + numerator.spread_shells(torch.cat([prior, beyond]))
    return numerator.with_values(torch.where(denominator > 0, 1 / denominator.clamp(min=1e-30), 0))
