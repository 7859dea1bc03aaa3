"""Double helices of RNA in A-form: every heavy atom of every nucleotide, from one template per base.

A template is in the frame of its base pair: x towards the major groove, y towards the first strand, z along it
(Olson et al., J. Mol. Biol. 313:229, 2001, whose planar bases these are). The helix has 11 pairs per turn, a rise of
2.81 Å, and pairs inclined by 15.8 degrees and displaced by -4.5 Å (Arnott et al., Biochem. Biophys. Res. Commun.
47:1504, 1972). The sugar and phosphate were fitted to standard bond lengths and angles and to a C3'-endo pucker
under this symmetry, with the bond to the next nucleotide closed; the torsions alpha to zeta are -75, 180,
59, 82, -156 and -70 degrees. The second strand is the first one rotated by half a turn about x.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

RISE = 2.81
"""Å from one base pair to the next along the axis."""
TWIST = 2 * np.pi / 11
"""Radian from one base pair to the next about the axis."""
_INCLINATION = np.deg2rad(15.8)
_DISPLACEMENT = -4.5

_BACKBONE = {
    "P": (1.14, 9.25, 0.90),
    "OP1": (2.33, 8.48, 1.34),
    "OP2": (0.73, 10.47, 1.63),
    "O5'": (-0.10, 8.25, 0.86),
    "C5'": (-1.42, 8.74, 0.67),
    "C4'": (-2.42, 7.61, 0.67),
    "O4'": (-2.10, 6.67, -0.39),
    "C3'": (-2.46, 6.75, 1.92),
    "O3'": (-3.25, 7.34, 2.94),
    "C2'": (-3.13, 5.48, 1.38),
    "O2'": (-4.52, 5.68, 1.21),
    "C1'": (-2.48, 5.37, 0.00),
}
_BASES = {
    "A": "N9 -1.29 4.50; C8 0.02 4.90; N7 0.88 3.90; C5 0.07 2.77; C6 0.37 1.40; N6 1.61 0.91; N1 -0.67 0.53;"
    "C2 -1.91 1.02; N3 -2.32 2.29; C4 -1.27 3.12",
    "G": "N9 -1.29 4.55; C8 0.02 4.96; N7 0.87 3.97; C5 0.07 2.83; C6 0.42 1.46; O6 1.55 0.96; N1 -0.70 0.64;"
    "C2 -2.00 1.09; N2 -2.95 0.14; N3 -2.34 2.36; C4 -1.27 3.18",
    "C": "N1 -1.29 4.54; C2 -1.47 3.16; O2 -2.63 2.71; N3 -0.39 2.34; C4 0.84 2.87; N4 1.88 2.03; C5 1.06 4.28;"
    "C6 -0.02 5.07",
    "U": "N1 -1.28 4.50; C2 -1.46 3.13; O2 -2.56 2.61; N3 -0.30 2.40; C4 0.99 2.88; O4 1.94 2.09; C5 1.09 4.31;"
    "C6 -0.02 5.05",
}
COMPLEMENTS = {"A": "U", "U": "A", "G": "C", "C": "G"}
"""Partner of each base in a Watson-Crick pair."""


def _parse(letter: str) -> tuple[tuple[str, ...], Float[np.ndarray, "a 3"]]:
    """Atom names and positions of one nucleotide of the first strand, in the frame of the helix at pair 0."""
    atoms = dict(_BACKBONE)
    for text in _BASES[letter].split(";"):
        name, first, second = text.split()
        atoms[name] = (float(first), float(second), 0.0)
    positions = Rotation.from_rotvec([_INCLINATION, 0.0, 0.0]).apply(list(atoms.values()))
    return tuple(atoms), positions + np.array([_DISPLACEMENT, 0.0, 0.0])


TEMPLATES = {letter: _parse(letter) for letter in _BASES}
"""By base: atom names, and positions (a, 3) in Å in the frame of the helix: its axis is z, the pair's x is x."""


def build_nucleotides(
    letters: str,
    pairs: Float[np.ndarray, " r"],
    strands: Int[np.ndarray, " r"],
    rotations: Float[np.ndarray, "r 3 3"],
    centres: Float[np.ndarray, "r 3"],
) -> tuple[Float[np.ndarray, "a 3"], Int[np.ndarray, " r"]]:
    """Atoms of r consecutive nucleotides, and the number of atoms of each.

    Parameters
    ----------
    letters
        Base of each nucleotide.
    pairs
        Position of its pair along the helix, counted from the helix's centre.
    strands
        0 for the first strand, 1 for the second.
    rotations, centres
        Pose of its helix: rotation from the helix's local frame, and centre in Å.
    """
    counts = np.array([len(TEMPLATES[letter][0]) for letter in letters])
    starts = np.concatenate([[0], np.cumsum(counts)])
    turns = Rotation.from_rotvec(np.outer(TWIST * pairs, [0.0, 0.0, 1.0])).as_matrix()
    turns[:, :, 1:] *= np.where(strands == 1, -1.0, 1.0)[:, None, None]
    frames = rotations @ turns
    origins = centres + RISE * pairs[:, None] * rotations[:, :, 2]
    positions = np.empty((int(starts[-1]), 3))
    kinds = np.array(list(letters))
    for letter, (names, template) in TEMPLATES.items():
        members = np.flatnonzero(kinds == letter)
        placed = np.einsum("rij,aj->rai", frames[members], template) + origins[members, None]
        positions[(starts[members][:, None] + np.arange(len(names))).ravel()] = placed.reshape(-1, 3)
    return positions, counts
