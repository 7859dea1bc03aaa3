"""Precisions of latents: inverse covariances of their errors, symmetric matrices stored as triangles."""

import numpy as np
from jaxtyping import Float


def pack_symmetric(matrices: Float[np.ndarray, "n d d"]) -> Float[np.ndarray, "n t"]:
    """Upper triangles (n, d (d + 1) / 2), row by row, of symmetric matrices (n, d, d)."""
    rows, columns = np.triu_indices(matrices.shape[1])
    return matrices[:, rows, columns]


def unpack_symmetric(packed: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "n d d"]:
    """Symmetric matrices (n, d, d) from their upper triangles (n, d (d + 1) / 2)."""
    d = int((np.sqrt(8 * packed.shape[1] + 1) - 1) / 2)
    rows, columns = np.triu_indices(d)
    matrices = np.empty((len(packed), d, d), dtype=packed.dtype)
    matrices[:, rows, columns] = matrices[:, columns, rows] = packed
    return matrices


def common_precision(latents: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d d"]:
    """Inverse covariance of the latents themselves, for every particle: their metric where precisions are unknown.

    Along directions without spread it is 0.
    """
    covariance = np.atleast_2d(np.cov(latents.astype(np.float64), rowvar=False))
    return np.broadcast_to(np.linalg.pinv(covariance, hermitian=True), (len(latents), *covariance.shape))
