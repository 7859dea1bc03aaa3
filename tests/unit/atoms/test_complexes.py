"""Made-up complexes: as heavy as asked, as symmetric as asked, of touching parts, dense and chiral as proteins."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from aligned_correlation import correlate, expand
from cryobench.atoms import list_chains
from cryobench.atoms.model import residue_starts
from cryobench.atoms.procedural import procedural_complex, procedural_contaminant
from cryobench.atoms.procedural.complexes import _build_unit
from cryobench.atoms.procedural.contacts import approach, approach_copies, is_one_piece
from cryobench.atoms.procedural.packing import CLASH
from cryobench.atoms.procedural.residues import KINDS, WEIGHTS, atom_names, helix, strand
from cryobench.rotations import point_group
from cryobench.volumes.render import render

GOLDEN = [[-2.02, -3.171, 34.467], [26.125, -20.06, 17.197], [-20.184, 31.996, 16.698]]
CASES = [(156, "C1"), (164, "C8"), (156, "D7"), (300, "C2"), (260, "T"), (300, "O"), (500, "C1")]
ALL = pytest.mark.parametrize(("mass", "symmetry"), CASES, ids=[f"{symmetry}-{mass}" for mass, symmetry in CASES])


def _is_mapped_onto_itself(model, rotation, tolerance=1e-6):
    distance, index = KDTree(model.positions).query(model.positions @ rotation.T, distance_upper_bound=3.0)
    if not distance.max() < tolerance:
        return False
    same = model.atomic_numbers[index] == model.atomic_numbers
    return bool(same.all()) and len(np.unique(index)) == len(model)


def _chain_numbers(model):
    return np.unique(model.chains, return_inverse=True)[1]


@ALL
def test_mass_is_the_one_asked_for(mass, symmetry):
    model = procedural_complex(mass, symmetry)
    assert model.mass_with_hydrogens / 1000 == pytest.approx(mass, rel=0.01)
    np.testing.assert_allclose(model.centre_of_mass, 0, atol=1e-3)


@ALL
def test_symmetry_is_exact(mass, symmetry):
    model = procedural_complex(mass, symmetry)
    rotations = point_group(symmetry)
    for rotation in rotations[:: 1 + len(rotations) // 6]:
        assert _is_mapped_onto_itself(model, rotation)
    # And no more than that: neither half the angle about z nor a turn about x or another axis, but for the group's.
    order = int(symmetry[1:]) if symmetry[0] in "CD" else 2
    others = [
        Rotation.from_rotvec([0, 0, np.pi / order]),
        Rotation.from_rotvec([np.pi, 0, 0]),
        Rotation.from_rotvec([1.0, 0.4, 0.2]),
    ]
    for rotation in (other.as_matrix() for other in others):
        if np.abs(rotations - rotation).max(axis=(1, 2)).min() > 1e-6:
            assert not _is_mapped_onto_itself(model, rotation, tolerance=2.0)


def test_chains_have_names_that_files_can_hold():
    names = list_chains(procedural_complex(320, "C30"))
    assert len(names) == 30
    assert all(name.isalnum() and len(name) == 1 for name in names)


def test_without_symmetry_no_turn_brings_it_back():
    """At 22 Å, over all turns by 40 degrees and more. A ring of three, for comparison, comes back."""
    alone = expand(render(procedural_complex(300, "C1"), 36, 8.0, 22.0).numpy(), 8.0)
    assert correlate(alone, alone, least_angle=np.deg2rad(40)) < 0.9
    ring = expand(render(procedural_complex(300, "C3"), 36, 8.0, 22.0).numpy(), 8.0)
    assert correlate(ring, ring, least_angle=np.deg2rad(40)) > 0.97


@ALL
def test_parts_touch_and_do_not_overlap(mass, symmetry):
    model = procedural_complex(mass, symmetry)
    chain = _chain_numbers(model)
    pairs = KDTree(model.positions).query_pairs(5.0, output_type="ndarray")
    distance = np.linalg.norm(model.positions[pairs[:, 0]] - model.positions[pairs[:, 1]], axis=1)
    between = chain[pairs[:, 0]] != chain[pairs[:, 1]]
    count = chain.max() + 1
    assert count == (len(point_group(symmetry)) if symmetry != "C1" else len(list_chains(model)))
    assert count > 1
    assert distance[between].min() > 2.4
    contacts = np.zeros((count, count))
    contacts[chain[pairs[between, 0]], chain[pairs[between, 1]]] = 1
    assert connected_components(contacts, directed=False, return_labels=False) == 1
    # Within a chain, residues that are not neighbours.
    residue = np.searchsorted(residue_starts(model), np.arange(len(model)), side="right")
    apart = ~between & (np.abs(residue[pairs[:, 0]] - residue[pairs[:, 1]]) > 1)
    assert distance[apart].min() > 1.9
    assert distance.min() > 0.85


def test_residues_are_whole_and_left_handed():
    model = procedural_complex(300, "C2")
    starts = residue_starts(model)
    ends = np.append(starts[1:], len(model))
    assert set(model.residue_names) == set(KINDS)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        assert model.atom_names[start:end].tolist() == atom_names(str(model.residue_names[start]))
    first = np.array([name[0] for name in model.atom_names.tolist()])
    numbers = {"C": 6, "N": 7, "O": 8, "S": 16}
    np.testing.assert_array_equal(model.atomic_numbers, [numbers[name] for name in first.tolist()])
    weights = dict(zip(KINDS, WEIGHTS.tolist(), strict=True))
    total = sum(weights[name] for name in model.residue_names[starts].tolist())
    assert model.mass_with_hydrogens == pytest.approx(total, rel=2e-4)
    with_beta = starts[model.residue_names[starts] != "GLY"]
    nitrogen, alpha, carbon, _, beta = (model.positions[with_beta + offset] for offset in range(5))
    handedness = np.einsum("ri,ri->r", np.cross(nitrogen - alpha, carbon - alpha), beta - alpha)
    assert (handedness > 0).mean() > 0.99
    for one, other, ideal in ((nitrogen, alpha, 1.46), (alpha, carbon, 1.52), (alpha, beta, 1.53)):
        assert np.median(np.linalg.norm(one - other, axis=1)) == pytest.approx(ideal, abs=0.01)


def test_elements_are_those_of_proteins():
    """Witness: gemmi's dihedrals of a helix and a strand rebuilt from their screws."""
    gemmi = pytest.importorskip("gemmi")
    for screw, phi, turn, rise in ((helix(), -57, 100, 1.5), (strand(), -120, 180, 3.3)):
        atoms = np.concatenate(
            [
                Rotation.from_rotvec([0, 0, step * screw.angle]).apply(screw.atoms)
                + np.array([0, 0, step * screw.rise])
                for step in range(3)
            ]
        )
        corners = [gemmi.Position(*atoms[index]) for index in (2, 5, 6, 7)]
        assert np.rad2deg(gemmi.calculate_dihedral(*corners)) == pytest.approx(phi, abs=1e-6)
        assert np.linalg.norm(atoms[5] - atoms[2]) == pytest.approx(1.329)
        assert abs(np.rad2deg(screw.angle)) == pytest.approx(turn, abs=2)
        assert screw.rise == pytest.approx(rise, abs=0.1)
        assert np.linalg.norm(atoms[6] - atoms[1]) == pytest.approx(3.80, abs=0.01)


@pytest.mark.parametrize(("mass", "symmetry"), [(300, "C2"), (556, "T"), (500, "C1")])
def test_it_is_as_dense_as_protein(mass, symmetry):
    """Atoms within 8 Å: 83 to 86 in the median for an antibody and for a viral spike (1HZH, 6VXX)."""
    model = procedural_complex(mass, symmetry)
    found = KDTree(model.positions).query_ball_point(model.positions[::17], 8.0, return_length=True)
    assert 67 < np.median(found) < 92
    assert np.percentile(found, 95) < 120


def test_seed_mass_and_symmetry_decide():
    first = procedural_complex(200, "C3", seed=5)
    _build_unit.cache_clear()
    again = procedural_complex(200, "C3", seed=5)
    np.testing.assert_array_equal(first.positions, again.positions)
    np.testing.assert_array_equal(first.residue_names, again.residue_names)
    other = procedural_complex(200, "C3", seed=6)
    assert len(other) != len(first) or np.abs(other.positions - first.positions).max() > 5


def test_positions_have_not_changed():
    """Golden: a change here changes every mixture made without structures. Note it in the changelog."""
    model = procedural_complex(200, "D2", seed=3)
    picked = model.positions[model.atom_names == "CA"][[0, 100, 700]]
    np.testing.assert_allclose(picked, GOLDEN, atol=0.02)


@pytest.mark.parametrize(
    ("mass", "symmetry", "message"),
    [
        (10, "C2", "at least 16 kDa, 8 for each of its 2 copies; got 10"),
        (float("nan"), "C1", "got nan"),
        (300, "D1", "named C1, C2, .*got 'D1'"),
        (300, "c3", "got 'c3'"),
        (100_000, "C1", r"no complex of 100000 kDa and symmetry C1 within 470 Å"),
    ],
)
def test_what_cannot_be_built(mass, symmetry, message):
    with pytest.raises(ValueError, match=message):
        procedural_complex(mass, symmetry)


def test_contaminant_is_always_the_same():
    model = procedural_contaminant()
    assert model.mass_with_hydrogens / 1000 == pytest.approx(400, rel=0.01)
    assert len(list_chains(model)) == 6
    np.testing.assert_array_equal(procedural_contaminant.__wrapped__().positions, model.positions)


def test_parts_approach_until_they_touch(rng):
    moving = rng.normal(size=(200, 3)) * 5
    resting = rng.normal(size=(300, 3)) * 5 + [0.0, 2.0, 27.0]
    way = np.array([0.0, 0.0, 1.0])
    for start in (0.0, 12.0):  # apart, and one in the other
        moved = moving + (start + approach(moving + start * way, resting, way)) * way
        assert KDTree(resting).query(moved)[0].min() == pytest.approx(3.8, abs=1e-6)
    assert approach(moving, resting + 100, way) == 15.0
    rotations = point_group("C3")
    outside = moving + np.array([22.0, 0.0, 0.0])
    inward = np.array([-1.0, 0.0, 0.0])
    placed = outside + approach_copies(outside, rotations, inward) * inward
    assert KDTree(placed @ rotations[1].T).query(placed)[0].min() == pytest.approx(3.8, abs=1e-6)


def test_pieces_are_told_apart(rng):
    ball = rng.normal(size=(60, 3))
    rotations = point_group("C2")
    parts = np.repeat([0, 1], 60)
    way = np.array([1.0, 0.0, 0.0])
    together = np.concatenate([ball + 5 * way, ball + 14 * way])
    assert is_one_piece(together, parts, rotations)
    assert not is_one_piece(np.concatenate([ball + 5 * way, ball + 60 * way]), parts, rotations)
    assert not is_one_piece(np.concatenate([ball + 5 * way, ball + 7 * way]), parts, rotations)
    assert not is_one_piece(together + 40 * way, parts, rotations)


def test_clash_distance_is_the_one_documented():
    assert CLASH == 2.5
