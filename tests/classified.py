"""3D classifications from given labels, and up to their last state."""

import numpy as np

from cryobench.data import Convergence, Particles
from cryobench.methods.classification_3d import Classification3DSettings
from cryobench.methods.classification_3d.iterations import Classification, Progression
from cryobench.reconstruction.engine import RunContext, iterate


def start_from_labels(
    particles: Particles, settings: Classification3DSettings, labels: np.ndarray, context: RunContext | None = None
) -> Classification:
    """A classification whose first classes are labels (n,) instead of those of the settings."""
    run = Classification(particles, settings, context or RunContext())
    run._first_labels = lambda: labels
    return run


def classify(
    particles: Particles,
    settings: Classification3DSettings,
    context: RunContext | None = None,
    initial_labels: np.ndarray | None = None,
) -> tuple[Progression, Convergence]:
    """State after all iterations and their outcome, from the start of the settings or from labels (n,)."""
    context = context or RunContext()
    if initial_labels is None:
        run = Classification(particles, settings, context)
    else:
        run = start_from_labels(particles, settings, initial_labels, context)
    kept = context.open_checkpoint(particles, {"method": "3d-class", **settings.model_dump(mode="json")})
    return iterate(run, kept, context.progress)
