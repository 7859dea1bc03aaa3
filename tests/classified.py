"""3D classification up to its last state, also from given labels."""

import numpy as np

from cryobench.data import Convergence, Particles
from cryobench.methods.classification_3d import Classification3DSettings
from cryobench.methods.classification_3d.iterations import Classification, Progression
from cryobench.reconstruction.engine import RunContext, iterate


def classify(
    particles: Particles,
    settings: Classification3DSettings,
    context: RunContext | None = None,
    initial_labels: np.ndarray | None = None,
) -> tuple[Progression, Convergence]:
    """State after all iterations and their outcome, from the start of the settings or from labels (n,)."""
    context = context or RunContext()
    run = Classification(particles, settings, context)
    if initial_labels is not None:
        run._first_labels = lambda: initial_labels
    kept = context.open_checkpoint(particles, {"method": "3d-class", **settings.model_dump(mode="json")})
    return iterate(run, kept, context.progress)
