"""Backbone distribution of a disordered peptide: φ, ψ and ω of each residue, drawn independently of the others.

φ and ψ come from a mixture of basins, each the product of two wrapped normal distributions, one table per residue
class (glycine, proline, and residues before a proline have their own Ramachandran maps). The tables (``coil.csv``)
are our summary of published coil-library statistics, made by hand, neither a fit nor a copy of any library:

- general: without helices and sheets the helical basin (α and bridge together) holds 37 % of the residues, 22 % when
  turns are left out as well, and polyproline II is the most frequent of the others: Jha, Colubri, Zaman, Koide,
  Sosnick and Freed, Biochemistry 44 (2005) 9691. Ours holds 32 %, a choice between the two that gives free chains of
  25 to 100 residues the radius of gyration of unfolded proteins, 1.927 Å N^0.598 (Kohn et al., PNAS 101 (2004)
  12491), within about 6 %, as such libraries do (Jha et al., PNAS 102 (2005) 13099; Bernadó et al., ibid. 17002).
- glycine and pre-proline: the regions and their positions (for glycine five, mirrored by φ, ψ → −φ, −ψ, ψ near
  180° and 0°; before a proline α is disfavoured and ζ appears at −140°, 80°): Ho and Brasseur, BMC Struct. Biol. 5
  (2005) 14; Lovell et al., Proteins 50 (2003) 437.
- proline: φ held by the ring near −65°, polyproline II before α; α nearly gone before another proline: MacArthur and
  Thornton, J. Mol. Biol. 218 (1991) 397.
- ω: 180° ± 5°, and cis (0° ± 5°) in 6 % of the bonds before a proline, never elsewhere: MacArthur and Thornton,
  J. Mol. Biol. 264 (1996) 1180; Stewart, Sarkar and Wampler, J. Mol. Biol. 214 (1990) 253.

Neighbours influence a residue only through the class "before a proline"; correlations due to steric exclusion arise
from the rejection of clashes (``conformers``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from cryobench.atoms.tables import read_rows

TURN = 2 * np.pi


@dataclass(frozen=True)
class Basin:
    """One region of the Ramachandran map: its fraction, and centre and standard deviation of φ and ψ in degrees."""

    name: str
    weight: float
    phi_deg: float
    psi_deg: float
    phi_width_deg: float
    psi_width_deg: float


COIL: dict[str, tuple[Basin, ...]] = {}
for _kind, _name, *_numbers in (row.values() for row in read_rows(__file__, "coil.csv")):
    COIL[_kind] = (*COIL.get(_kind, ()), Basin(_name, *map(float, _numbers)))
"""Basins of each residue class; the fractions of a class add up to 1."""

OMEGA_WIDTH_DEG = 5.0
"""Standard deviation of ω about 180° (trans) or 0° (cis), degrees."""
CIS_PROLINE = 0.06
"""Fraction of cis among the peptide bonds before a proline."""


@dataclass(frozen=True, eq=False)
class LinkerDihedrals:
    """Backbone dihedrals of r consecutive residues, radian in [0, 2π); a leading axis holds k alternatives."""

    phi: Float64[np.ndarray, "*k r"]
    """(r,) C(i−1), N, CA, C."""
    psi: Float64[np.ndarray, "*k r"]
    """(r,) N, CA, C, N(i+1)."""
    omega: Float64[np.ndarray, "*k bonds"]
    """(r + 1,) CA(i), C(i), N(i+1), CA(i+1) of the peptide bonds, from the one before the residues on."""

    def joined(self, following: "LinkerDihedrals") -> "LinkerDihedrals":
        """These residues and the next ones; the second's ω is used for the common bond."""
        return LinkerDihedrals(
            np.concatenate([self.phi, following.phi], axis=-1),
            np.concatenate([self.psi, following.psi], axis=-1),
            np.concatenate([self.omega[..., :-1], following.omega], axis=-1),
        )

    def pick(self, index: int | slice) -> "LinkerDihedrals":
        """One of the k alternatives, or several."""
        return LinkerDihedrals(self.phi[index], self.psi[index], self.omega[index])


def classify_residues(names: Sequence[str]) -> list[str]:
    """Class, a key of `COIL`, of each residue except the last of a chain, by its name ("ALA") and the next one's."""
    kinds = []
    for name, following in pairwise(names):
        if name == "PRO":
            kinds.append("proline before proline" if following == "PRO" else "proline")
        elif name == "GLY":
            kinds.append("glycine")
        else:
            kinds.append("pre-proline" if following == "PRO" else "general")
    return kinds


def draw_dihedrals(names: Sequence[str], generator: np.random.Generator, count: int | None = None) -> LinkerDihedrals:
    """Draw the dihedrals of all residues except the last of ``names``; ``count`` times, if given.

    The last one decides the class of its predecessor and whether the last peptide bond may be cis.
    """
    table = _tabulate(tuple(names), tuple(COIL.items()))
    residues, many = np.arange(len(names) - 1), () if count is None else (count,)
    choice, noise = generator.random((*many, len(residues))), generator.standard_normal((2, *many, len(residues)))
    basins = (choice[..., None] >= table.edges).sum(axis=-1)
    phi, psi = (table.centres[:, residues, basins] + table.widths[:, residues, basins] * noise) % TURN
    cis = generator.random((*many, len(names))) < table.cis
    omega = np.where(cis, 0.0, np.pi) + np.radians(OMEGA_WIDTH_DEG) * generator.standard_normal(cis.shape)
    return LinkerDihedrals(phi, psi, omega % TURN)


@dataclass(frozen=True, eq=False)
class _Table:
    """Mixtures of r residues side by side; basins missing from a class are never drawn."""

    edges: Float64[np.ndarray, "r basins"]
    """Upper ends of the basins' parts of the unit interval."""
    centres: Float64[np.ndarray, "2 r basins"]
    """φ and ψ, radian."""
    widths: Float64[np.ndarray, "2 r basins"]
    cis: Float64[np.ndarray, " bonds"]
    """Fraction of cis in the bond before each residue."""


@lru_cache(maxsize=64)
def _tabulate(names: tuple[str, ...], laws: tuple[tuple[str, tuple[Basin, ...]], ...]) -> _Table:
    basins = [dict(laws)[kind] for kind in classify_residues(names)]
    most = max(map(len, basins))
    edges = np.full((len(basins), most), np.inf)
    centres, widths = np.zeros((2, len(basins), most)), np.zeros((2, len(basins), most))
    for row, choices in enumerate(basins):
        for column, basin in enumerate(choices):
            centres[:, row, column] = np.radians([basin.phi_deg, basin.psi_deg])
            widths[:, row, column] = np.radians([basin.phi_width_deg, basin.psi_width_deg])
        # The last edge, 1 up to rounding, stays infinite, so that every number falls in a basin of the class.
        edges[row, : len(choices) - 1] = np.cumsum([basin.weight for basin in choices[:-1]])
    return _Table(edges, centres, widths, np.where(np.array(names) == "PRO", CIS_PROLINE, 0.0))
