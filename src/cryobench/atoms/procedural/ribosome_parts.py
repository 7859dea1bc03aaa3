"""What the made-up large ribosomal subunit consists of, and about where each part lies.

Pieces, sizes and places follow the bacterial 50S subunit: six domains of 23S rRNA about a central one, three late
pieces of domains II and V, 5S rRNA, and 31 proteins with the lengths that they have in E. coli. Its two most mobile
or loosely bound proteins (bL12, bL31) are left out. Places are rounded by eye to 5 Å or so; no coordinate of a
structure is used.

Frame: the crown view. x to the right (the stalk base; the L1 stalk is left), y up (the central protuberance), z
towards the reader, who looks at the face that the small subunit binds; the exit tunnel ends at -z.
"""

from dataclasses import dataclass

Point = tuple[float, float, float]


@dataclass(frozen=True)
class RnaPiece:
    """A domain of rRNA or a part of one: how many nucleotides (even), and where its middle lies, Å."""

    name: str
    nucleotides: int
    centre: Point


@dataclass(frozen=True)
class ProteinPart:
    """A protein: how many residues, the piece of rRNA that it binds, and where on the surface, Å."""

    name: str
    residues: int
    binds: str
    site: Point


RNA_PIECES = (
    RnaPiece("domain 0", 90, (0, -2, -5)),
    RnaPiece("domain I", 530, (-40, -34, -30)),
    RnaPiece("domain II", 580, (36, 20, -40)),
    RnaPiece("stalk base", 100, (80, 38, 2)),
    RnaPiece("domain III", 370, (-22, -66, 2)),
    RnaPiece("domain IV", 350, (12, -14, 40)),
    RnaPiece("domain V", 360, (-26, 44, 4)),
    RnaPiece("functional core", 150, (30, 34, 32)),
    RnaPiece("L1 stalk", 90, (-70, 36, 12)),
    RnaPiece("domain VI", 280, (56, -50, 8)),
    RnaPiece("5S rRNA", 120, (6, 86, -2)),
)
"""3,020 nucleotides: 2,900 of 23S in the order of their numbers here, and 5S."""

PROTEINS = (
    ProteinPart("uL1", 234, "L1 stalk", (-92, 48, 16)),
    ProteinPart("uL2", 273, "domain IV", (-40, -14, 66)),
    ProteinPart("uL3", 209, "domain VI", (84, -66, -30)),
    ProteinPart("uL4", 201, "domain I", (-40, 6, -84)),
    ProteinPart("uL5", 179, "5S rRNA", (-26, 112, 24)),
    ProteinPart("uL6", 177, "domain VI", (106, -38, 16)),
    ProteinPart("bL9", 149, "domain V", (-84, 6, 30)),
    ProteinPart("uL10", 165, "stalk base", (104, 62, -6)),
    ProteinPart("uL11", 142, "stalk base", (102, 26, 28)),
    ProteinPart("uL13", 142, "domain I", (-10, -56, -84)),
    ProteinPart("uL14", 123, "domain IV", (62, -22, 66)),
    ProteinPart("uL15", 144, "domain II", (16, 62, -70)),
    ProteinPart("uL16", 136, "functional core", (66, 66, 46)),
    ProteinPart("bL17", 127, "domain VI", (44, -96, -10)),
    ProteinPart("uL18", 117, "5S rRNA", (26, 122, 2)),
    ProteinPart("bL19", 115, "domain VI", (66, -72, 44)),
    ProteinPart("bL20", 118, "domain I", (10, -12, -92)),
    ProteinPart("bL21", 103, "domain II", (64, 24, -86)),
    ProteinPart("uL22", 110, "domain I", (-60, -20, -80)),
    ProteinPart("uL23", 100, "domain I", (-80, -72, -34)),
    ProteinPart("uL24", 104, "domain I", (-84, -36, -46)),
    ProteinPart("bL25", 94, "5S rRNA", (44, 104, -20)),
    ProteinPart("bL27", 85, "functional core", (16, 62, 62)),
    ProteinPart("bL28", 78, "domain V", (-76, 36, -22)),
    ProteinPart("uL29", 63, "domain I", (-84, -56, -8)),
    ProteinPart("uL30", 59, "domain II", (84, 44, -50)),
    ProteinPart("bL32", 57, "domain II", (62, -22, -74)),
    ProteinPart("bL33", 55, "domain V", (-60, 78, 16)),
    ProteinPart("bL34", 46, "domain III", (-40, -104, 4)),
    ProteinPart("bL35", 65, "domain V", (-40, 66, -36)),
    ProteinPart("bL36", 38, "functional core", (62, 34, 60)),
)
"""With their names in the uniform nomenclature (Ban et al., Curr. Opin. Struct. Biol. 24:165, 2014)."""
