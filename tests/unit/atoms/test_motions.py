"""The Fab's turn: the dihedral grows by exactly the angle, the Fc stays, nothing collides on the real antibody."""

import gemmi
import numpy as np
import pytest
from scipy.spatial import cKDTree

from cryobench.atoms import (
    AtomicModel,
    FabHinge,
    fab_dihedral,
    fab_selection,
    find_atom,
    rotate_about_axis,
    turn_fab,
)
from molecules import read_antibody


@pytest.fixture
def antibody(rng):
    """Bare CA trace of two heavy and two light chains, with a glycan on the Fab and one on the Fc."""
    sizes = {"H": 300, "K": 300, "L": 100, "M": 100, "G": 3, "F": 3}
    chains = np.repeat(list(sizes), list(sizes.values()))
    positions = 40 * rng.normal(size=(len(chains), 3))
    numbers = np.concatenate([np.arange(1, size + 1) for size in sizes.values()])
    for chain, anchor in (("G", 20), ("F", 280)):
        first = positions[(chains == "H") & (numbers == anchor)] + 1.4
        positions[chains == chain] = first + 1.5 * np.arange(3)[:, None] / np.sqrt(3)
    return AtomicModel(
        positions=positions,
        atomic_numbers=np.full(len(chains), 6),
        b_factors=np.zeros(len(chains)),
        occupancies=np.ones(len(chains)),
        chains=chains,
        residue_numbers=numbers,
        insertion_codes=np.full(len(chains), ""),
        residue_names=np.where(np.isin(chains, ["G", "F"]), "NAG", "ALA"),
        atom_names=np.where(np.isin(chains, ["G", "F"]), "C1", "CA"),
    )


def _witness_dihedral(model: AtomicModel, hinge: FabHinge) -> float:
    """The same angle by gemmi, from points that are found without the code under test."""
    fab = (np.isin(model.chains, [hinge.light, "G"])) | (
        (model.chains == hinge.heavy) & (model.residue_numbers <= hinge.fab_end)
    )
    points = [
        np.average(model.positions[fab], axis=0, weights=model.weights[fab]),
        model.positions[find_atom(model, hinge.heavy, hinge.fab_end, "CA")],
        model.positions[find_atom(model, hinge.heavy, hinge.rest_start, "CA")],
        np.average(model.positions[~fab], axis=0, weights=model.weights[~fab]),
    ]
    return gemmi.calculate_dihedral(*(gemmi.Position(*point) for point in points)) % (2 * np.pi)


@pytest.mark.parametrize("angle", [0.3, 2.0, -1.0, 2 * np.pi * 77 / 100])
def test_dihedral_grows_by_the_angle(antibody, angle):
    hinge = FabHinge()
    start, turned = fab_dihedral(antibody), turn_fab(antibody, angle)
    assert start == pytest.approx(_witness_dihedral(antibody, hinge), abs=1e-9)
    assert fab_dihedral(turned) == pytest.approx(_witness_dihedral(turned, hinge), abs=1e-9)
    assert np.exp(1j * (fab_dihedral(turned) - start)) == pytest.approx(np.exp(1j * angle), abs=1e-9)


def test_angle_zero_is_the_input(antibody):
    np.testing.assert_allclose(turn_fab(antibody, 0.0).positions, antibody.positions, atol=1e-12)


def test_only_the_fab_and_its_glycan_move(antibody):
    mask = fab_selection(antibody)
    moved = np.linalg.norm(turn_fab(antibody, 1.0).positions - antibody.positions, axis=1) > 1e-6
    pivot = find_atom(antibody, "H", 230, "CA")
    assert not moved[pivot]
    moved[pivot] = True
    np.testing.assert_array_equal(moved, mask)
    assert set(antibody.chains[mask]) == {"H", "L", "G"}
    assert mask[antibody.chains == "G"].all()
    assert antibody.residue_numbers[mask & (antibody.chains == "H")].max() == 230


def test_the_other_fab_can_turn(antibody):
    hinge = FabHinge(heavy="K", light="M", fab_end=213, rest_start=244)
    turned = turn_fab(antibody, 1.0, hinge)
    assert (fab_dihedral(turned, hinge) - fab_dihedral(antibody, hinge)) % (2 * np.pi) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("hinge", "message"),
    [
        (FabHinge(light="X"), "cannot find the Fab to turn: no chain 'X'.*its chains are H, K, L, M.*heavy_chain"),
        (FabHinge(rest_start=999), "cannot find the hinge: chain 'H' has no residue"),
    ],
)
def test_missing_chain_or_residue(antibody, hinge, message):
    with pytest.raises(ValueError, match=message):
        turn_fab(antibody, 1.0, hinge)


def test_a_fab_alone_has_no_rest(antibody):
    with pytest.raises(ValueError, match="a Fab and a rest are needed"):
        fab_selection(antibody.select(np.isin(antibody.chains, ["L", "H"])), FabHinge(fab_end=400))


def test_axis_rotation_is_right_handed():
    model = AtomicModel.from_positions(np.array([[1.0, 0, 0], [5.0, 5, 5]]), np.array([6, 6]))
    turned = rotate_about_axis(model, np.array([True, False]), np.zeros(3), np.array([0.0, 0, 2]), np.pi / 2)
    np.testing.assert_allclose(turned.positions, [[0, 1, 0], [5, 5, 5]], atol=1e-12)
    with pytest.raises(ValueError, match="needs a direction"):
        rotate_about_axis(model, np.array([True, False]), np.zeros(3), np.zeros(3), 1.0)


def test_real_fab_turns_freely():
    model = read_antibody().centred()
    fab = fab_selection(model)
    assert fab.sum() == 3421
    assert set(model.chains[fab]) == {"H", "L"}
    # The residues on both sides of the cut are bonded to each other, so they are close at any angle.
    joint = (model.chains == "H") & (model.residue_numbers >= 229) & (model.residue_numbers <= 232)
    for index in range(100):
        turned = turn_fab(model, 2 * np.pi * index / 100).positions
        distances, _ = cKDTree(turned[~fab & ~joint]).query(turned[fab & ~joint])
        assert distances.min() > 3.4
        assert np.linalg.norm(turned, axis=1).max() < 100
