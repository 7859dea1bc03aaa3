"""Soft modes of a mesh: the displacements of least elastic energy per displacement of density.

To second order about the undeformed state the energy of ``rigidity`` is that of linear elasticity,
E = Σ_t w_t |sym ∇u|². Modes are the lowest solutions of K φ = ω² M φ, K the Hessian of E and M the density at the
vertices; the first six are rigid motions.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import eigsh
from torch import Tensor

from cryobench.reconstruction.deformation.mesh import Mesh

_LEAST_MASS = 1e-2
"""Mass of a vertex without density, relative to the mean."""
_SHIFT = 1e-3


def soft_modes(
    mesh: Mesh, weights: Float[np.ndarray, "t"], masses: Float[np.ndarray, "v"], count: int
) -> Float[Tensor, "c v 3"]:
    """(count, v, 3) float32 modes, softest first, each of unit mean square displacement of the density.

    Parameters
    ----------
    weights
        (t,) rigidity of the elements.
    masses
        (v,) density at the vertices, not negative.
    count
        Number of modes; fewer where the mesh has fewer.
    """
    size = 3 * mesh.n_vertices
    count = min(count, size - 2)
    fraction = masses / max(float(masses.sum()), 1e-30)
    fraction = fraction + _LEAST_MASS / len(fraction)
    mass = np.repeat(fraction / fraction.sum(), 3)
    stiffness = _stiffness(mesh, weights)
    typical = float(stiffness.diagonal().mean() / mass.mean())
    # From a fixed vector that lacks the symmetry of the lattice.
    start = np.cos(np.arange(size) ** 1.5)
    _, modes = eigsh(stiffness, count, diags_array(mass).tocsc(), sigma=-_SHIFT * typical, v0=start)
    return torch.from_numpy(modes.T.reshape(count, -1, 3).astype(np.float32))


def _stiffness(mesh: Mesh, weights: Float[np.ndarray, "t"]):
    """(3 v, 3 v) K: the Hessian of Σ w |sym F|² by displacements, F's columns differences along the path's edges."""
    n = len(mesh.elements)
    rows, columns, values = [], [], []
    for edge in range(3):
        axis = mesh.axes[:, edge]
        for sign, corner in ((1.0, edge + 1), (-1.0, edge)):
            for component in range(3):
                # Entry (component, axis) of the symmetric part, and its transpose.
                for first, second in ((np.full(n, component), axis), (axis, np.full(n, component))):
                    rows.append(9 * np.arange(n) + 3 * first + second)
                    columns.append(3 * mesh.elements[:, corner].astype(np.int64) + component)
                    values.append(np.full(n, sign / 2))
    joined = (np.concatenate(each) for each in (values, rows, columns))
    data, row, column = joined
    strain = coo_array((data, (row, column)), shape=(9 * n, 3 * mesh.n_vertices)).tocsr()
    return (strain.T @ diags_array(2 * np.repeat(weights.astype(np.float64), 9)) @ strain).tocsc()
