"""Objective of the alignment: a weighted mean of the Fourier shell correlations of a band.

In the search every shell has the same weight whatever its power, as in an FSC curve, so that neither sharpening nor a
filter of one of the volumes changes the result. A shell's norm hardly changes under a rotation; with fixed norms the
score is linear in the transformed volume, and its derivatives are exact and cheap.

For the last refinement the weight of a shell of N frequencies is N ρ / (1 − ρ²), ρ its correlation as found so far:
the derivative of the log-likelihood −½ Σ N log(1 − ρ²) of a reference seen through an unknown factor and unknown
noise in each shell. There the norm of the few frequencies of a low shell does depend on the rotation, so a shell's
correlation c / √p, with c the product and p the power relative to their initial values, counts as c − ρ (p − 1) / 2.

Shells with less than about a millionth of the power of the strongest contain mainly interpolation errors: their
weight falls to zero.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Float32

from cryobench.volumes.alignment import kernel
from cryobench.volumes.alignment.spectrum import PADDING, Lattice, Spectrum

_LEAST_POWER = 1e-6
_GREATEST_CORRELATION = 0.99
_LEAST_SCALE = 0.1


@dataclass(frozen=True, eq=False)
class Pair:
    """A volume and the reference to which it is aligned.

    ``volume_norms`` and ``reference_norms`` are root mean squares over shells, ``trust`` is in [0, 1] and falls
    with a shell's power.
    """

    volume: Spectrum
    reference: Spectrum
    volume_norms: Float[np.ndarray, "s"]
    reference_norms: Float[np.ndarray, "s"]
    trust: Float[np.ndarray, "s"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Score with gradient (6,) and curvature (6, 6) by rotation vector (radian) and shift (fraction of the box).

    The curvature is positive: about twice the loss per square of a step.
    """

    score: float
    gradient: Float[np.ndarray, "6"]
    curvature: Float[np.ndarray, "6 6"]


@dataclass(frozen=True, eq=False)
class Objective:
    """Score of one transform that aligns every pair's volume to its reference: the mean over pairs.

    ``weights`` are those of each pair's shells, ``correlations`` their FSC near the transform sought, None while
    unknown. Derived: ``targets`` and ``curvatures``, each pair's factors at the lattice's points, and
    ``totals``, the sum of the weights within each band.
    """

    pairs: list[Pair]
    lattice: Lattice
    weights: list[Float[np.ndarray, "s"]]
    correlations: list[Float[np.ndarray, "s"]] | None = None
    targets: list[Float32[np.ndarray, "p 2"]] = field(init=False)
    curvatures: list[Float32[np.ndarray, "p"]] = field(init=False)
    totals: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        shells = self.lattice.shells
        counts = np.maximum(np.bincount(shells), 1)
        targets, curvatures = [], []
        scales = [np.ones_like(part) for part in self.weights] if self.correlations is None else self.correlations
        for pair, weights, scale in zip(self.pairs, self.weights, scales, strict=True):
            still = pair.reference.sample(self.lattice.points.astype(np.float64))
            factor = _divide(weights, pair.volume_norms * pair.reference_norms * counts)
            targets.append((still.conj() * factor[shells]).astype(np.complex64).view(np.float32).reshape(-1, 2))
            curvatures.append(_divide(weights * scale, pair.volume_norms**2 * counts)[shells].astype(np.float32))
        totals = tuple(float(sum(part[: band + 1].sum() for part in self.weights)) for band in self.lattice.bands)
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "curvatures", curvatures)
        object.__setattr__(self, "totals", totals)

    def evaluate(self, matrix: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"], level: int) -> Evaluation:
        """Score in band ``level`` of the lattice, for V'(k) = exp(-2πi k·shift) V(k matrix)."""
        end = self.lattice.ends[level]
        sums = np.zeros(kernel.SUMS)
        known = self.correlations is not None
        points, penalty = self.lattice.points[:end], 1.0 if known else 0.0
        for pair, targets, curvatures in zip(self.pairs, self.targets, self.curvatures, strict=True):
            grid, centre, parts = pair.volume.grid, pair.volume.centre, (targets[:end], curvatures[:end])
            kernel.accumulate(grid, centre, float(PADDING), matrix, shift, points, *parts, penalty, sums)
        sums /= self.totals[level]
        curvature = np.zeros((6, 6))
        curvature[np.triu_indices(6)] = sums[7:]
        curvature += np.triu(curvature, 1).T
        # The sum counts the whole volume; the curvature comes from the part in common with the reference.
        scale = 1.0 if known else max(float(sums[0]), _LEAST_SCALE)
        return Evaluation(float(sums[0]), sums[1:7], scale * curvature)

    def measure(
        self, matrix: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"]
    ) -> list[Float[np.ndarray, "s"]]:
        """FSC of each pair under a transform, with the transformed volume's own norms; shell 0 is 0."""
        points = self.lattice.points
        phase = np.exp(-2j * np.pi * (points @ shift))
        return [
            correlate_shells(
                pair.volume.sample(points @ matrix) * phase,
                pair.reference.sample(points.astype(np.float64)),
                self.lattice,
            )
            for pair in self.pairs
        ]

    def score(self, matrix: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"]) -> float:
        """Mean of the FSC over the shells of the widest band, weighted only by trust, and over pairs."""
        curves = self.measure(matrix, shift)
        total = sum(float((pair.trust * curve).sum()) for pair, curve in zip(self.pairs, curves, strict=True))
        return total / sum(float(pair.trust.sum()) for pair in self.pairs)

    def weighted_by_likelihood(self, matrix: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"]) -> "Objective":
        """The objective with shells weighted by their information, from the correlations under a transform."""
        counts = np.bincount(self.lattice.shells)
        weights, correlations = [], []
        for pair, curve in zip(self.pairs, self.measure(matrix, shift), strict=True):
            # Chance alone gives shells of N independent frequencies correlations of about 1/√(2N).
            sure = np.clip(curve - 1 / np.sqrt(2 * np.maximum(counts, 1)), 0, _GREATEST_CORRELATION)
            weights.append(pair.trust * counts * sure / (1 - sure**2))
            correlations.append(np.clip(curve, 0, 1))
        if not sum(part.sum() for part in weights) > 0:
            return self
        return replace(self, weights=weights, correlations=correlations)


def make_objective(spectra: list[tuple[Spectrum, Spectrum]], lattice: Lattice) -> Objective:
    """Objective of (volume, reference) pairs in which every shell has the same weight."""
    positions = lattice.points.astype(np.float64)
    pairs = []
    for volume, reference in spectra:
        powers = [_shell_mean(np.abs(spectrum.sample(positions)) ** 2, lattice) for spectrum in (volume, reference)]
        trust = np.sqrt(_trust(powers[0]) * _trust(powers[1]))
        pairs.append(Pair(volume, reference, np.sqrt(powers[0]), np.sqrt(powers[1]), trust))
    return Objective(pairs, lattice, [pair.trust for pair in pairs])


def correlate_shells(first: np.ndarray, second: np.ndarray, lattice: Lattice) -> Float[np.ndarray, "s"]:
    """FSC of values at the lattice's points; shell 0, which it lacks, is 0."""
    overlap = _shell_mean(np.real(first * second.conj()), lattice)
    power = _shell_mean(np.abs(first) ** 2, lattice) * _shell_mean(np.abs(second) ** 2, lattice)
    return _divide(overlap, np.sqrt(power))


def _shell_mean(values: np.ndarray, lattice: Lattice) -> np.ndarray:
    counts = np.bincount(lattice.shells)
    return np.bincount(lattice.shells, weights=values) / np.maximum(counts, 1)


def _trust(power: np.ndarray) -> np.ndarray:
    greatest = power.max()
    return power / (power + _LEAST_POWER * greatest) if greatest > 0 else np.zeros_like(power)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator > 0)
