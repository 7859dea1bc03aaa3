"""Particles that agree with nothing: the share of them whose gain is what it would be at another one's rotation."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_STEPS = 100
_STARTS = (0.02, 0.1, 0.3, 0.6)
_APART = 1.0
"""Standard deviations, of both added, between the two kinds, below which they cannot be told apart."""


@dataclass(frozen=True)
class Strangers:
    """A mixture of particles that agree with the others, and of such that do not."""

    share: float
    """Of those that do not."""
    error: float
    told_apart: bool
    """Whether gains of the two kinds are apart; else the share means nothing."""


def find_strangers(gains: Float[np.ndarray, "n"], strangers: Float[np.ndarray, "n"]) -> Strangers:
    """Share of the particles whose gains (n,) are as those at rotations of other images (n,).

    Two normal distributions are mixed: that of strangers, as it was measured, and one that is fitted by expectation
    maximisation.
    """
    null_mean, null_deviation = float(np.median(strangers)), _robust_deviation(strangers)
    null = _normal(gains, null_mean, null_deviation)
    found = [_maximise(gains, null, share) for share in _STARTS]
    _, share, mean, deviation = max(found)
    apart = abs(mean - null_mean) > _APART * (deviation + null_deviation)
    return Strangers(share, float(np.sqrt(share * (1 - share) / len(gains))), apart)


def _maximise(
    gains: Float[np.ndarray, "n"], null: Float[np.ndarray, "n"], share: float
) -> tuple[float, float, float, float]:
    """Log-likelihood, share of the null density (n,), and mean and deviation of the other kind, from a share on."""
    others = np.sort(gains)[int(share * len(gains)) :]
    mean, deviation = float(np.median(others)), _robust_deviation(others)
    likelihood = -np.inf
    for _ in range(_STEPS):
        parts = share * null, (1 - share) * _normal(gains, mean, deviation)
        total = np.maximum(parts[0] + parts[1], 1e-300)
        weight = parts[1] / total
        share = float(np.clip(1 - weight.mean(), 1e-6, 1 - 1e-6))
        mean = float((weight * gains).sum() / weight.sum())
        deviation = max(float(np.sqrt((weight * (gains - mean) ** 2).sum() / weight.sum())), 1e-6)
        likelihood = float(np.log(total).sum())
    return likelihood, share, mean, deviation


def _robust_deviation(values: Float[np.ndarray, "n"]) -> float:
    low, high = np.percentile(values, [25, 75])
    return max(float(high - low) / 1.349, 1e-6)


def _normal(values: Float[np.ndarray, "n"], mean: float, deviation: float) -> Float[np.ndarray, "n"]:
    return np.exp(-((values - mean) ** 2) / (2 * deviation**2)) / deviation
