"""The search for the best transform over all rotations, shifts and both hands, coarse to fine.

1. Candidates from correlations over all of SO(3) at low frequencies (``candidates``), each with its best shift.
2. The best of each hand climb by exact gradients through widening bands (``refine``); few are kept at each.
3. The last of each hand is refined in the full band, in one mask with the reference (``problem``), with shells
   weighted by how well they agree (``objective``).

No random numbers: the same input gives the same bits.
"""

import numpy as np

from cryobench.volumes.alignment.candidates import find_candidates, keep_distinct
from cryobench.volumes.alignment.objective import Objective
from cryobench.volumes.alignment.refine import Candidate, refine

_SEARCH_BANDS = (6, 10, 16)
_COARSE_LEVEL = 1
_KEPT = 12, 3
_SEPARATIONS = np.deg2rad(10.0), np.deg2rad(3.0)


def choose_bands(band: int) -> tuple[int, ...]:
    """Successive bands up to the widest, which is the last of them."""
    return (*(step for step in _SEARCH_BANDS if step < band), band)


def search_transforms(objective: Objective, *, try_mirror: bool) -> list[Candidate]:
    """The best transform of each hand tried, unmirrored first, to within about a degree."""
    level = _level(objective, _COARSE_LEVEL)
    found = find_candidates(objective, level, try_mirror=try_mirror)
    hands = (False, True) if try_mirror else (False,)
    return [_climb(objective, [one for one in found if one.mirrored == hand]) for hand in hands]


def polish(objective: Objective, candidate: Candidate) -> Candidate:
    """Refinement in the full band, shells weighted by their agreement; the score is the weighted one."""
    # Twice, since the weights come from the correlations at the transform reached.
    for _ in range(2):
        weighted = objective.weighted_by_likelihood(candidate.matrix, candidate.shift)
        candidate = refine(weighted, candidate, _level(objective, None), steps=15, tolerance=1e-5)
    return candidate


def _climb(objective: Objective, candidates: list[Candidate]) -> Candidate:
    kept = keep_distinct(candidates, _SEPARATIONS[0], _KEPT[0])
    for level in range(_level(objective, _COARSE_LEVEL) + 1):
        kept = _sort([refine(objective, one, level, steps=8) for one in kept])
    kept = keep_distinct(kept, _SEPARATIONS[1], _KEPT[1])
    return _sort([refine(objective, one, _level(objective, _COARSE_LEVEL + 1), steps=10) for one in kept])[0]


def _level(objective: Objective, wanted: int | None) -> int:
    """Index of a band, or of the last if it does not exist."""
    last = len(objective.lattice.bands) - 1
    return last if wanted is None else min(wanted, last)


def _sort(candidates: list[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda candidate: -candidate.score)
