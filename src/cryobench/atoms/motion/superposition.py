"""Superposition of many conformations on one: least-squares rigid motions (Kabsch, Acta Cryst. A32 (1976) 922)."""

import numpy as np
from jaxtyping import Float64


def fit_rigid_motions(
    points: Float64[np.ndarray, "m p 3"], reference: Float64[np.ndarray, "p 3"]
) -> tuple[Float64[np.ndarray, "m 3 3"], Float64[np.ndarray, "m 3"]]:
    """Rotations R and translations t such that R x + t is closest to the reference for each set of points (Å).

    ValueError for fewer than three points.
    """
    if len(reference) < 3:
        raise ValueError(f"superposition needs at least three points, got {len(reference)}.")
    centres, home = points.mean(axis=1), reference.mean(axis=0)
    covariance = np.einsum("mpi,pj->mij", points - centres[:, None], reference - home)
    left, _, right = np.linalg.svd(covariance)
    # The proper rotation of the two best orthogonal matrices.
    left[:, :, 2] *= np.sign(np.linalg.det(left) * np.linalg.det(right))[:, None]
    rotations = np.einsum("mik,mkj->mji", left, right)
    return rotations, home - np.einsum("mij,mj->mi", rotations, centres)


def move_rigidly(
    positions: Float64[np.ndarray, "m a 3"],
    rotations: Float64[np.ndarray, "m 3 3"],
    translations: Float64[np.ndarray, "m 3"],
) -> Float64[np.ndarray, "m a 3"]:
    """x' = R x + t for each conformation."""
    return positions @ rotations.transpose(0, 2, 1) + translations[:, None]
