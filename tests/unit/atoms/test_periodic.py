"""Molecules cut by a periodic box: put together as they were, and what is whole left as it is."""

import numpy as np
import pytest

from cryobench.atoms import read_structure
from cryobench.atoms.files.records import make_records
from cryobench.atoms.periodic import bring_near, cell_vectors, join_molecules, link_atoms
from pdb_text import HELIX_ATOMS, helix_lines, helix_positions, write_pdb

CELLS = [
    (40.0, 44.0, 48.0, 90.0, 90.0, 90.0),
    (45.0, 45.0, 45.0, 70.5, 109.5, 70.5),
    (50.0, 50.0, 60.0, 90, 90, 60.0),
]


def wrap(positions, vectors):
    """Every atom in the box."""
    fractions = positions @ np.linalg.inv(vectors)
    return (fractions - np.floor(fractions)) @ vectors


def link_helices(copies):
    """Linkage of helices of chains A, B, ..."""
    rows = [
        ((0.0, 0.0, 0.0), "", name, "", "ALA", chain, number, "", 1.0, 0.0, 0)
        for chain in "ABCD"[:copies]
        for number in range(1, 6)
        for name in ("N", "CA", "C", "O")
    ]
    return link_atoms(make_records(rows, aligned=False, cell=None))


def distances(positions):
    return np.linalg.norm(positions[:, None] - positions[None], axis=2)


def test_box_vectors_have_the_lengths_and_angles_of_the_cell():
    for cell in CELLS:
        vectors = cell_vectors(cell)
        lengths = np.linalg.norm(vectors, axis=1)
        np.testing.assert_allclose(lengths, cell[:3])
        cosines = [vectors[i] @ vectors[j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))]
        np.testing.assert_allclose(np.rad2deg(np.arccos(cosines)), cell[3:])
    assert cell_vectors(CELLS[0])[1, 0] == 0


@pytest.mark.parametrize("cell", CELLS)
def test_a_molecule_in_the_wall_is_put_together(rng, cell):
    vectors = cell_vectors(cell)
    molecule = helix_positions()
    for corner in rng.uniform(size=(10, 3)) @ vectors:
        whole, cut = join_molecules(wrap(molecule + corner, vectors), vectors, link_helices(1))
        np.testing.assert_allclose(distances(whole), distances(molecule), atol=1e-9)
        assert cut in (0, 1)
    whole, cut = join_molecules(wrap(molecule, vectors), vectors, link_helices(1))
    assert cut == 1


@pytest.mark.parametrize("cell", CELLS)
def test_a_complex_in_the_wall_is_put_together(rng, cell):
    vectors = cell_vectors(cell)
    parts = np.concatenate([helix_positions(), helix_positions((7.0, 0, 0)), helix_positions((14.0, 2, 0))])
    for corner in [np.zeros(3), *rng.uniform(size=(10, 3)) @ vectors]:
        whole, _ = join_molecules(wrap(parts + corner, vectors), vectors, link_helices(3), gather=True)
        np.testing.assert_allclose(distances(whole), distances(parts), atol=1e-9)


def test_molecules_written_whole_but_on_two_sides_are_brought_together():
    """As ``gmx trjconv -pbc mol`` leaves a dimer."""
    vectors = np.eye(3) * 50.0
    dimer = np.concatenate([helix_positions(), helix_positions((7.0, 0, 0))])
    apart = dimer + np.repeat([[0, 0, 0], [50.0, -50.0, 0]], HELIX_ATOMS, axis=0)
    whole, moved = join_molecules(apart, vectors, link_helices(2), gather=True)
    assert moved == 1
    np.testing.assert_allclose(whole, dimer, atol=1e-9)


@pytest.mark.parametrize("gather", [False, True])
def test_what_is_whole_is_not_touched(gather):
    """Molecules far apart, and a chain of them longer than the box, each of which touches the next as it lies."""
    apart = np.concatenate([helix_positions(), helix_positions((30.0, 25, 0))])
    chain = np.concatenate([helix_positions((7.0 * step, 0, 0)) for step in range(4)])
    for positions, side in ((apart, 80.0), (chain, 20.0)):
        same, moved = join_molecules(
            positions, np.eye(3) * side, link_helices(len(positions) // HELIX_ATOMS), gather=gather
        )
        assert moved == 0
        np.testing.assert_array_equal(same, positions)


def test_a_cell_too_small_for_a_decision_is_passed_over():
    """A peptide in a crystal of 5 Å, or a file that says 1 x 1 x 1."""
    positions = helix_positions()
    for side in (1.0, 5.0):
        same, moved = join_molecules(positions, np.eye(3) * side, link_helices(1))
        assert same is positions
        assert moved == 0


def test_all_atoms_follow_their_centre():
    positions = helix_positions((100.0, 3.0, 0.0))
    vectors = np.eye(3) * 50.0
    np.testing.assert_allclose(bring_near(positions, vectors, np.zeros(3)), helix_positions((0.0, 3.0, 0.0)))
    assert bring_near(positions, vectors, np.array([90.0, 0, 0])) is positions


def test_a_structure_file_with_a_box(tmp_path):
    vectors = np.eye(3) * 40.0
    lines = helix_lines(positions=wrap(helix_positions(), vectors))
    box = "CRYST1   40.000   40.000   40.000  90.00  90.00  90.00 P 1           1"
    notes = []
    model = read_structure(write_pdb(tmp_path / "cut.pdb", [box, *lines]), notes=notes)
    np.testing.assert_allclose(distances(model.positions), distances(helix_positions()), atol=2e-3)
    assert notes == ["cut.pdb: 1 molecules were cut by the periodic box and are made whole."]
    # Without a box nothing is known.
    apart = read_structure(write_pdb(tmp_path / "none.pdb", lines))
    assert distances(apart.positions).max() > 35
    # A break in a chain of a crystal is no cut.
    gap = [box, *helix_lines()[:8], *helix_lines((25.0, 0, 0))[12:]]
    model = read_structure(write_pdb(tmp_path / "gap.pdb", gap))
    assert distances(model.positions).max() > 20
