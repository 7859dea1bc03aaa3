"""Rotation, hand and offset between two sets of poses, which no reconstruction from images can determine.

With x_particle = R x_reference (CONVENTIONS.md 4), a reconstruction whose reference is turned by Gᵀ against the true
one has R = R_true Gᵀ: a rotation G on the *right* of its matrices brings them back. If its reference is the mirror
image by M = diag(1, 1, −1), its projections are the true ones for M R_true M, so that M R M G is compared; the
published code multiplies by M on the left alone and lets an improper rotation absorb the rest, which is equivalent.
If its reference is displaced, every shift changes by the displacement turned by the particle's rotation, projected
along z: shift = true shift + (R offset)_xy, for either hand.

The rotation is that of least mean chordal distance, an L1 mean over SO(3), which ignores wrong poses as a
median ignores outliers. The published rule (mode "published") takes 30 particles, the rotation that makes each of
them right, and chooses the one with the least median squared Frobenius error, for both hands.

Source: Jeon et al., CryoBench, NeurIPS 2024, and its code, metrics/pose_error; Hartley, Aftab & Trumpf, L1 rotation
averaging using the Weiszfeld algorithm, CVPR 2011; Weiszfeld, Tohoku Math. J. 43 (1937) 355.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from cryobench._sampling import spread_indices
from cryobench._types import RotationArray, ShiftArray
from cryobench.rng import stream

MIRROR = np.diag([1.0, 1.0, -1.0])
Mode = Literal["robust", "published"]

PUBLISHED_TRIALS = 30
_STARTS = 200
"""Particles whose own rotation is tried as a start."""
_JUDGES = 4000
"""Particles on which starts and hands are judged; the best is refined on all."""
_REFINED = 3
"""Number of best starts that are refined."""
_STEPS = 200
_TOLERANCE = 1e-8
"""Convergence of a step: chordal distance of successive rotations, Å of successive offsets."""
_SOFTENING = 1e-8
"""Distance below which the weight of a particle grows no further."""


@dataclass(frozen=True, eq=False)
class PoseAlignment:
    """Transform of the poses of a reconstruction into the true frame."""

    rotation: Float[np.ndarray, "3 3"]
    """Multiplied on the right."""
    mirrored: bool
    """Whether the reconstruction has the other hand."""

    def apply(self, rotations: RotationArray) -> Float[np.ndarray, "n 3 3"]:
        """Rotations (n, 3, 3) of a reconstruction in the true frame and hand."""
        rotations = np.asarray(rotations, dtype=np.float64)
        return (MIRROR @ rotations @ MIRROR if self.mirrored else rotations) @ self.rotation


def align_rotations(
    true_rotations: RotationArray, rotations: RotationArray, *, mode: Mode = "robust", seed: int = 0
) -> PoseAlignment:
    """Global rotation and hand that best align estimated rotations (n, 3, 3) to the true ones.

    Deterministic. The true hand is kept unless the mirrored one is strictly better.

    Parameters
    ----------
    mode
        "robust" or "published", see the module.
    seed
        Chooses the particles that the published rule tries; the robust rule does not use it.
    """
    if mode == "published":
        return _choose_published(true_rotations, rotations, seed)
    judges = spread_indices(len(rotations), _JUDGES)
    costs, averages = [], []
    for mirrored in (False, True):
        opinions = _opinions(true_rotations[judges], rotations[judges], mirrored=mirrored)
        starts = np.concatenate(
            [opinions[spread_indices(len(opinions), _STARTS)], [_nearest_rotation(opinions.mean(axis=0))]]
        )
        first = _distance(starts.reshape(-1, 9) @ opinions.reshape(-1, 9).T).mean(axis=1)
        refined = [_refine(opinions, starts[start]) for start in np.argsort(first, kind="stable")[:_REFINED]]
        cost, average = min(refined, key=lambda pair: pair[0])
        costs.append(cost)
        averages.append(average)
    mirrored = costs[1] < costs[0]
    average = averages[int(mirrored)]
    if len(judges) < len(rotations):
        _, average = _refine(_opinions(true_rotations, rotations, mirrored=mirrored), average)
    return PoseAlignment(average, mirrored)


def _opinions(true_rotations: np.ndarray, rotations: np.ndarray, *, mirrored: bool) -> np.ndarray:
    """Global rotation (n, 3, 3) by which each particle would be exactly right."""
    turned = PoseAlignment(np.eye(3), mirrored).apply(rotations)
    return turned.swapaxes(-1, -2) @ np.asarray(true_rotations, dtype=np.float64)


def _refine(opinions: np.ndarray, rotation: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean chordal distance and L1 mean of rotations, by Weiszfeld's iteration from a start."""
    flat = opinions.reshape(-1, 9)
    best = float(_distance(flat @ rotation.ravel()).mean()), rotation
    for _ in range(_STEPS):
        weights = 1 / np.maximum(_distance(flat @ rotation.ravel()), _SOFTENING)
        following = _nearest_rotation((weights @ flat).reshape(3, 3) / weights.sum())
        step = np.linalg.norm(following - rotation)
        rotation = following
        cost = float(_distance(flat @ rotation.ravel()).mean())
        if cost < best[0]:
            best = cost, rotation
        if step < _TOLERANCE:
            break
    return best


def _distance(products: np.ndarray) -> np.ndarray:
    """Chordal distance of pairs of rotations from their inner products: ‖A − B‖² = 6 − 2 ⟨A, B⟩."""
    return np.sqrt(np.maximum(6 - 2 * products, 0))


def _nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """Proper rotation nearest to a matrix (orthogonal Procrustes)."""
    left, _, right = np.linalg.svd(matrix)
    sign = np.sign(np.linalg.det(left) * np.linalg.det(right))
    return left @ np.diag([1.0, 1.0, sign]) @ right


def _choose_published(true_rotations: np.ndarray, rotations: np.ndarray, seed: int) -> PoseAlignment:
    """Among the rotations by 30 particles, for both hands, that of least median squared Frobenius error."""
    n = len(rotations)
    tried = stream(seed, "pose-alignment").permutation(n)[:PUBLISHED_TRIALS]
    best: tuple[float, PoseAlignment] | None = None
    for mirrored in (False, True):
        opinions = _opinions(true_rotations, rotations, mirrored=mirrored)
        for candidate in opinions[tried]:
            cost = float(np.median(6 - 2 * (opinions.reshape(n, 9) @ candidate.ravel())))
            if best is None or cost < best[0]:
                best = cost, PoseAlignment(candidate, mirrored)
    if best is None:
        raise ValueError("there is no particle to align.")
    return best[1]


def fit_offset(rotations: RotationArray, differences: ShiftArray, *, steps: int = _STEPS) -> Float[np.ndarray, "3"]:
    """Displacement (3,) of the reference, in Å, that explains most of the ``differences`` (n, 2) of shifts.

    Least sum of distances |difference − (R offset)_xy|, by reweighted least squares from the plain least squares:
    shifts that are wrong are ignored as by a median. ``rotations`` are the estimated ones.
    """
    rows = np.asarray(rotations, dtype=np.float64)[:, :2].reshape(-1, 3)
    targets = np.asarray(differences, dtype=np.float64).ravel()
    weights = np.ones(len(targets))
    offset = np.zeros(3)
    best = float(_lengths(targets).mean()), offset
    for _ in range(steps):
        weighted = rows * weights[:, None]
        following = np.linalg.lstsq(weighted.T @ rows, weighted.T @ targets, rcond=None)[0]
        step, offset = float(np.linalg.norm(following - offset)), following
        residuals = _lengths(targets - rows @ offset)
        if residuals.mean() < best[0]:
            best = float(residuals.mean()), offset
        if step < _TOLERANCE:
            break
        inverse = 1 / np.maximum(residuals, _SOFTENING)
        weights = np.repeat(inverse / inverse.mean(), 2)
    return best[1]


def _lengths(components: np.ndarray) -> np.ndarray:
    """Lengths (n,) of 2D vectors laid end to end (2n,)."""
    return np.hypot(components[0::2], components[1::2])
