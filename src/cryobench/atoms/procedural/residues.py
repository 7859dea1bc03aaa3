"""Ideal residues: main chain of helices and strands, side chains in every rotamer, and the frequency of each kind.

A helix or strand is a screw: the atoms of one residue, repeated. The screws follow from standard bond lengths and
angles (Engh & Huber, Acta Cryst. A47:392, 1991) and the dihedrals of each element: the alpha helix at (-57, -47),
the strand at phi -120 with psi such that two residues make a full turn, which is flat.
"""

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from cryobench.atoms.procedural.side_chains import SIDE_CHAINS, build_side_chains, list_rotamers, place_atom

BACKBONE = ("N", "CA", "C", "O", "CB")
KINDS = tuple(sorted(SIDE_CHAINS))
"""The twenty amino acids; a kind is numbered by its index here."""

# Percent of residues in UniProtKB/Swiss-Prot (release statistics), in the order of KINDS.
_PERCENT = np.array([8.25, 5.53, 4.06, 5.46, 1.38, 3.93, 6.72, 7.07, 2.27, 5.91, 9.65, 5.80, 2.41, 3.86, 4.74, 6.65,
                     5.36, 1.10, 2.92, 6.86])  # fmt: skip
COMPOSITION = _PERCENT / _PERCENT.sum()
"""Frequency of each kind."""

_WATER = 18.0153
WEIGHTS = np.array([gemmi.find_tabulated_residue(kind).weight - _WATER for kind in KINDS])
"""Da of each kind within a chain, with its hydrogens."""

_MOST_ROTAMERS, _MOST_ATOMS = 9, 9


@dataclass(frozen=True, eq=False)
class Screw:
    """A regular element: atoms N, CA, C, O, CB of residue 0 about the axis z, and the step to the next residue."""

    atoms: Float[np.ndarray, "5 3"]
    angle: float
    rise: float


@lru_cache(maxsize=1)
def helix() -> Screw:
    """The alpha helix: about 100 degrees and 1.5 Å per residue."""
    return _make_screw(-57.0, -47.0)


@lru_cache(maxsize=1)
def strand() -> Screw:
    """The flat, extended strand: half a turn and about 3.3 Å per residue."""
    flat = brentq(lambda psi: np.sin(_make_screw(-120.0, psi).angle), 90.0, 140.0, full_output=False)
    return _make_screw(-120.0, float(np.asarray(flat)))


def _make_screw(phi: float, psi: float) -> Screw:
    """Screw of a chain with these dihedrals (degrees): the motion from a residue's N, CA, C to the next one's."""
    atoms = [np.array([0.0, 0.0, 0.0]), np.array([1.458, 0.0, 0.0])]
    bend = np.deg2rad(180 - 111.2)
    atoms.append(atoms[1] + 1.525 * np.array([np.cos(bend), np.sin(bend), 0.0]))
    for length, angle, torsion in ((1.329, 116.2, psi), (1.458, 121.7, 180.0), (1.525, 111.2, phi)):
        atoms.append(_place(atoms[-3:], length, angle, torsion))
    oxygen = _place(atoms[:3], 1.231, 120.5, psi + 180.0)
    beta = _place([atoms[2], atoms[0], atoms[1]], 1.53, 110.5, -122.6)
    here, there = np.array(atoms[:3]), np.array(atoms[3:])
    rotation = Rotation.align_vectors(there - there.mean(0), here - here.mean(0))[0]
    turn = rotation.as_rotvec()
    angle = float(np.linalg.norm(turn))
    axis = turn / angle
    step = there.mean(0) - rotation.apply(here.mean(0))
    rise = float(axis @ step)
    # A point on the axis, which the motion shifts along the axis only.
    across = step - rise * axis
    centre = 0.5 * (across + np.cross(axis, across) / np.tan(angle / 2))
    local = np.array([*here, oxygen, beta]) - centre
    if rise < 0:
        axis, angle, rise = -axis, -angle, -rise
    outward = local[1] - (local[1] @ axis) * axis
    outward /= np.linalg.norm(outward)
    frame = np.stack([outward, np.cross(axis, outward), axis])
    placed = local @ frame.T
    placed[:, 2] -= placed[1, 2]
    return Screw(placed, angle, rise)


def _place(corners: list[np.ndarray], length: float, angle: float, torsion: float) -> np.ndarray:
    return place_atom(corners[0][None], corners[1][None], corners[2][None], length, angle, torsion)[0]


def residue_frames(
    nitrogen: Float[np.ndarray, "r 3"], alpha: Float[np.ndarray, "r 3"], carbon: Float[np.ndarray, "r 3"]
) -> Float[np.ndarray, "r 3 3"]:
    """Axes (as columns) of each residue's local frame, whose origin is CA: the bisector of N-CA-C, and its normal."""
    to_nitrogen, to_carbon = _normalise(nitrogen - alpha), _normalise(carbon - alpha)
    bisector = _normalise(to_nitrogen + to_carbon)
    normal = _normalise(np.cross(to_nitrogen, to_carbon))
    return np.stack([bisector, np.cross(normal, bisector), normal], axis=2)


@lru_cache(maxsize=1)
def side_chain_table() -> tuple[Float[np.ndarray, "kinds rotamers atoms 3"], Int[np.ndarray, "kinds 2"]]:
    """Side-chain atoms beyond CB in a residue's local frame, and the numbers of rotamers and atoms of each kind."""
    template = helix().atoms
    frame = residue_frames(*(template[index][None] for index in (0, 1, 2)))[0]
    local = (template - template[1]) @ frame
    backbone = {name: local[index][None] for index, name in enumerate(BACKBONE)}
    table = np.zeros((len(KINDS), _MOST_ROTAMERS, _MOST_ATOMS, 3))
    sizes = np.zeros((len(KINDS), 2), dtype=np.int64)
    for number, kind in enumerate(KINDS):
        rotamers = [build_side_chains(kind, backbone, torsions)[0] for torsions in list_rotamers(kind)]
        sizes[number] = len(rotamers), len(rotamers[0])
        table[number, : len(rotamers), : len(rotamers[0])] = rotamers
    return table, sizes


def atom_names(kind: str) -> list[str]:
    """Heavy atoms of a residue within a chain, in the order of files."""
    return [*BACKBONE[:4], *(() if kind == "GLY" else ("CB",)), *(atom[0] for atom in SIDE_CHAINS[kind])]


def _normalise(vectors: Float[np.ndarray, "r 3"]) -> Float[np.ndarray, "r 3"]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
