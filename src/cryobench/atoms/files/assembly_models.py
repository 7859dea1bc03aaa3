"""Models of one file that are copies in an assembly, as in RCSB's ``.pdb1`` files, not conformations.

Copies are one rigid body at several positions: superposed, they agree to the rounding of their coordinates, and in
place they do not overlap. Conformations (NMR, trajectories) fail the first test, frames of a moving body the
second.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from scipy.spatial import KDTree

from cryobench.atoms.files.records import AtomRecords
from cryobench.atoms.motion.superposition import fit_rigid_motions, move_rigidly

_SAME = 0.02
_TOUCH, _MOST_TOUCHING = 1.5, 0.02


def are_copies(models: Sequence[AtomRecords]) -> bool:
    """Whether several models are adjacent: copies of one rigid body, or parts made of different atoms."""
    if len(models) < 2 or min(len(model) for model in models) < 3:
        return False
    first, *others = models
    for other in others:
        if not _same_atoms(first, other):
            continue  # parts of different atoms, which cannot be conformations
        motion = fit_rigid_motions(other.positions[None], first.positions)
        if np.abs(move_rigidly(other.positions[None], *motion)[0] - first.positions).max() > _SAME:
            return False
    earlier = [np.concatenate([each.positions for each in models[:index]]) for index in range(1, len(models))]
    return all(_lie_apart(before, other.positions) for before, other in zip(earlier, others, strict=True))


def join_copies(models: Sequence[AtomRecords]) -> AtomRecords:
    """One structure of all copies; chains of the second are named A-2, B-2, ..., as in RCSB's assemblies."""
    chains = [
        each.chains if number == 1 else np.array([f"{chain}-{number}" for chain in each.chains.tolist()])
        for number, each in enumerate(models, start=1)
    ]
    joined = {
        name: np.concatenate([getattr(each, name) for each in models])
        for name, value in vars(models[0]).items()
        if isinstance(value, np.ndarray)
    }
    joined["chains"] = np.concatenate(chains)
    joined["parts"] = np.concatenate([each.parts + 10**6 * number for number, each in enumerate(models)])
    return AtomRecords(**joined, aligned=models[0].aligned, cell=models[0].cell)


def _same_atoms(one: AtomRecords, other: AtomRecords) -> bool:
    return len(one) == len(other) and bool((one.padded_names == other.padded_names).all())


def _lie_apart(earlier: Float64[np.ndarray, "m 3"], copy: Float64[np.ndarray, "a 3"]) -> bool:
    distance, _ = KDTree(earlier).query(copy, distance_upper_bound=_TOUCH)
    return float(np.isfinite(np.asarray(distance)).mean()) <= _MOST_TOUCHING
