"""The made-up antibody: as large, as heavy and as dense as the real one, made of sheets, and free to turn."""

from itertools import pairwise

import gemmi
import numpy as np
import pytest
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist

from cryobench.atoms import fab_selection, find_atom, list_chains, procedural_antibody, read_structure, turn_fab
from cryobench.atoms.model import residue_starts
from cryobench.atoms.procedural import layout
from cryobench.atoms.procedural.side_chains import SIDE_CHAINS, list_rotamers, place_atom
from cryobench.atoms.procedural.trace import place_strand

GOLDEN = [[35.978, 17.515, 70.005], [-31.129, -12.143, -25.842], [6.904, -26.616, -56.04]]


@pytest.fixture(scope="module")
def antibody():
    return procedural_antibody(seed=0)


def _residue_index(model):
    starts = residue_starts(model)
    return np.searchsorted(starts, np.arange(len(model)), side="right") - 1


def _radius_of_gyration(model):
    return np.sqrt(model.weights @ (model.centred().positions ** 2).sum(1) / model.mass)


def test_size_and_mass_of_an_igg(antibody):
    assert 10_000 < len(antibody) < 11_000
    assert antibody.mass_with_hydrogens == pytest.approx(150_000, rel=0.03)
    # Of the real structure: 52.0 Å and 171 Å.
    assert _radius_of_gyration(antibody) == pytest.approx(52.0, abs=1.5)
    assert pdist(antibody.positions[antibody.atom_names == "CA"]).max() == pytest.approx(170, abs=10)
    np.testing.assert_allclose(antibody.centre_of_mass, 0, atol=1e-3)


def test_atoms_are_those_of_the_sequence(antibody):
    """Witness: gemmi's table of amino acids gives each residue's weight without any of our atom lists."""
    weight = 0.0
    for sequence in (layout.HEAVY_SEQUENCE, layout.LIGHT_SEQUENCE):
        names = gemmi.expand_one_letter_sequence(sequence, gemmi.ResidueKind.AA)
        weight += 2 * sum(gemmi.find_tabulated_residue(name).weight - 18.0153 for name in names)
    assert antibody.mass_with_hydrogens == pytest.approx(weight, rel=1e-3)
    for name in set(antibody.residue_names.tolist()):
        heavy = {"GLY": 4}.get(name, 5 + len(SIDE_CHAINS[name]))
        first = residue_starts(antibody)[antibody.residue_names[residue_starts(antibody)] == name]
        assert all(antibody.residue_names[start : start + heavy].tolist() == [name] * heavy for start in first)


def test_numbering_is_that_of_the_real_structure(antibody):
    assert list_chains(antibody) == ["H", "L", "K", "M"]
    for chain in "HK":
        for number in (22, 230, 239, 242):
            atom = find_atom(antibody, chain, number, "SG")
            assert antibody.residue_names[atom] == "CYS"
        assert antibody.residue_names[find_atom(antibody, chain, 244, "CA")] == "ALA"
    assert antibody.residue_numbers[antibody.chains == "H"].max() == 460
    assert antibody.residue_numbers[antibody.chains == "L"].max() == 215


def test_bonds_and_contacts_are_those_of_a_molecule(antibody):
    positions = antibody.positions
    residue = _residue_index(antibody)
    nearest = KDTree(positions).query(positions, k=2)[0][:, 1]
    assert nearest.min() > 1.0
    assert np.percentile(nearest, 99) < 1.6
    pairs = KDTree(positions).query_pairs(2.5, output_type="ndarray")
    distances = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    apart = np.abs(residue[pairs[:, 0]] - residue[pairs[:, 1]]) > 1
    assert distances[apart].min() > 2.0
    assert apart.sum() < 20
    for first, second, step, ideal in (
        ("N", "CA", 0, 1.46),
        ("CA", "C", 0, 1.52),
        ("C", "O", 0, 1.23),
        ("C", "N", 1, 1.33),
    ):
        one, other = positions[antibody.atom_names == first], positions[antibody.atom_names == second]
        lengths = np.linalg.norm(other[step:] - one[: len(one) - step], axis=1)
        chain = antibody.chains[antibody.atom_names == "CA"]
        lengths = lengths[chain[step:] == chain[: len(chain) - step]]
        assert np.abs(np.percentile(lengths, [1, 50, 99]) - ideal).max() < 0.15, (first, second)


def test_amino_acids_are_left_handed(antibody):
    """N, C and CB, seen along H-CA, run the L way: the determinant below is positive for an L residue."""
    names, positions = antibody.atom_names, antibody.positions
    index = {name: np.full(_residue_index(antibody)[-1] + 1, -1) for name in ("N", "CA", "C", "CB")}
    for name, places in index.items():
        places[_residue_index(antibody)[names == name]] = np.flatnonzero(names == name)
    with_beta = index["CB"] >= 0
    corner = {name: positions[places[with_beta]] for name, places in index.items()}
    volume = np.einsum(
        "ri,ri->r",
        np.cross(corner["N"] - corner["CA"], corner["C"] - corner["CA"]),
        corner["CB"] - corner["CA"],
    )
    assert (volume > 0).mean() > 0.99


@pytest.mark.parametrize("placement", layout.PLACEMENTS, ids=lambda item: f"{item.fold}-{item.chain}")
def test_domains_are_two_sheets_of_strands(antibody, placement):
    """Strands keep to their place, neighbours in a sheet lie 3.5 to 6.5 Å apart, and the sheets some 10 Å."""
    strands = layout.FOLDS[placement.fold]
    ideal = [place_strand(strand, placement) for strand in strands]
    calpha = antibody.positions[(antibody.chains == placement.chain) & (antibody.atom_names == "CA")]
    built = [calpha[strand.first - 1 : strand.last] for strand in strands]
    everything, target = np.concatenate(built), np.concatenate(ideal)
    offset = (everything - target).mean(0)
    assert np.sqrt(((everything - offset - target) ** 2).sum(1).mean()) < 1.5
    extent = np.ptp(everything @ np.linalg.svd(everything - everything.mean(0))[2].T, axis=0)
    assert 25 < extent[0] < 55
    assert 15 < extent[2] < 30
    for sheet in (1, 2):
        members = sorted((strand.across, index) for index, strand in enumerate(strands) if strand.sheet == sheet)
        for (_, one), (_, other) in pairwise(members):
            gap = KDTree(built[one]).query(built[other])[0].min()
            assert 3.3 < gap < 7.5
    first = np.concatenate([part for part, strand in zip(built, strands, strict=True) if strand.sheet == 1])
    second = np.concatenate([part for part, strand in zip(built, strands, strict=True) if strand.sheet == 2])
    assert 8.0 < np.median(KDTree(first).query(second)[0]) < 14.0


def test_seed_decides(antibody):
    again = procedural_antibody.__wrapped__(seed=0)
    np.testing.assert_array_equal(again.positions, antibody.positions)
    other = procedural_antibody(seed=1)
    moved = np.linalg.norm(other.positions - antibody.positions, axis=1)
    assert np.median(moved) > 0.05
    assert abs(len(other) - len(antibody)) == 0


def test_positions_have_not_changed(antibody):
    """Golden: a change here changes every data set made without a structure. Note it in the changelog."""
    picked = [find_atom(antibody, chain, number, "CA") for chain, number in (("H", 100), ("K", 300), ("M", 50))]
    np.testing.assert_allclose(antibody.positions[picked], GOLDEN, atol=0.02)


def test_fab_turns_without_crash(antibody):
    fab = fab_selection(antibody)
    joint = (antibody.chains == "H") & (antibody.residue_numbers >= 229) & (antibody.residue_numbers <= 232)
    for index in range(0, 100, 4):
        turned = turn_fab(antibody, 2 * np.pi * index / 100).positions
        distances = KDTree(turned[~fab & ~joint]).query(turned[fab & ~joint])[0]
        assert (distances < 3.0).sum() <= 5
        assert distances.min() > 1.5


def test_torsions_are_right_handed():
    points = np.random.default_rng(1).normal(size=(3, 4, 3))
    placed = place_atom(*points, 1.5, 110.0, -65.0)
    for case in range(4):
        corners = [gemmi.Position(*point[case]) for point in (*points, placed)]
        assert np.rad2deg(gemmi.calculate_dihedral(*corners)) == pytest.approx(-65.0)
        assert np.rad2deg(gemmi.calculate_angle(*corners[1:])) == pytest.approx(110.0)
    assert len(list_rotamers("LEU")) == 9
    assert len(list_rotamers("SER")) == 3
    assert list_rotamers("PRO") == [(0.0, 0.0)]


def test_it_resembles_the_real_antibody(antibody, structures):
    real = read_structure(structures / "1hzh.pdb.gz").centred()
    assert _radius_of_gyration(antibody) == pytest.approx(_radius_of_gyration(real), rel=0.02)
    crowd = [
        np.median([len(found) for found in KDTree(model.positions).query_ball_point(model.positions[::7], 8.0)])
        for model in (antibody, real)
    ]
    assert crowd[0] == pytest.approx(crowd[1], rel=0.1)
    distance = KDTree(antibody.positions).query(real.positions)[0]
    assert np.median(distance) < 2.0
