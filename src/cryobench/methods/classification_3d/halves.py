"""How far the volumes of a class from two half-sets of the particles agree.

The posteriors are the final ones, which were found with all particles: the volumes' noise is independent, the
division into classes is not, so that a class of noise shows some agreement too.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from cryobench.methods._shared.half_sets import find_resolution, volume_fsc
from cryobench.methods._shared.passes import Passes
from cryobench.methods.classification_3d.expectation import Options, add_up
from cryobench.methods.classification_3d.progression import Progression
from cryobench.methods.classification_3d.volumes import solve_volumes


@dataclass(frozen=True)
class Halves:
    """What half-sets say."""

    fsc: np.ndarray
    """(k, s) of each class."""
    resolutions: np.ndarray
    """(k,) Å at FSC = 0.143; the length of the box for a class with nothing to compare."""
    half_sets: np.ndarray
    """(n,) 0 or 1."""
    notes: list[str]


def compare_halves(
    passes: Passes,
    state: Progression,
    half_sets: np.ndarray,
    options: Options,
    tau_fudge: float,
    mask: Tensor,
    length: float,
) -> Halves:
    """Back-project the two half-sets with the final posteriors, and compare class by class."""
    posteriors, scales = state.members.posteriors, state.members.scales
    n_classes = posteriors.shape[1]
    volumes, counts = [], []
    for half in (0, 1):
        sums = add_up(passes, posteriors, scales, state.model.noise, options, half_sets == half)
        volumes.append(solve_volumes(sums, tau_fudge, mask)[0])
        counts.append(posteriors[half_sets == half].sum(axis=0))
    fsc = volume_fsc(*volumes)
    fsc[np.min(counts, axis=0) < 1] = 0
    resolutions = np.array([find_resolution(curve, length) for curve in fsc])
    notes = []
    empty = np.flatnonzero(np.max(counts, axis=0) < 1)
    lopsided = np.flatnonzero((np.min(counts, axis=0) < 1) & (np.max(counts, axis=0) >= 1))
    if len(empty):
        notes.append(f"{len(empty)} of {n_classes} classes have no particles: {_list(empty)}.")
    if len(lopsided):
        notes.append(f"classes {_list(lopsided)} have a half-set without particles: they have no half-set FSC.")
    return Halves(fsc, resolutions, half_sets, notes)


def _list(classes: np.ndarray) -> str:
    return ", ".join(map(str, classes))
