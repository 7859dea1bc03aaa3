"""Data sets that are all truth: labels, variables, poses, and images that nobody looks at."""

from typing import Any

import numpy as np

from cryobench.data import ArrayImages, Dataset, GroundTruth, Particles, Reconstruction
from cryobench.imaging.ctf import Ctf


def labelled_dataset(states: np.ndarray, **truth: Any) -> Dataset:
    """Data set of particles with these states and further parts of ``GroundTruth``."""
    n = len(states)
    particles = Particles(
        ArrayImages(np.zeros((n, 2, 2), np.float32)), 1.0, Ctf.from_columns(n, defocus_u=1e4, defocus_v=1e4)
    )
    return Dataset(particles, GroundTruth(states, **truth), queries=np.arange(1), card={"name": "labelled"})


def classified(labels: np.ndarray, n_classes: int | None = None) -> Reconstruction:
    """Reconstruction that is certain of these classes; rows of NaN for negative ones."""
    labels = np.asarray(labels)
    posteriors = np.eye(int(labels.max()) + 1 if n_classes is None else n_classes)[labels]
    posteriors[labels < 0] = np.nan
    return Reconstruction(np.arange(1), posteriors=posteriors)


def embedded(latents: np.ndarray) -> Reconstruction:
    """Reconstruction with these latents alone."""
    return Reconstruction(np.arange(1), latents=latents)
