"""What the made-up antibody is built from: sequences, strands of the ideal domains, and where the domains lie.

The sequences are those of the human IgG1 b12 (SEQRES of wwPDB entry 1HZH; Saphire et al., Science 293:1155, 2001;
wwPDB data are CC0). A domain is an ideal immunoglobulin fold: two flat-stacked, twisted sheets of straight strands.
The numbers below (two sheets' geometry, two coordinates of each strand, and the twelve rigid placements) were
fitted to the CA atoms of 1HZH's strands, which they meet within 1.5 to 2.0 Å root mean square; no coordinate of
the entry is used, except the few hinge points at the end, rounded to 1 Å.
"""

from dataclasses import dataclass

HEAVY_SEQUENCE = (
    "QVQLVQSGAEVKKPGASVKVSCQASGYRFSNFVIHWVRQAPGQRFEWMGWINPYNGNKEFSAKFQDRVTFTADTSANTAY"
    "MELRSLRSADTAVYYCARVGPYSWDDSPQDNYYMDVWGKGTTVIVSSASTKGPSVFPLAPSSKSTSGGTAALGCLVKDYF"
    "PEPVTVSWNSGALTSGVHTFPAVLQSSGLYSLSSVVTVPSSSLGTQTYICNVNHKPSNTKVDKKAEPKSCDKTHTCPPCP"
    "APELLGGPSVFLFPPKPKDTLMISRTPEVTCVVVDVSHEDPEVKFNWYVDGVEVHNAKTKPREEQYNSTYRVVSVLTVLH"
    "QDWLNGKEYKCKVSNKALPAPIEKTISKAKGQPREPQVYTLPPSRDELTKNQVSLTCLVKGFYPSDIAVEWESNGQPENN"
    "YKTTPPVLDSDGSFFLYSKLTVDKSRWQQGNVFSCSVMHEALHNHYTQKSLSLSPGK"
)
LIGHT_SEQUENCE = (
    "EIVLTQSPGTLSLSPGERATFSCRSSHSIRSRRVAWYQHKPGQAPRLVIHGVSNRASGISDRFSGSGSGTDFTLTITRVE"
    "PEDFALYYCQVYGASSYTFGQGTKLERKRTVAAPSVFIFPPSDEQLKSGTASVVCLLNNFYPREAKVQWKVDNALQSGNS"
    "QESVTEQDSKDSTYSLSSTLTLSKADYEKHKVYACEVTHQGLRSPVTKSFNRGEC"
)

SHEET_SEPARATION = 9.75
"""Distance of the two sheets of a domain, Å."""
SHEET_ANGLE = -0.42
"""Angle between the strands of the two sheets, radian."""
TWIST = -0.069
"""Angle by which a strand turns for each Å across its sheet, radian."""
RISE = 3.2
"""Advance of a residue along its strand, Å."""


@dataclass(frozen=True)
class Strand:
    """Strand of an ideal domain: residues (from 1, both included), its sheet and place in it.

    ``direction`` is +1 or -1 along the domain's long axis z; ``across`` (Å) its coordinate y within the sheet,
    ``along`` (Å) that of its middle on z; ``inward`` +1 if its first residue points between the sheets, else -1.
    """

    first: int
    last: int
    sheet: int
    direction: int
    across: float
    along: float
    inward: int


@dataclass(frozen=True)
class Placement:
    """One domain of the antibody: chain, fold, rotation vector (radian) and position (Å) of its centre."""

    chain: str
    fold: str
    rotation: tuple[float, float, float]
    position: tuple[float, float, float]


FOLDS: dict[str, tuple[Strand, ...]] = {
    "VH": (
        Strand(3, 7, 1, +1, -8.9, -10.6, -1),
        Strand(9, 12, 2, +1, -10.3, 14.6, -1),
        Strand(17, 25, 1, -1, -5.0, -4.5, -1),
        Strand(33, 39, 2, +1, 1.0, -1.3, -1),
        Strand(45, 52, 2, -1, 5.4, -1.3, -1),
        Strand(57, 60, 2, +1, 9.8, -7.8, -1),
        Strand(68, 73, 1, -1, 3.8, -3.2, +1),
        Strand(78, 84, 1, +1, -0.7, -0.6, -1),
        Strand(93, 99, 2, -1, -3.3, -2.1, -1),
        Strand(117, 126, 2, +1, -7.1, 7.2, +1),
    ),
    "VL": (
        Strand(4, 7, 1, +1, -8.3, -8.7, +1),
        Strand(9, 13, 2, +1, -9.6, 12.5, +1),
        Strand(19, 25, 1, -1, -4.0, -3.4, +1),
        Strand(34, 39, 2, +1, 2.2, -0.1, +1),
        Strand(46, 50, 2, -1, 6.6, 0.2, -1),
        Strand(53, 55, 2, +1, 11.1, -6.4, +1),
        Strand(63, 68, 1, -1, 4.9, -1.6, +1),
        Strand(71, 77, 1, +1, 0.3, 0.5, -1),
        Strand(86, 91, 2, -1, -2.2, -1.2, -1),
        Strand(98, 107, 2, +1, -6.2, 3.9, -1),
    ),
    "CH1": (
        Strand(133, 139, 1, +1, -6.0, -2.6, +1),
        Strand(149, 159, 1, -1, -1.5, 1.3, -1),
        Strand(165, 169, 2, +1, 3.3, 0.0, -1),
        Strand(172, 174, 2, -1, 7.9, 5.4, -1),
        Strand(177, 184, 1, -1, 6.9, -3.1, +1),
        Strand(189, 199, 1, +1, 2.3, 1.2, -1),
        Strand(207, 214, 2, -1, -1.3, 1.1, -1),
        Strand(218, 225, 2, +1, -5.9, -1.3, -1),
    ),
    "CL": (
        Strand(115, 119, 1, +1, -5.7, -3.1, -1),
        Strand(130, 140, 1, -1, -1.0, 0.2, -1),
        Strand(146, 151, 2, +1, 2.5, 0.8, -1),
        Strand(154, 156, 2, -1, 7.1, 6.8, +1),
        Strand(160, 166, 1, -1, 7.7, -3.8, +1),
        Strand(173, 183, 1, +1, 3.0, 0.5, -1),
        Strand(192, 198, 2, -1, -2.0, 2.1, -1),
        Strand(205, 211, 2, +1, -6.5, 3.0, -1),
    ),
    "CH2": (
        Strand(249, 255, 1, +1, -6.4, -1.3, -1),
        Strand(268, 277, 1, -1, -1.8, -6.1, -1),
        Strand(284, 290, 2, +1, 2.4, 2.4, -1),
        Strand(292, 295, 2, -1, 7.0, 5.4, +1),
        Strand(297, 304, 1, -1, 6.8, -5.3, +1),
        Strand(309, 318, 1, +1, 2.1, -2.5, -1),
        Strand(329, 335, 2, -1, -2.0, -1.5, +1),
        Strand(342, 348, 2, +1, -6.4, 6.1, +1),
    ),
    "CH3": (
        Strand(356, 362, 1, +1, -6.3, -2.9, +1),
        Strand(373, 382, 1, -1, -1.8, -1.5, +1),
        Strand(389, 394, 2, +1, 2.6, 4.0, +1),
        Strand(396, 398, 2, -1, 7.2, 7.2, +1),
        Strand(404, 409, 1, -1, 6.0, -10.1, +1),
        Strand(415, 424, 1, +1, 2.0, 5.4, -1),
        Strand(432, 438, 2, -1, -2.0, 2.3, -1),
        Strand(446, 452, 2, +1, -6.3, 3.3, -1),
    ),
}

PLACEMENTS = (
    Placement("H", "VH", (2.118, 0.285, -0.551), (37.1, 6.2, 59.6)),
    Placement("K", "VH", (-1.113, 0.227, -1.007), (20.3, -37.5, -42.6)),
    Placement("L", "VL", (-0.249, -2.307, -0.877), (15.7, 7.1, 71.4)),
    Placement("M", "VL", (-0.898, -0.411, 2.170), (6.1, -19.1, -50.2)),
    Placement("H", "CH1", (0.896, -1.735, -1.017), (12.2, 7.8, 33.0)),
    Placement("K", "CH1", (-1.106, -0.398, 1.120), (9.0, -23.2, -11.7)),
    Placement("L", "CL", (2.133, 1.275, -0.010), (3.4, -7.0, 40.4)),
    Placement("M", "CL", (-0.680, 0.567, -1.825), (14.3, -5.9, -17.0)),
    Placement("H", "CH2", (-0.438, -2.233, -0.953), (-5.1, 26.8, -19.6)),
    Placement("K", "CH2", (-1.198, -0.440, 2.249), (-25.7, -6.8, -23.0)),
    Placement("H", "CH3", (0.610, -0.570, -2.126), (-37.8, 33.8, -18.2)),
    Placement("K", "CH3", (-2.017, -1.269, 0.218), (-48.2, 17.5, -23.2)),
)

# Where the two hinges pass: CA positions by residue, which bring the cysteines of the two heavy chains together.
HINGE_POINTS: dict[str, dict[int, tuple[float, float, float]]] = {
    "H": {
        230: (-3.0, -2.0, 19.0),
        233: (2.0, -4.0, 11.0),
        236: (-2.0, -3.0, 4.0),
        239: (3.0, 3.0, -3.0),
        242: (-2.0, 4.0, -10.0),
        245: (-2.0, 7.0, -18.0),
    },
    "K": {
        230: (7.0, -8.0, 6.0),
        232: (1.0, -11.0, 7.0),
        236: (-8.0, -4.0, 4.0),
        239: (-12.0, 1.0, -3.0),
        242: (-11.0, 0.0, -13.0),
        245: (-6.0, -1.0, -22.0),
    },
}
