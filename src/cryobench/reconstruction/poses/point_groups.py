"""Point groups: the rotations under which a particle looks the same, so that poses come in equivalent sets."""

import re

import numpy as np
from scipy.spatial.transform import Rotation

from cryobench._types import RotationArray

_NAMED = re.compile(r"[CD][1-9]\d*|T|O|I")


def point_group(name: str) -> RotationArray:
    """Rotations (g, 3, 3) of a point group, the identity among them, its main axis along z.

    Parameters
    ----------
    name
        "C1", "C7", "D2", "T", "O" or "I" (icosahedral, two-fold axes along x, y and z).

    Raises
    ------
    ValueError
        If there is no such group.
    """
    if not _NAMED.fullmatch(name):
        raise ValueError(f"a point group is written C1, C7, D2, T, O or I, got {name!r}.")
    return Rotation.create_group(name, axis="Z").as_matrix()


def in_asymmetric_unit(directions: np.ndarray, group: RotationArray, *, margin: float = 0.0) -> np.ndarray:
    """Whether view directions (n, 3) lie in one asymmetric unit of a group, or within ``margin`` radians of it.

    The unit holds the directions that are nearer to one generic direction than to any of its images under the group.
    """
    generic = np.array([1.0, 0.17, 0.31]) / np.linalg.norm([1.0, 0.17, 0.31])
    images = group @ generic
    others = images[np.linalg.norm(images - generic, axis=1) > 1e-6] - generic
    # Sines of the angles between the directions and the planes half-way to each image of the generic one.
    beyond = directions @ (others / np.linalg.norm(others, axis=1, keepdims=True)).T
    return (beyond <= np.sin(margin) + 1e-9).all(axis=1)
