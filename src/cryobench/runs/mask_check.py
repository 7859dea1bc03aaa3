"""Check of a mask by the density it contains, of true volumes if known, else of a consensus of the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cryobench._progress import Progress
from cryobench.data import GroundTruth, Particles
from cryobench.io.adoption.masks import check_fraction, check_power
from cryobench.reconstruction.statistics import cut_mask, draw_consensus


def judge_mask(
    mask: np.ndarray,
    particles: Particles,
    truth: GroundTruth | None,
    source: Path | str,
    progress: Progress | None = None,
) -> str | None:
    """None if a mask (z, y, x) from ``source`` contains enough density, else a sentence on why it was not checked.

    Raises
    ------
    FormatError
        If it contains too little of every true volume; or, if none is known, of the particles' consensus.
    """
    if truth is not None and truth.volumes is not None and (truth.states >= 0).any():
        check_power(mask, truth.volumes, np.unique(truth.states[truth.states >= 0]), source)
        return None
    name = Path(source).name
    if particles.rotations is None:
        return f"{name} was not compared with the particles: they come without poses, and no true volume is known"
    halves = draw_consensus(particles, progress)
    if not check_fraction(cut_mask(torch.tensor(mask), halves.shape[-1]).numpy(), halves, source):
        return f"{name} was not compared with the particles: too few or too noisy for a consensus to show in a sample"
    return None
