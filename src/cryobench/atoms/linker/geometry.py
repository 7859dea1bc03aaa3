"""Atoms of a peptide from its backbone dihedrals, with ideal bond lengths and angles.

The chain grows atom by atom (NeRF: Parsons et al., J. Comput. Chem. 26 (2005) 1063): each atom carries a frame whose
x axis is the bond leading to it and whose z axis is normal to the plane of it and its two predecessors; the
next frame follows by one fixed matrix of bond, angle and dihedral. Lengths and angles are those of Engh and
Huber, Acta Cryst. A47 (1991) 392. Peptide carbonyls are planar; CB follows from N, CA and C.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64

from cryobench.atoms.linker.coil import LinkerDihedrals

C_O, CA_C_O = 1.231, 120.8
"""Carbonyl: bond in Å, angle in degrees."""
CA_CB = 1.530
"""Å."""
N_H = 1.01
"""Å; only for models with hydrogens."""
_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])


@dataclass(frozen=True)
class ResidueGeometry:
    """Ideal backbone of one residue: bonds in Å, angles in degrees."""

    n_ca: float = 1.458
    ca_c: float = 1.525
    n_ca_c: float = 111.2
    c_n: float = 1.329
    """Peptide bond to the preceding residue."""
    c_n_ca: float = 121.7
    """Angle at N, with C of the preceding residue."""
    ca_c_n: float = 116.2
    """Angle at C of the preceding residue, with its CA and this N."""
    n_ca_cb: float = 110.5
    c_ca_cb: float = 110.1


_GENERAL = ResidueGeometry()
IDEAL: dict[str, ResidueGeometry] = {
    "GLY": ResidueGeometry(n_ca=1.451, ca_c=1.516, n_ca_c=112.5, c_n_ca=120.6),
    "PRO": ResidueGeometry(n_ca=1.466, n_ca_c=111.8, c_n=1.341, c_n_ca=122.6, ca_c_n=116.9, n_ca_cb=103.0),
}
"""Residues that differ from the general one."""


def ideal_geometry(name: str) -> ResidueGeometry:
    """Ideal geometry of a residue by its name ("ALA")."""
    return IDEAL.get(name, _GENERAL)


@lru_cache(maxsize=64)
def _tabulate(
    names: tuple[str, ...],
) -> tuple[Float64[np.ndarray, "r 3"], Float64[np.ndarray, "r 3"], Float64[np.ndarray, "r 2"]]:
    """Bonds (Å) and angles (radian) of each residue in growing order, and the angles at the bond to CB."""
    ideal = [ideal_geometry(name) for name in names]
    bonds = np.array([(one.c_n, one.n_ca, one.ca_c) for one in ideal])
    angles = np.radians([(one.ca_c_n, one.c_n_ca, one.n_ca_c) for one in ideal])
    return bonds, angles, np.radians([(one.n_ca_cb, one.c_ca_cb) for one in ideal])


@dataclass(frozen=True, eq=False)
class Backbone:
    """A grown chain of r residues in its starting frame (a leading axis holds k alternatives)."""

    positions: Float64[np.ndarray, "*k r 3 3"]
    """(r, atom N CA C, xyz) in Å."""
    oxygens: Float64[np.ndarray, "*k r 3"]
    betas: Float64[np.ndarray, "*k r 3"]
    """Position of CB, also for glycine, which has none."""
    end: Float64[np.ndarray, "*k 4 4"]
    """Starting frame of the next residue."""


def frame_of(points: Float64[np.ndarray, "*k 3 3"]) -> Float64[np.ndarray, "*k 4 4"]:
    """Frame at the last of three points: x along the last bond, z normal to the plane of the three."""
    first, second, third = points[..., 0, :], points[..., 1, :], points[..., 2, :]
    x_axis = _normalise(third - second)
    z_axis = _normalise(_cross(second - first, x_axis))
    frame = np.zeros((*points.shape[:-2], 4, 4))
    frame[..., :3, 0], frame[..., :3, 1], frame[..., :3, 2] = x_axis, _cross(z_axis, x_axis), z_axis
    frame[..., :3, 3] = third
    frame[..., 3, 3] = 1.0
    return frame


def step_matrices(
    bonds: Float64[np.ndarray, " m"], angles: Float64[np.ndarray, " m"], dihedrals: Float64[np.ndarray, "*k m"]
) -> Float64[np.ndarray, "*k m 4 4"]:
    """Frame of each atom in that of the previous atom: bond (Å), angle at the previous atom, dihedral (radian)."""
    cosine, sine = np.cos(angles), np.sin(angles)
    across, up = np.cos(dihedrals), np.sin(dihedrals)
    steps = np.zeros((*dihedrals.shape, 4, 4))
    steps[..., 0, 0], steps[..., 1, 0], steps[..., 2, 0] = -cosine, sine * across, sine * up
    steps[..., 0, 1], steps[..., 1, 1], steps[..., 2, 1] = -sine, -cosine * across, -cosine * up
    steps[..., 1, 2], steps[..., 2, 2] = -up, across
    steps[..., :3, 3] = bonds[:, None] * steps[..., :3, 0]
    steps[..., 3, 3] = 1.0
    return steps


def start_frame(residue: Float64[np.ndarray, "3 3"], psi: float) -> Float64[np.ndarray, "4 4"]:
    """Starting frame of the chain after a residue (N, CA, C): that of its C, turned by its ψ (radian)."""
    return frame_of(residue) @ turn_about_x(np.array(psi))


def grow_backbone(names: Sequence[str], dihedrals: LinkerDihedrals) -> Backbone:
    """Grow r residues of these names from their dihedrals.

    The first starts from the frame of the preceding residue, turned by its ψ (`start_frame`), which is the
    frame of reference of the result; ``end`` is the same for the next residue. The last ω is not used.
    """
    bonds, angles, _ = _tabulate(tuple(names))
    count, many = len(names), dihedrals.phi.shape[:-1]
    turns = np.zeros((*many, count, 3))
    turns[..., 1:, 0], turns[..., 1], turns[..., 2] = (
        dihedrals.psi[..., :-1],
        dihedrals.omega[..., :-1],
        dihedrals.phi,
    )
    frames = _accumulate(step_matrices(bonds.ravel(), angles.ravel(), turns.reshape(*many, 3 * count)))
    carbons = frames[..., 2::3, :, :]
    outward = step_matrices(np.full(count, C_O), np.full(count, np.radians(CA_C_O)), dihedrals.psi + np.pi)
    positions = frames[..., :3, 3].reshape(*many, count, 3, 3)
    return Backbone(
        positions=positions,
        oxygens=(carbons @ outward)[..., :3, 3],
        betas=place_betas(positions, names),
        end=carbons[..., -1, :, :] @ turn_about_x(dihedrals.psi[..., -1]),
    )


def lead_to(
    residue: Float64[np.ndarray, "3 3"], name: str, omega: Float64[np.ndarray, "*k"], phi: float
) -> Float64[np.ndarray, "*k 4 4"]:
    """Frame in which a chain must end for this fixed residue (N, CA, C) to follow it.

    The bond between has ideal length and angles and dihedral ``omega``; ``phi`` is the residue's own.
    """
    arms = residue[[0, 2]] - residue[1]
    lengths = np.linalg.norm(arms, axis=1)
    ideal = ideal_geometry(name)
    inner = np.arccos(arms[0] @ arms[1] / lengths.prod())
    bonds = np.array([ideal.c_n, *lengths])
    angles = np.array([np.radians(ideal.ca_c_n), np.radians(ideal.c_n_ca), inner])
    turns = np.zeros((*omega.shape, 3))
    turns[..., 1], turns[..., 2] = omega, phi
    steps = _accumulate(step_matrices(bonds, angles, turns))
    return frame_of(residue) @ invert(steps[..., -1, :, :])


def turn_about_x(angles: Float64[np.ndarray, "*k"]) -> Float64[np.ndarray, "*k 4 4"]:
    """Rotations of a frame about its own x axis, the last bond, by these angles (radian)."""
    turns = np.zeros((*angles.shape, 4, 4))
    turns[..., 0, 0] = turns[..., 3, 3] = 1.0
    turns[..., 1, 1] = turns[..., 2, 2] = np.cos(angles)
    turns[..., 2, 1] = np.sin(angles)
    turns[..., 1, 2] = -turns[..., 2, 1]
    return turns


def invert(frame: Float64[np.ndarray, "*k 4 4"]) -> Float64[np.ndarray, "*k 4 4"]:
    """Inverse of a frame: its rotation and translation from outside to inside."""
    inverse = np.zeros_like(frame)
    inverse[..., :3, :3] = frame[..., :3, :3].swapaxes(-1, -2)
    inverse[..., :3, 3] = -np.einsum("...ji,...j->...i", frame[..., :3, :3], frame[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def move(
    frame: Float64[np.ndarray, "*_ 4 4"], points: Float64[np.ndarray, "*_ m 3"]
) -> Float64[np.ndarray, "*_ m 3"]:
    """Points in a frame transformed to the outer frame; either, or both, may hold k alternatives."""
    return points @ frame[..., :3, :3].swapaxes(-1, -2) + frame[..., None, :3, 3]


def _accumulate(steps: Float64[np.ndarray, "*k m 4 4"]) -> Float64[np.ndarray, "*k m 4 4"]:
    frames = steps.copy()
    for index in range(1, steps.shape[-3]):
        frames[..., index, :, :] = frames[..., index - 1, :, :] @ steps[..., index, :, :]
    return frames


def place_betas(backbone: Float64[np.ndarray, "*k r 3 3"], names: Sequence[str]) -> Float64[np.ndarray, "*k r 3"]:
    """CB of L-amino acids from (r, N CA C, xyz), at the ideal bond and the ideal angles to N and to C."""
    alpha = backbone[..., 1, :]
    to_n, to_c = _normalise(backbone[..., 0, :] - alpha), _normalise(backbone[..., 2, :] - alpha)
    wanted_n, wanted_c = np.cos(_tabulate(tuple(names))[2]).T
    between = (to_n * to_c).sum(axis=-1)
    # direction = p to_n + q to_c + s (to_n x to_c), of unit length, with the given cosines to both bonds.
    p = (wanted_n - between * wanted_c) / (1 - between**2)
    q = (wanted_c - between * wanted_n) / (1 - between**2)
    # Below 0 only for a residue too distorted for both cosines: then the nearest direction, in their plane.
    s = np.sqrt(np.maximum(1 - p * wanted_n - q * wanted_c, 0.0) / (1 - between**2))
    direction = p[..., None] * to_n + q[..., None] * to_c + s[..., None] * _cross(to_n, to_c)
    return alpha + CA_CB * _normalise(direction)


def place_amide_hydrogens(
    nitrogens: Float64[np.ndarray, "*k r 3"],
    before: Float64[np.ndarray, "*k r 3"],
    alphas: Float64[np.ndarray, "*k r 3"],
) -> Float64[np.ndarray, "*k r 3"]:
    """H on N, opposite the middle of its bonds to C of the residue before and to CA."""
    inward = _normalise(before - nitrogens) + _normalise(alphas - nitrogens)
    return nitrogens - N_H * _normalise(inward)


def _normalise(vectors: Float64[np.ndarray, "*k 3"]) -> Float64[np.ndarray, "*k 3"]:
    return vectors / np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))


def _cross(left: Float64[np.ndarray, "*k 3"], right: Float64[np.ndarray, "*k 3"]) -> Float64[np.ndarray, "*k 3"]:
    """Cross product, several times faster than NumPy's on few vectors, which are very frequent here."""
    return left[..., _NEXT] * right[..., _LAST] - left[..., _LAST] * right[..., _NEXT]
