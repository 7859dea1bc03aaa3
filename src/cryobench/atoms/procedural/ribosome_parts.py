"""Composition of the procedural large ribosomal subunit, and the approximate position of each part.

Pieces, sizes and positions follow the bacterial 50S subunit: six domains of 23S rRNA about a central one, three late
pieces of domains II and V, 5S rRNA, and 31 proteins with their lengths in E. coli. Its two most mobile
or loosely bound proteins (bL12, bL31) are left out. Positions are rounded by eye to about 5 Å; no coordinate of a
structure is used.

Frame: the crown view. x to the right (the stalk base; the L1 stalk is left), y up (the central protuberance), z
towards the viewer, facing the interface with the small subunit; the exit tunnel ends at -z.
"""

from dataclasses import dataclass

Point = tuple[float, float, float]


@dataclass(frozen=True)
class RnaPiece:
    """A domain of rRNA or a part of one: number of nucleotides (even), and position of its centre, Å."""

    name: str
    nucleotides: int
    centre: Point


@dataclass(frozen=True)
class ProteinPart:
    """A protein: number of residues, the piece of rRNA that it binds, and its position on the surface, Å."""

    name: str
    residues: int
    binds: str
    site: Point


RNA_PIECES = (
    RnaPiece("domain 0", 90, (0, -2, -4)),
    RnaPiece("domain I", 530, (-32, -27, -24)),
    RnaPiece("domain II", 580, (29, 16, -32)),
    RnaPiece("stalk base", 100, (64, 30, 2)),
    RnaPiece("domain III", 370, (-18, -53, 2)),
    RnaPiece("domain IV", 350, (10, -11, 32)),
    RnaPiece("domain V", 360, (-21, 35, 3)),
    RnaPiece("functional core", 150, (24, 27, 26)),
    RnaPiece("L1 stalk", 90, (-56, 29, 10)),
    RnaPiece("domain VI", 280, (45, -40, 6)),
    RnaPiece("5S rRNA", 120, (5, 69, -2)),
)
"""3,020 nucleotides: 2,900 of 23S in the order of their numbers here, and 5S."""

PROTEINS = (
    ProteinPart("uL1", 234, "L1 stalk", (-74, 38, 13)),
    ProteinPart("uL2", 273, "domain IV", (-32, -11, 53)),
    ProteinPart("uL3", 209, "domain VI", (67, -53, -24)),
    ProteinPart("uL4", 201, "domain I", (-32, 5, -67)),
    ProteinPart("uL5", 179, "5S rRNA", (-21, 90, 19)),
    ProteinPart("uL6", 177, "domain VI", (85, -30, 13)),
    ProteinPart("bL9", 149, "L1 stalk", (-67, 5, 24)),
    ProteinPart("uL10", 165, "stalk base", (83, 50, -5)),
    ProteinPart("uL11", 142, "stalk base", (82, 21, 22)),
    ProteinPart("uL13", 142, "domain I", (-8, -45, -67)),
    ProteinPart("uL14", 123, "domain IV", (50, -18, 53)),
    ProteinPart("uL15", 144, "domain II", (13, 50, -56)),
    ProteinPart("uL16", 136, "functional core", (53, 53, 37)),
    ProteinPart("bL17", 127, "domain VI", (35, -77, -8)),
    ProteinPart("uL18", 117, "5S rRNA", (21, 98, 2)),
    ProteinPart("bL19", 115, "domain VI", (53, -58, 35)),
    ProteinPart("bL20", 118, "domain I", (8, -10, -74)),
    ProteinPart("bL21", 103, "domain II", (51, 19, -69)),
    ProteinPart("uL22", 110, "domain I", (-48, -16, -64)),
    ProteinPart("uL23", 100, "domain I", (-64, -58, -27)),
    ProteinPart("uL24", 104, "domain I", (-67, -29, -37)),
    ProteinPart("bL25", 94, "5S rRNA", (35, 83, -16)),
    ProteinPart("bL27", 85, "functional core", (13, 50, 50)),
    ProteinPart("bL28", 78, "domain V", (-61, 29, -18)),
    ProteinPart("uL29", 63, "domain I", (-67, -45, -6)),
    ProteinPart("uL30", 59, "domain II", (67, 35, -40)),
    ProteinPart("bL32", 57, "domain II", (50, -18, -59)),
    ProteinPart("bL33", 55, "domain V", (-48, 62, 13)),
    ProteinPart("bL34", 46, "domain III", (-32, -83, 3)),
    ProteinPart("bL35", 65, "domain V", (-32, 53, -29)),
    ProteinPart("bL36", 38, "functional core", (50, 27, 48)),
)
"""With their names in the uniform nomenclature (Ban et al., Curr. Opin. Struct. Biol. 24:165, 2014)."""
