"""The subspace that the covariance columns span (step i): a randomised singular value decomposition."""

import numpy as np
import torch
from torch import Tensor

from cryobench.rng import stream

_OVERSAMPLING, _POWER_ROUNDS = 20, 3


def find_subspace(columns: np.ndarray, n_components: int, seed: int) -> tuple[Tensor, np.ndarray]:
    """Orthonormal volumes (k, v) that best span columns (c, v), and their singular values (k,), descending.

    By a randomised range finder with power iterations (Halko, Martinsson & Tropp, SIAM Review 53 (2011) 217,
    algorithms 4.4 and 5.1) on the real volumes of the columns; k is at most c.
    """
    matrix = torch.from_numpy(columns)
    rank = min(n_components, *matrix.shape)
    probes = min(rank + _OVERSAMPLING, *matrix.shape)
    test = stream(seed, "randomised SVD").standard_normal((len(matrix), probes)).astype(np.float32)
    basis = torch.linalg.qr(matrix.T @ torch.from_numpy(test)).Q
    for _ in range(_POWER_ROUNDS):
        basis = torch.linalg.qr(matrix.T @ torch.linalg.qr(matrix @ basis).Q).Q
    small = matrix @ basis
    _, values, right = torch.linalg.svd(small, full_matrices=False)
    return (right[:rank] @ basis.T).contiguous(), values[:rank].numpy()
