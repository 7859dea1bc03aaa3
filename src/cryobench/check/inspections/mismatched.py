"""Mismatched particles ("strangers"): the fraction that match their own prediction no better than another's."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cryobench.check.hypotheses.agreement import Matches, measure_agreement
from cryobench.check.hypotheses.catalogue import POSES_SHUFFLED
from cryobench.check.hypotheses.reading import Reading
from cryobench.check.hypotheses.trials import SURE, compare_gains
from cryobench.reconstruction.statistics import split_halves

_STEPS = 200
_STARTS = (0.1, 0.3, 0.6)
_LEAST = 50
"""Minimum number of particles for a statement on agreement."""
_BETTER = 12.5
"""Log-likelihood in nats by which two kinds must exceed one, equivalent to five standard errors."""


@dataclass(frozen=True)
class Strangers:
    """A mixture of particles that agree with the others, and of strangers that do not."""

    share: float
    """Fraction of strangers."""
    error: float
    """Standard error of ``share``, if the two kinds were known otherwise."""
    told_apart: bool
    """Whether two kinds explain the matches better than one; otherwise the fraction is meaningless."""
    among_themselves: bool = False
    """Whether strangers agree with one another: then they show something else, at correct poses."""


def find_strangers(matches: Matches, others: Matches) -> tuple[Strangers, Float[np.ndarray, "n"]]:
    """Fraction of the particles that match their own predictions no better than those at other rotations.

    Also the probability (n,) that each is one of them.

    For both kinds the match of an image is normally distributed about a multiple of its expected value. Multiple
    and deviation of strangers are those of ``others``; those of the other kind are fitted by expectation
    maximisation together with the fraction, and again without strangers.
    """
    slope, deviation = _fit(others, np.ones(len(others.found)))
    null = _normal(matches, slope, deviation)
    alone = _log_likelihood(_normal(matches, *_fit(matches, np.ones(len(null)))))
    likelihood, share, kind = max((_maximise(matches, null, share) for share in _STARTS), key=lambda found: found[0])
    both = np.maximum(share * null + (1 - share) * kind, 1e-300)
    error = float(1 / np.sqrt(np.square((null - kind) / both).sum()))
    return Strangers(share, error, likelihood - alone > _BETTER), share * null / both


def agree_among_themselves(reading: Reading, chosen: Int[np.ndarray, "m"]) -> bool:
    """Whether the chosen particles predict one another better than at each other's poses."""
    if len(chosen) < _LEAST:
        return False
    some, halves = reading.select(chosen), split_halves(len(chosen), 0)
    found, chance = (measure_agreement(each, halves) for each in (some, POSES_SHUFFLED.read(some)))
    gain, error = compare_gains(found.gains, chance.gains)
    return gain > SURE * error


def _maximise(
    matches: Matches, null: Float[np.ndarray, "n"], share: float
) -> tuple[float, float, Float[np.ndarray, "n"]]:
    """Log-likelihood, fraction of the null density (n,), density of the other kind, from an initial fraction."""
    weight = (matches.found > np.quantile(matches.found, share)).astype(np.float64)
    kind = _normal(matches, *_fit(matches, weight))
    for _ in range(_STEPS):
        weight = (1 - share) * kind / np.maximum(share * null + (1 - share) * kind, 1e-300)
        share = float(np.clip(1 - weight.mean(), 1e-6, 1 - 1e-6))
        kind = _normal(matches, *_fit(matches, weight))
    return _log_likelihood(share * null + (1 - share) * kind), share, kind


def _fit(matches: Matches, weight: Float[np.ndarray, "n"]) -> tuple[float, float]:
    """Ratio of found to expected matches, and the deviation from it."""
    slope = float((weight * matches.found * matches.expected).sum() / (weight * matches.expected**2).sum())
    variance = (weight * (matches.found - slope * matches.expected) ** 2).sum() / weight.sum()
    return slope, max(float(np.sqrt(variance)), 1e-6)


def _normal(matches: Matches, slope: float, deviation: float) -> Float[np.ndarray, "n"]:
    return np.exp(-((matches.found - slope * matches.expected) ** 2) / (2 * deviation**2)) / deviation


def _log_likelihood(density: Float[np.ndarray, "n"]) -> float:
    return float(np.log(np.maximum(density, 1e-300)).sum())
