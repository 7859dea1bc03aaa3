"""Side chains by internal coordinates, with their rotamers.

``SIDE_CHAINS`` lists, per amino acid, the atoms beyond CB: name, bond length (Å), angle (degrees), torsion, and the
three atoms they refer to, nearest last. A torsion is a number of degrees, or a free one, a or b, with an offset.
Lengths and angles are rounded standard values (Engh & Huber, Acta Cryst. A47:392, 1991).
"""

import itertools

import numpy as np
from jaxtyping import Float

_SPECIFICATION = {
    "ALA": "",
    "ARG": "CG 1.52 114 a N CA CB; CD 1.52 111 b CA CB CG; NE 1.46 112 180 CB CG CD; CZ 1.33 124 180 CG CD NE;"
    "NH1 1.33 120 0 CD NE CZ; NH2 1.33 120 180 CD NE CZ",
    "ASN": "CG 1.52 113 a N CA CB; OD1 1.23 121 b CA CB CG; ND2 1.33 117 b+180 CA CB CG",
    "ASP": "CG 1.52 113 a N CA CB; OD1 1.25 118 b CA CB CG; OD2 1.25 118 b+180 CA CB CG",
    "CYS": "SG 1.81 114 a N CA CB",
    "GLN": "CG 1.52 114 a N CA CB; CD 1.52 113 b CA CB CG; OE1 1.23 121 0 CB CG CD; NE2 1.33 117 180 CB CG CD",
    "GLU": "CG 1.52 114 a N CA CB; CD 1.52 113 b CA CB CG; OE1 1.25 118 0 CB CG CD; OE2 1.25 118 180 CB CG CD",
    "GLY": "",
    "HIS": "CG 1.50 114 a N CA CB; ND1 1.38 123 b CA CB CG; CD2 1.36 131 b+180 CA CB CG;"
    "CE1 1.32 109 180 CB CG ND1; NE2 1.37 107 180 CB CG CD2",
    "ILE": "CG1 1.53 110 a N CA CB; CG2 1.52 110 a-122 N CA CB; CD1 1.51 114 b CA CB CG1",
    "LEU": "CG 1.53 116 a N CA CB; CD1 1.52 110 b CA CB CG; CD2 1.52 110 b+122 CA CB CG",
    "LYS": "CG 1.52 114 a N CA CB; CD 1.52 111 b CA CB CG; CE 1.52 111 180 CB CG CD; NZ 1.49 112 180 CG CD CE",
    "MET": "CG 1.52 114 a N CA CB; SD 1.80 113 b CA CB CG; CE 1.79 101 180 CB CG SD",
    "PHE": "CG 1.50 114 a N CA CB; CD1 1.39 120 b CA CB CG; CD2 1.39 120 b+180 CA CB CG;"
    "CE1 1.39 120 180 CB CG CD1; CE2 1.39 120 180 CB CG CD2; CZ 1.39 120 0 CG CD1 CE1",
    "PRO": "CG 1.49 104 27 N CA CB; CD 1.50 106 -37 CA CB CG",
    "SER": "OG 1.42 111 a N CA CB",
    "THR": "OG1 1.43 109 a N CA CB; CG2 1.52 111 a-121 N CA CB",
    "TRP": "CG 1.50 114 a N CA CB; CD1 1.37 127 b CA CB CG; CD2 1.43 127 b+180 CA CB CG;"
    "NE1 1.37 110 180 CB CG CD1; CE2 1.41 107 180 CB CG CD2; CE3 1.40 134 0 CB CG CD2;"
    "CZ2 1.39 122 180 CG CD2 CE2; CZ3 1.39 119 180 CG CD2 CE3; CH2 1.37 118 0 CD2 CE2 CZ2",
    "TYR": "CG 1.51 114 a N CA CB; CD1 1.39 121 b CA CB CG; CD2 1.39 121 b+180 CA CB CG;"
    "CE1 1.39 121 180 CB CG CD1; CE2 1.39 121 180 CB CG CD2; CZ 1.38 120 0 CG CD1 CE1; OH 1.38 120 180 CD1 CE1 CZ",
    "VAL": "CG1 1.52 111 a N CA CB; CG2 1.52 111 a+122 N CA CB",
}
_FIRST_TORSIONS = (-65.0, 180.0, 62.0)
_FLAT = {"ASN", "ASP", "HIS", "PHE", "TRP", "TYR"}


def _parse(specification: str) -> tuple[tuple[str, float, float, str, tuple[str, str, str]], ...]:
    atoms = []
    for text in filter(None, specification.split(";")):
        name, length, angle, torsion, *references = text.split()
        atoms.append((name, float(length), float(angle), torsion, (references[0], references[1], references[2])))
    return tuple(atoms)


SIDE_CHAINS = {residue: _parse(text) for residue, text in _SPECIFICATION.items()}


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
