"""The law of a disordered linker: its dihedrals follow the stated mixture, which the search keeps to."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import KDTree

from cryobench.atoms.linker import FabLinker, LinkerSampler, coil, draw_dihedrals, search
from cryobench.atoms.linker.geometry import grow_backbone
from molecules import read_antibody

MANY = 12_000
# Residues whose classes are all the same, or alternate with prolines, which are left out of the count.
SEQUENCES = {
    "general": ["ALA"],
    "pre-proline": ["ALA", "PRO"],
    "glycine": ["GLY"],
    "proline": ["PRO", "ALA"],
    "proline before proline": ["PRO"],
}
CELL = 20.0


def _draw(kind, generator, count=MANY):
    """phi and psi (2, count) in degrees of residues of one class."""
    unit = SEQUENCES[kind]
    names = unit * count + [unit[0]]
    dihedrals = draw_dihedrals(names, generator)
    return np.degrees([dihedrals.phi, dihedrals.psi])[:, :: len(unit)]


def _expect(basins):
    """Probability of each cell of the Ramachandran map, from the normal distribution wrapped by hand."""
    edges = np.arange(0, 361, CELL)
    turns = 360.0 * np.arange(-2, 3)[:, None]
    total = np.zeros((len(edges) - 1,) * 2)
    for basin in basins:
        phi = np.diff(stats.norm.cdf(edges + turns, basin.phi_deg, basin.phi_width_deg)).sum(axis=0)
        psi = np.diff(stats.norm.cdf(edges + turns, basin.psi_deg, basin.psi_width_deg)).sum(axis=0)
        total += basin.weight * np.outer(phi, psi)
    return total


def _agreement(angles, basins):
    """p value of the angles under the mixture; rare cells are counted as one."""
    cells = np.floor(angles / CELL).astype(int)
    observed = np.zeros((18, 18))
    np.add.at(observed, tuple(cells), 1)
    expected = _expect(basins) * angles.shape[1]
    rare = expected < 8
    parts = [np.append(counts[~rare], counts[rare].sum()) for counts in (observed, expected)]
    return stats.chisquare(*parts).pvalue


@pytest.mark.parametrize("kind", SEQUENCES)
def test_dihedrals_follow_the_mixture(kind, rng):
    assert sum(basin.weight for basin in coil.COIL[kind]) == pytest.approx(1.0)
    assert _agreement(_draw(kind, rng), coil.COIL[kind]) > 1e-3


@pytest.mark.parametrize("kind", SEQUENCES)
def test_another_mixture_is_told_apart(kind, rng, monkeypatch):
    """Five per cent more in one basin, or one wider by a quarter, is seen."""
    stated = coil.COIL[kind]
    heavier = (replace(stated[0], weight=stated[0].weight - 0.05), replace(stated[1], weight=stated[1].weight + 0.05))
    wider = (replace(stated[0], psi_width_deg=1.25 * stated[0].psi_width_deg), stated[1])
    for altered in (heavier, wider):
        monkeypatch.setitem(coil.COIL, kind, (*altered, *stated[2:]))
        assert _agreement(_draw(kind, rng), stated) < 1e-4


def test_peptide_bonds_are_trans_but_for_some_before_proline(rng):
    names = ["ALA", "PRO", "GLY"] * 4000
    omega = np.degrees(draw_dihedrals(names, rng).omega)
    cis = (omega < 90) | (omega > 270)
    follows = np.array(names) == "PRO"
    assert not cis[~follows].any()
    assert stats.binomtest(int(cis[follows].sum()), int(follows.sum()), 0.06).pvalue > 1e-3
    trans = omega[~cis] - 180
    assert trans.std() == pytest.approx(5, rel=0.03)
    assert trans.mean() == pytest.approx(0, abs=0.3)


def test_helical_share_lies_between_the_published_ones():
    """Coil with turns 37 %, without 22 % (Jha et al. 2005)."""
    helical = sum(basin.weight for basin in coil.COIL["general"] if basin.name in ("alpha", "bridge"))
    assert 0.22 < helical < 0.37


def test_free_chains_are_as_large_as_unfolded_proteins(rng):
    """Kohn et al. (2004): 1.927 Å N^0.598."""
    names = (["ALA", "SER", "LYS", "GLY", "GLU", "LEU", "VAL", "ASP", "THR", "ASN", "PRO", "GLN"] * 3)[:31]
    squares = []
    while len(squares) < 300:
        chain = grow_backbone(names[:-1], draw_dihedrals(names, rng))
        atoms = np.concatenate([chain.positions, chain.oxygens[:, None], chain.betas[:, None]], axis=1).reshape(-1, 3)
        pairs = KDTree(atoms).query_pairs(2.6, output_type="ndarray") // 5
        if (np.abs(pairs[:, 0] - pairs[:, 1]) <= 1).all():
            alphas = chain.positions[:, 1]
            squares.append(((alphas - alphas.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert np.sqrt(np.mean(squares)) == pytest.approx(1.927 * 30**0.598, rel=0.1)


class _Rule(search.ClashFinder):
    """Calls a whole linker free if its first or its last residue has a negative psi, and every part of it."""

    def __init__(self, length: int) -> None:
        self.clash_distance, self.length = 2.6, length

    def measure(self, piece: search.Piece) -> np.ndarray:
        psi = piece.dihedrals.psi
        if psi.shape[1] < self.length:
            return np.full(len(psi), np.inf)
        return np.where((psi[:, 0] < np.pi) & (psi[:, -1] < np.pi), 0.0, np.inf)


def test_searching_by_halves_keeps_the_law(rng):
    """A half is not kept when the whole fails: that would give the halves their own law, not the whole's."""
    sampler = LinkerSampler(read_antibody(), FabLinker(first=225, last=238))
    length = len(sampler.labels)
    assert length > search._LEAF
    rule = _Rule(length)
    found = []
    for _ in range(250):
        psi = search.LinkerSearch(sampler._builder, rule, rng, 1000).find().psi
        found.append((psi[0] > np.pi, psi[-1] > np.pi))
    plain = []
    while len(plain) < 1500:
        psi = draw_dihedrals(sampler.names, rng).psi
        if psi[0] > np.pi or psi[-1] > np.pi:
            plain.append((psi[0] > np.pi, psi[-1] > np.pi))
    counts = [[sum(pair == kind for pair in pairs) for kind in ((0, 1), (1, 0), (1, 1))] for pairs in (found, plain)]
    assert stats.chi2_contingency(counts).pvalue > 1e-3
