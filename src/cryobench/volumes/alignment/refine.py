"""Local refinement of a transform: Levenberg-Marquardt steps on rotation and shift with exact derivatives."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from cryobench.volumes.alignment.objective import Objective
from cryobench.volumes.rotate import MIRROR

_FIRST_DAMPING = 1e-3
_LAST_DAMPING = 1e6


@dataclass(frozen=True, eq=False)
class Candidate:
    """A transform x' = rotation (mirror) x + shift, shift (x, y, z) as a fraction of the box, with its score."""

    rotation: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]
    mirrored: bool
    score: float

    @property
    def matrix(self) -> Float[np.ndarray, "3 3"]:
        """Rotation and mirror in one orthogonal matrix."""
        return self.rotation @ MIRROR if self.mirrored else self.rotation


def refine(
    objective: Objective, candidate: Candidate, level: int, *, steps: int, tolerance: float = 1e-4
) -> Candidate:
    """Climb to the next maximum in band number ``level``, in at most ``steps`` evaluations.

    Converged when a step moves no point of the box's inscribed ball by more than ``tolerance`` of the box's size.
    """
    best = candidate
    found = objective.evaluate(best.matrix, best.shift, level)
    damping = _FIRST_DAMPING
    for _ in range(steps):
        damped = found.curvature + damping * np.diag(np.diag(found.curvature))
        step = np.linalg.solve(damped, found.gradient)
        turned = Rotation.from_rotvec(step[:3]).as_matrix() @ best.rotation
        trial = Candidate(turned, best.shift + step[3:], best.mirrored, best.score)
        tried = objective.evaluate(trial.matrix, trial.shift, level)
        if tried.score > found.score:
            best, found, damping = trial, tried, damping / 10
        elif damping > _LAST_DAMPING:
            break
        else:
            damping = max(10 * damping, 1e-2)
        if np.linalg.norm(step[:3]) / 2 + np.linalg.norm(step[3:]) < tolerance:
            break
    return Candidate(best.rotation, best.shift, best.mirrored, found.score)
