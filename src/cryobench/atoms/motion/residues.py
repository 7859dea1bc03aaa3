"""Motion of all atoms with the slow modes of their residues, each residue as a rigid body along a screw.

A mode of an elastic network gives each residue a displacement v of its CA atom. The corresponding rotation w is
the one that, about that CA, best explains the displacements of the surrounding CA atoms. Displacement and rotation
form a twist, and the residue follows the screw motion of that twist (its exponential in SE(3)), not
the straight line v: residues with a common rotation, as in a domain, then turn as one rigid body
at any amplitude, whereas straight lines would inflate the domain (Hoffmann & Grudinin, J. Chem. Theory Comput. 13
(2017) 2123, for rigid blocks).
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numba import njit
from scipy.spatial import KDTree

from cryobench.atoms.model import AtomicModel, is_alpha_carbon, residue_starts
from cryobench.atoms.tie_breaking import attach_groups, find_nearest

_NEIGHBOURHOOD = 10.0


@dataclass(frozen=True, eq=False)
class Carriers:
    """Assignment of atoms to residues: ``anchors`` (r,) are the CA atoms, ``carrier`` (a,) the residue of each atom.

    Atoms of residues without CA (glycans, ions) move with the residue whose CA is nearest to their bonded group.
    """

    anchors: Int64[np.ndarray, " r"]
    carrier: Int64[np.ndarray, " a"]


def find_carriers(model: AtomicModel) -> Carriers:
    """Carriers of a model's atoms. ValueError if it has fewer than three CA atoms."""
    starts = residue_starts(model)
    residue = np.repeat(np.arange(len(starts)), np.diff([*starts, len(model)]))
    alpha = np.flatnonzero(is_alpha_carbon(model))
    # For a residue in two conformations the first CA is used.
    _, first = np.unique(residue[alpha], return_index=True)
    anchors = alpha[first]
    if len(anchors) < 3:
        raise ValueError(f"the structure has {len(anchors)} CA atoms; motion needs at least three.")
    index = np.full(len(starts), -1)
    index[residue[anchors]] = np.arange(len(anchors))
    carrier = index[residue]
    loose = np.flatnonzero(carrier < 0)
    if len(loose):
        carrier[loose] = attach_groups(model.positions[anchors], model.positions[loose])
    return Carriers(anchors.astype(np.int64), carrier.astype(np.int64))


def leave_out(model: AtomicModel, carriers: Carriers, held: Bool[np.ndarray, " r"]) -> Carriers:
    """Carriers of the held residues alone; the others move with the held one whose CA is nearest."""
    points = model.positions[carriers.anchors]
    _, nearest = find_nearest(points[held], points)
    return Carriers(carriers.anchors[held], nearest[carriers.carrier])


def fit_rotations(
    points: Float64[np.ndarray, "p 3"], vectors: Float64[np.ndarray, "modes p 3"]
) -> Float64[np.ndarray, "modes p 3"]:
    """Rotation (a vector, radian per unit of amplitude) of each point's 10 Å neighbourhood in each mode.

    Least squares over the neighbours j of point i: v_j − v_i = w × (r_j − r_i). If they are collinear, the
    smallest such rotation.
    """
    pairs = KDTree(points).query_pairs(_NEIGHBOURHOOD, output_type="ndarray")
    one = np.concatenate([pairs[:, 0], pairs[:, 1]])
    other = np.concatenate([pairs[:, 1], pairs[:, 0]])
    count = len(points)
    arm = points[other] - points[one]
    normal = np.zeros((count, 3, 3))
    np.add.at(normal, one, (arm**2).sum(axis=1)[:, None, None] * np.eye(3) - arm[:, :, None] * arm[:, None, :])
    inverse = np.linalg.pinv(normal, rcond=1e-6, hermitian=True)
    rotations = np.empty_like(vectors)
    for mode, vector in enumerate(vectors):
        torque = np.cross(arm, vector[other] - vector[one])
        summed = np.stack([np.bincount(one, torque[:, axis], count) for axis in range(3)], axis=1)
        rotations[mode] = np.einsum("pij,pj->pi", inverse, summed)
    return rotations


@njit(cache=True, nogil=True)
def rotation_matrix(vector, matrix):
    """Write to ``matrix`` (3, 3) the rotation about ``vector`` by its length."""
    x, y, z = vector
    squared = x * x + y * y + z * z
    angle = math.sqrt(squared)
    if angle < 1e-4:
        sine, versine = 1.0 - squared / 6.0, 0.5 - squared / 24.0
    else:
        sine, versine = math.sin(angle) / angle, (1.0 - math.cos(angle)) / squared
    matrix[0, 0] = 1.0 - versine * (y * y + z * z)
    matrix[0, 1] = versine * x * y - sine * z
    matrix[0, 2] = versine * x * z + sine * y
    matrix[1, 0] = versine * x * y + sine * z
    matrix[1, 1] = 1.0 - versine * (x * x + z * z)
    matrix[1, 2] = versine * y * z - sine * x
    matrix[2, 0] = versine * x * z - sine * y
    matrix[2, 1] = versine * y * z + sine * x
    matrix[2, 2] = 1.0 - versine * (x * x + y * y)


@njit(cache=True, nogil=True)
def move_residues(reference, anchors, carrier, shifts, turns, moved):
    """Write to ``moved`` (a, 3) the atoms of ``reference`` after each residue's screw motion.

    ``shifts`` and ``turns`` (r, 3): displacement (Å) and rotation vector (radian) of the residues at their anchors.
    """
    count = len(anchors)
    rotations = np.empty((count, 3, 3))
    origins = np.empty((count, 3))
    for residue in range(count):
        rotation_matrix(turns[residue], rotations[residue])
        # The translation of the screw: V v, V = 1 + b [w]x + c [w]x².
        w, v = turns[residue], shifts[residue]
        squared = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
        angle = math.sqrt(squared)
        if angle < 1e-2:
            first, second = 0.5 - squared / 24.0, 1.0 / 6.0 - squared / 120.0
        else:
            first = (1.0 - math.cos(angle)) / squared
            second = (angle - math.sin(angle)) / (squared * angle)
        along = w[0] * v[0] + w[1] * v[1] + w[2] * v[2]
        for axis in range(3):
            after, before = (axis + 1) % 3, (axis + 2) % 3
            cross = w[after] * v[before] - w[before] * v[after]
            twice = w[axis] * along - squared * v[axis]
            origins[residue, axis] = reference[anchors[residue], axis] + v[axis] + first * cross + second * twice
    for atom in range(len(reference)):
        residue = carrier[atom]
        anchor, rotation = anchors[residue], rotations[residue]
        x = reference[atom, 0] - reference[anchor, 0]
        y = reference[atom, 1] - reference[anchor, 1]
        z = reference[atom, 2] - reference[anchor, 2]
        for axis in range(3):
            moved[atom, axis] = (
                origins[residue, axis] + rotation[axis, 0] * x + rotation[axis, 1] * y + rotation[axis, 2] * z
            )


@njit(cache=True, nogil=True)
def turn_atoms(positions, fraction, point, turn):
    """Rotate atoms in place about an axis through ``point``, each by its ``fraction`` (0 to 1) of ``turn``.

    ``turn`` is a rotation vector in radian. Neighbouring atoms mostly have equal fractions.
    """
    matrix = np.empty((3, 3))
    current = -1.0
    for atom in range(len(positions)):
        if fraction[atom] == 0.0:
            continue
        if fraction[atom] != current:
            current = fraction[atom]
            rotation_matrix(turn * current, matrix)
        x = positions[atom, 0] - point[0]
        y = positions[atom, 1] - point[1]
        z = positions[atom, 2] - point[2]
        for axis in range(3):
            positions[atom, axis] = point[axis] + matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] * z
