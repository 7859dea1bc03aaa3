"""Double helices of RNA in A-form: every heavy atom of every nucleotide, from one template per base.

A template (``nucleotides.csv``, Å) is in the frame of its base pair: x towards the major groove, y towards the
first strand, z along it (Olson et al., J. Mol. Biol. 313:229, 2001, whose planar bases these are). The helix has 11
pairs per turn, a rise of 2.81 Å, and pairs inclined by 15.8 degrees and displaced by -4.5 Å (Arnott et al.,
Biochem. Biophys. Res. Commun. 47:1504, 1972). The sugar and phosphate were fitted to standard bond lengths and angles
and to a C3'-endo pucker under this symmetry, with the bond to the next nucleotide closed; the torsions alpha to zeta
are -75, 180, 59, 82, -156 and -70 degrees. The second strand is the first one rotated by half a turn about x.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from cryobench.atoms.tables import read_rows

RISE = 2.81
"""Å from one base pair to the next along the axis."""
TWIST = 2 * np.pi / 11
"""Radian from one base pair to the next about the axis."""
_INCLINATION = np.deg2rad(15.8)
_DISPLACEMENT = -4.5

COMPLEMENTS = {"A": "U", "U": "A", "G": "C", "C": "G"}
"""Partner of each base in a Watson-Crick pair."""


def _build_template(base: str) -> tuple[tuple[str, ...], Float[np.ndarray, "a 3"]]:
    """Atom names and positions of one nucleotide of the first strand, in the frame of the helix at pair 0."""
    rows = [row for row in read_rows(__file__, "nucleotides.csv") if row["base"] in ("any", base)]
    atoms = np.array([[float(row[axis]) for axis in "xyz"] for row in rows])
    positions = Rotation.from_rotvec([_INCLINATION, 0.0, 0.0]).apply(atoms)
    return tuple(row["atom"] for row in rows), positions + np.array([_DISPLACEMENT, 0.0, 0.0])


TEMPLATES = {base: _build_template(base) for base in "AGCU"}
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
