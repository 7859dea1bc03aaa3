"""Side chains by internal coordinates, with their rotamers.

``SIDE_CHAINS``, from ``side_chains.csv``, lists, per amino acid, the atoms beyond CB: name, bond length (Å), angle
(degrees), torsion, and the three atoms they refer to, nearest last. A torsion is a number of degrees, or a free one,
a or b, with an offset.
Lengths and angles are rounded standard values (Engh & Huber, Acta Cryst. A47:392, 1991).
"""

import itertools

import numpy as np
from jaxtyping import Float

from cryobench.atoms.tables import read_rows

_FIRST_TORSIONS = (-65.0, 180.0, 62.0)
_FLAT = {"ASN", "ASP", "HIS", "PHE", "TRP", "TYR"}


SIDE_CHAINS: dict[str, tuple[tuple[str, float, float, str, tuple[str, str, str]], ...]] = {"ALA": (), "GLY": ()}
for _row in read_rows(__file__, "side_chains.csv"):
    _references = _row["first"], _row["second"], _row["third"]
    _atom = _row["atom"], float(_row["length"]), float(_row["angle"]), _row["torsion"], _references
    SIDE_CHAINS[_row["residue"]] = (*SIDE_CHAINS.get(_row["residue"], ()), _atom)


def list_rotamers(residue: str) -> list[tuple[float, float]]:
    """Pairs of the two free torsions in degrees; one pair if there is none."""
    free = {atom[3][0] for atom in SIDE_CHAINS[residue]}
    first = _FIRST_TORSIONS if "a" in free else (0.0,)
    second = ((90.0, 0.0) if residue in _FLAT else (180.0, -65.0, 65.0)) if "b" in free else (0.0,)
    return list(itertools.product(first, second))


def build_side_chains(
    residue: str, backbone: dict[str, Float[np.ndarray, "r 3"]], torsions: tuple[float, float]
) -> Float[np.ndarray, "r atoms 3"]:
    """Side-chain atoms beyond CB of r residues of one kind in one rotamer, in the order of ``SIDE_CHAINS``."""
    known = dict(backbone)
    for name, length, angle, torsion, (first, second, third) in SIDE_CHAINS[residue]:
        known[name] = place_atom(
            known[first], known[second], known[third], length, angle, _resolve(torsion, torsions)
        )
    names = [atom[0] for atom in SIDE_CHAINS[residue]]
    return np.stack([known[name] for name in names], axis=1) if names else np.zeros((len(backbone["CA"]), 0, 3))


def _resolve(torsion: str, torsions: tuple[float, float]) -> float:
    """Degrees of a torsion as written: "180", "-37", "a", "b+180"."""
    if torsion[0] in "ab":
        return torsions["ab".index(torsion[0])] + float(torsion[1:] or 0)
    return float(torsion)


def place_atom(
    first: Float[np.ndarray, "r 3"],
    second: Float[np.ndarray, "r 3"],
    third: Float[np.ndarray, "r 3"],
    length: float,
    angle: float,
    torsion: float,
) -> Float[np.ndarray, "r 3"]:
    """Atom bonded to ``third`` at ``length`` Å, with the angle and torsion (degrees) to the two before it."""
    bond = third - second
    bond = bond / np.linalg.norm(bond, axis=1, keepdims=True)
    normal = np.cross(second - first, bond)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    upward = np.cross(normal, bond)
    bend, turn = np.deg2rad(angle), np.deg2rad(torsion)
    return third + length * (-np.cos(bend) * bond + np.sin(bend) * (np.cos(turn) * upward + np.sin(turn) * normal))
