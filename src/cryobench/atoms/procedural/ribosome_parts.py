"""Composition of the procedural large ribosomal subunit, and the approximate position of each part.

Pieces, sizes and positions follow the bacterial 50S subunit: six domains of 23S rRNA about a central one, three late
pieces of domains II and V, 5S rRNA, and 31 proteins with their lengths in E. coli. Its two most mobile
or loosely bound proteins (bL12, bL31) are left out. Positions are rounded by eye to about 5 Å; no coordinate of a
structure is used.

Frame: the crown view. x to the right (the stalk base; the L1 stalk is left), y up (the central protuberance), z
towards the viewer, facing the interface with the small subunit; the exit tunnel ends at -z.
"""

from dataclasses import dataclass

from cryobench.atoms.tables import read_rows

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


def _read_point(row: dict[str, str]) -> Point:
    return float(row["x"]), float(row["y"]), float(row["z"])


RNA_PIECES = tuple(
    RnaPiece(row["name"], int(row["nucleotides"]), _read_point(row)) for row in read_rows(__file__, "rna_pieces.csv")
)
"""3,020 nucleotides: 2,900 of 23S in the order of their numbers here, and 5S."""

PROTEINS = tuple(
    ProteinPart(row["name"], int(row["residues"]), row["binds"], _read_point(row))
    for row in read_rows(__file__, "proteins.csv")
)
"""With their names in the uniform nomenclature (Ban et al., Curr. Opin. Struct. Biol. 24:165, 2014)."""
