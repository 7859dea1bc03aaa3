"""The anisotropic network model: slow motions of a molecule from its shape alone.

Atilgan et al. (Biophys. J. 80 (2001) 505): points (one CA atom per residue) closer than a cutoff are joined by
springs whose rest lengths are those of the structure. The energy is quadratic in the displacements and its Hessian is
made of 3 x 3 blocks −k u uᵀ, with u the direction from one point to the other. The six lowest modes, of eigenvalue
zero, are rigid motions; the next ones are the slow, collective motions of molecules. Springs weaken
with the square of the distance (Yang, Song & Jernigan, PNAS 106 (2009) 12347), which keeps loops from flapping; those
between neighbours in a chain (under 4.2 Å) are 20 times stronger.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.sparse import coo_matrix, csc_matrix, eye_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigsh, splu
from scipy.spatial import KDTree

from cryobench.atoms.tie_breaking import settle_axes

RIGID_MODES = 6
_SPACING = 3.8  # between neighbouring CA atoms, at which a spring has unit strength
_BONDED, _BONDED_STRENGTH = 4.2, 20.0
_LEAST_COLLECTIVITY = 0.2
_ZERO = 1e-8


@dataclass(frozen=True, eq=False)
class Modes:
    """Slow modes of a network of points, the slowest first.

    ``vectors`` (modes, points, 3) have unit length over all points; ``stiffness`` (modes,) is in units of the spring
    between two points 3.8 Å apart; thermal motion along mode k has the variance kT / stiffness[k].
    """

    vectors: Float64[np.ndarray, "modes p 3"]
    stiffness: Float64[np.ndarray, " modes"]

    def __len__(self) -> int:
        return len(self.stiffness)

    def scale_to(self, rmsf: float) -> Float64[np.ndarray, " modes"]:
        """Standard deviation in Å of each mode's amplitude, for a total RMSF in Å over all points.

        Variances are proportional to 1 / stiffness (equipartition). The RMSF is the root of the mean over points of
        their mean square displacement.
        """
        if not rmsf >= 0:
            raise ValueError(f"rmsf must be at least 0 Å, got {rmsf}.")
        variance = 1 / self.stiffness
        return np.sqrt(variance / variance.sum() * self.vectors.shape[1]) * rmsf


def find_slow_modes(positions: Float[np.ndarray, "p 3"], n_modes: int, *, cutoff: float = 15.0) -> Modes:
    """The slowest modes of the anisotropic network of these points (Å), without rigid motions.

    Modes involving less than a fifth of the points are skipped: they swing a loose end. Each
    vector's largest component is positive; degenerate modes, as in symmetric structures, are settled by
    `settle_axes`. Memory and time: about 300 MB and some seconds for 3,000 points.

    Raises
    ------
    ValueError
        If there are too few points for the modes, or the network is in several pieces, or parts of it are loose.
    """
    points = np.asarray(positions, dtype=np.float64)
    if not 1 <= n_modes <= 3 * len(points) - RIGID_MODES:
        raise ValueError(
            f"{len(points)} points have {max(0, 3 * len(points) - RIGID_MODES)} modes of motion, requested {n_modes}."
        )
    hessian = build_hessian(points, cutoff=cutoff)
    wanted = n_modes + 10
    while True:
        values, vectors = _lowest(hessian, min(wanted + RIGID_MODES, 3 * len(points)))
        if values[RIGID_MODES] < _ZERO * float(hessian.diagonal().mean()):
            raise ValueError(
                f"parts of the network can move freely: its springs (cutoff {cutoff:g} Å) do not hold all "
                f"{len(points)} points. Use a longer cutoff, or leave out loose parts."
            )
        shaped = settle_axes(vectors[RIGID_MODES:], values[RIGID_MODES:]).reshape(-1, len(points), 3)
        collective = np.flatnonzero(measure_collectivity(shaped) > _LEAST_COLLECTIVITY)
        if len(collective) >= n_modes or len(values) == 3 * len(points):
            break
        wanted *= 2
    if len(collective) < n_modes:
        raise ValueError(
            f"the network of {len(points)} points has {len(collective)} collective modes, not {n_modes}."
        )
    kept = collective[:n_modes]
    return Modes(shaped[kept], values[RIGID_MODES:][kept])


def find_held_points(positions: Float[np.ndarray, "p 3"], *, cutoff: float = 15.0) -> Bool[np.ndarray, " p"]:
    """Mask of the points that the network holds firmly: at least a third of the median number of neighbours.

    The others (tips of loops, ends of chains) would swing widely even in collective modes; attach them to a held one.
    """
    tree = KDTree(positions)
    neighbours = np.array([len(found) - 1 for found in tree.query_ball_point(positions, cutoff)])
    return neighbours >= np.median(neighbours) / 3


def build_hessian(points: Float64[np.ndarray, "p 3"], *, cutoff: float) -> csc_matrix:
    """(3p, 3p) sparse Hessian of the network. ValueError if it is in several pieces."""
    count = len(points)
    pairs = KDTree(points).query_pairs(cutoff, output_type="ndarray")
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    pieces = connected_components(links, directed=False, return_labels=False)
    if pieces > 1:
        raise ValueError(
            f"with a cutoff of {cutoff:g} Å the network of {count} points falls into {pieces} pieces. "
            "Use a longer one."
        )
    offset = points[pairs[:, 1]] - points[pairs[:, 0]]
    squared = (offset**2).sum(axis=1)
    if not squared.min(initial=np.inf) > 1e-6:
        raise ValueError("two points of the network coincide.")
    strength = np.where(squared < _BONDED**2, _BONDED_STRENGTH, 1.0) * _SPACING**2 / squared
    blocks = np.einsum("p,pi,pj->pij", strength / squared, offset, offset)
    diagonal = np.zeros((count, 3, 3))
    np.add.at(diagonal, pairs[:, 0], blocks)
    np.add.at(diagonal, pairs[:, 1], blocks)
    rows = np.concatenate([pairs[:, 0], pairs[:, 1], np.arange(count)])
    columns = np.concatenate([pairs[:, 1], pairs[:, 0], np.arange(count)])
    values = np.concatenate([-blocks, -blocks, diagonal])
    axes = np.arange(3)
    row = np.broadcast_to(3 * rows[:, None, None] + axes[:, None], values.shape)
    column = np.broadcast_to(3 * columns[:, None, None] + axes, values.shape)
    return csc_matrix((values.ravel(), (row.ravel(), column.ravel())), shape=(3 * count, 3 * count))


def _lowest(hessian: csc_matrix, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest eigenvalues (m,) and eigenvectors (m, 3p), ascending."""
    size = len(hessian.diagonal())
    if size < 400 or count > size // 3:
        values, vectors = np.linalg.eigh(hessian.toarray())
        return values[:count], vectors.T[:count]
    # Shift-invert just below zero, where the matrix is positive definite and can be factored without pivoting.
    shift = 1e-4 * float(hessian.diagonal().mean())
    shifted = csc_matrix(hessian + shift * eye_array(size))
    factors = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    inverse: Any = LinearOperator(factors.shape, matvec=factors.solve, dtype=np.float64)  # pyright: ignore
    start = np.random.default_rng(0).standard_normal(size)  # any start works, but it must always be the same
    values, vectors = eigsh(hessian, k=count, sigma=-shift, which="LM", v0=start, OPinv=inverse)
    order = np.argsort(values)
    return values[order], vectors.T[order]


def measure_collectivity(vectors: Float64[np.ndarray, "modes p 3"]) -> Float64[np.ndarray, " modes"]:
    """Fraction of the points taking part in each mode: exp of the entropy of their squared displacements.

    Source: Brüschweiler, J. Chem. Phys. 102 (1995) 3396.
    """
    fraction = (vectors**2).sum(axis=2)
    fraction = fraction / fraction.sum(axis=1, keepdims=True)
    return np.exp(-(fraction * np.log(np.maximum(fraction, 1e-300))).sum(axis=1)) / vectors.shape[1]
