"""Rotations of the point groups that protein complexes have, by their Schoenflies names.

The main axis is z. The twofold axes of a dihedral group lie in the plane x, y, one of them along x.
"""

import re
from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from cryobench._types import RotationArray

_NAME = re.compile(r"([CD])([1-9][0-9]?)|T|O|I")


@lru_cache(maxsize=64)
def point_group_rotations(symmetry: str) -> RotationArray:
    """Rotations (g, 3, 3) of a chiral point group, the identity first; read-only.

    ``symmetry`` is "C1", "C2", ..., "D2", "D3", ..., "T", "O" or "I". ValueError for any other name.
    """
    if not _NAME.fullmatch(symmetry) or symmetry == "D1":
        raise ValueError(f"a point group is named C1, C2, ..., D2, D3, ..., T, O or I; got {symmetry!r}.")
    group = Rotation.create_group(symmetry, axis="Z")
    # Rotations by the same angle stay in SciPy's order, whatever their angles' last bits.
    rotations = group.as_matrix()[np.argsort(np.round(group.magnitude(), 6), kind="stable")]
    rotations.setflags(write=False)
    return rotations
