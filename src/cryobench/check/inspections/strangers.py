"""Particles that agree with nothing: the share of them that match their prediction as they match one of others."""

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
"""Particles below which nothing is said of how they agree."""
_BETTER = 12.5
"""Log-likelihood that two kinds must win over one, in nats: as five standard errors do."""


@dataclass(frozen=True)
class Strangers:
    """A mixture of particles that agree with the others, and of such that do not."""

    share: float
    """Of those that do not."""
    error: float
    """Standard error of ``share``, were the two kinds known but for it."""
    told_apart: bool
    """Whether two kinds explain the matches better than one; else the share means nothing."""
    among_themselves: bool = False
    """Whether they agree with one another: then they are something else, and their poses are not wrong."""


def find_strangers(matches: Matches, others: Matches) -> tuple[Strangers, Float[np.ndarray, "n"]]:
    """Share of the particles that match their own predictions as they match those at rotations of others.

    Also the probability (n,) of each of them to be such a one.

    Of both kinds the match of an image is normally distributed about a multiple of what is expected of it. Multiple
    and deviation of strangers are those of ``others``; those of the other kind are fitted by expectation
    maximisation, along with the share, and so again without any strangers.
    """
    slope, deviation = _fit(others, np.ones(len(others.found)))
    null = _normal(matches, slope, deviation)
    alone = _log_likelihood(_normal(matches, *_fit(matches, np.ones(len(null)))))
    likelihood, share, kind = max((_maximise(matches, null, share) for share in _STARTS), key=lambda found: found[0])
    both = np.maximum(share * null + (1 - share) * kind, 1e-300)
    error = float(1 / np.sqrt(np.square((null - kind) / both).sum()))
    return Strangers(share, error, likelihood - alone > _BETTER), share * null / both


def agree_among_themselves(reading: Reading, chosen: Int[np.ndarray, "m"], seed: int = 0) -> bool:
    """Whether some of the particles predict one another better than at poses of others among them."""
    if len(chosen) < _LEAST:
        return False
    some, halves = reading.select(chosen), split_halves(len(chosen), seed)
    found, chance = (measure_agreement(each, halves) for each in (some, POSES_SHUFFLED.read(some)))
    gain, error = compare_gains(found.gains, chance.gains)
    return gain > SURE * error


def _maximise(
    matches: Matches, null: Float[np.ndarray, "n"], share: float
) -> tuple[float, float, Float[np.ndarray, "n"]]:
    """Log-likelihood, share of the null density (n,), and the density of the other kind, from a share on."""
    weight = (matches.found > np.quantile(matches.found, share)).astype(np.float64)
    kind = _normal(matches, *_fit(matches, weight))
    for _ in range(_STEPS):
        weight = (1 - share) * kind / np.maximum(share * null + (1 - share) * kind, 1e-300)
        share = float(np.clip(1 - weight.mean(), 1e-6, 1 - 1e-6))
        kind = _normal(matches, *_fit(matches, weight))
    return _log_likelihood(share * null + (1 - share) * kind), share, kind


def _fit(matches: Matches, weight: Float[np.ndarray, "n"]) -> tuple[float, float]:
    """Multiple of what is expected that is found, and the deviation from it."""
    slope = float((weight * matches.found * matches.expected).sum() / (weight * matches.expected**2).sum())
    variance = (weight * (matches.found - slope * matches.expected) ** 2).sum() / weight.sum()
    return slope, max(float(np.sqrt(variance)), 1e-6)


def _normal(matches: Matches, slope: float, deviation: float) -> Float[np.ndarray, "n"]:
    return np.exp(-((matches.found - slope * matches.expected) ** 2) / (2 * deviation**2)) / deviation


def _log_likelihood(density: Float[np.ndarray, "n"]) -> float:
    return float(np.log(np.maximum(density, 1e-300)).sum())
