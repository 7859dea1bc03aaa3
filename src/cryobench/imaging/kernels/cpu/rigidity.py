"""Elastic energy of tetrahedra from their three edges, and its gradient, on the CPU.

The nearest rotation of a 3 x 3 matrix is found by Newton's iteration for the polar form, X ← (X + X⁻ᵀ) / 2, where the
matrix keeps its hand and is not nearly flat; elsewhere by rotating R towards the matrix about the axis
Σ r_j × f_j / |Σ r_j · f_j| until that vanishes, which ends at a rotation whatever the matrix.
Sources: Higham, SIAM J. Sci. Stat. Comput. 7 (1986) 1160; Müller, Bender, Chentanez & Macklin, MIG 2016.
"""

import numpy as np
from numba import njit

_FLAT = 0.05
"""Determinant below which the polar form is not used."""
_CLOSE = 1e-12
_NEWTON_STEPS, _TURNS = 30, 200


@njit(nogil=True, cache=True)
def _cofactors(x, c):
    """Write det(x) x⁻ᵀ to ``c``; returns the determinant."""
    c[0, 0] = x[1, 1] * x[2, 2] - x[1, 2] * x[2, 1]
    c[0, 1] = x[1, 2] * x[2, 0] - x[1, 0] * x[2, 2]
    c[0, 2] = x[1, 0] * x[2, 1] - x[1, 1] * x[2, 0]
    c[1, 0] = x[0, 2] * x[2, 1] - x[0, 1] * x[2, 2]
    c[1, 1] = x[0, 0] * x[2, 2] - x[0, 2] * x[2, 0]
    c[1, 2] = x[0, 1] * x[2, 0] - x[0, 0] * x[2, 1]
    c[2, 0] = x[0, 1] * x[1, 2] - x[0, 2] * x[1, 1]
    c[2, 1] = x[0, 2] * x[1, 0] - x[0, 0] * x[1, 2]
    c[2, 2] = x[0, 0] * x[1, 1] - x[0, 1] * x[1, 0]
    return x[0, 0] * c[0, 0] + x[0, 1] * c[0, 1] + x[0, 2] * c[0, 2]


@njit(nogil=True, cache=True)
def _turn(f, r):
    """Rotate ``r`` to the rotation nearest to ``f``."""
    for _ in range(_TURNS):
        ox = oy = oz = 0.0
        dot = 0.0
        for j in range(3):
            ox += r[1, j] * f[2, j] - r[2, j] * f[1, j]
            oy += r[2, j] * f[0, j] - r[0, j] * f[2, j]
            oz += r[0, j] * f[1, j] - r[1, j] * f[0, j]
            dot += r[0, j] * f[0, j] + r[1, j] * f[1, j] + r[2, j] * f[2, j]
        scale = 1 / (abs(dot) + 1e-9)
        ox, oy, oz = ox * scale, oy * scale, oz * scale
        angle = np.sqrt(ox * ox + oy * oy + oz * oz)
        if angle < 1e-9:
            return
        ox, oy, oz = ox / angle, oy / angle, oz / angle
        sine, rest = np.sin(angle), 1 - np.cos(angle)
        for j in range(3):
            x, y, z = r[0, j], r[1, j], r[2, j]
            along = (ox * x + oy * y + oz * z) * rest
            r[0, j] = x * (1 - rest) + (oy * z - oz * y) * sine + ox * along
            r[1, j] = y * (1 - rest) + (oz * x - ox * z) * sine + oy * along
            r[2, j] = z * (1 - rest) + (ox * y - oy * x) * sine + oz * along


@njit(nogil=True, cache=True)
def nearest_rotation(f, r, c):
    """Write the rotation nearest to ``f`` to ``r``; ``c`` is scratch space for nine numbers."""
    if _cofactors(f, c) > _FLAT:
        for i in range(3):
            for j in range(3):
                r[i, j] = f[i, j]
        for _ in range(_NEWTON_STEPS):
            half = 0.5 / _cofactors(r, c)
            change = 0.0
            for i in range(3):
                for j in range(3):
                    new = 0.5 * r[i, j] + half * c[i, j]
                    change = max(change, (new - r[i, j]) ** 2)
                    r[i, j] = new
            if change < _CLOSE:
                return
        return
    for i in range(3):
        for j in range(3):
            r[i, j] = 1.0 if i == j else 0.0
    # The axis also vanishes at a half turn from the nearest rotation; from this start that is met only by chance.
    r[0, 0], r[0, 1], r[1, 0], r[1, 1] = np.cos(0.1), -np.sin(0.1), np.sin(0.1), np.cos(0.1)
    _turn(f, r)


@njit(nogil=True, cache=True)
def elastic_energy(positions, elements, axes, weights, energies, gradients, first, last):
    """Write Σ_t w_t |F_t − R_t|² of bodies ``first`` … ``last`` to energies (n,), add its gradient to (n, v, 3).

    Positions (n, v, 3) in units of the undeformed edges. Vertices (t, 4) of an element follow each other along edges
    parallel to ``axes`` (t, 3) when undeformed, so that those edges are the columns of F.
    """
    f, r, c = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    for i in range(first, last):
        at, back = positions[i], gradients[i]
        total = 0.0
        for t in range(len(elements)):
            weight = weights[t]
            for edge in range(3):
                a, b, column = elements[t, edge], elements[t, edge + 1], axes[t, edge]
                for k in range(3):
                    f[k, column] = at[b, k] - at[a, k]
            nearest_rotation(f, r, c)
            for edge in range(3):
                a, b, column = elements[t, edge], elements[t, edge + 1], axes[t, edge]
                for k in range(3):
                    left = f[k, column] - r[k, column]
                    total += weight * left * left
                    pull = np.float32(2 * weight * left)
                    back[b, k] += pull
                    back[a, k] -= pull
        energies[i] = total
