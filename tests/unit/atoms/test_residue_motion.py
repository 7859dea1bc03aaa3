"""Residues moved along screws: rigid domains stay rigid, small motions are the modes, every atom has a carrier."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench.atoms.model import AtomicModel
from cryobench.atoms.motion.hinged_domain import find_chains_with_domain, find_hinged_domains, measure_openings
from cryobench.atoms.motion.residues import (
    find_carriers,
    fit_rotations,
    leave_out,
    move_residues,
    rotation_matrix,
    turn_atoms,
)
from cryobench.atoms.motion.superposition import fit_rigid_motions, move_rigidly


def _make_model(rng: np.random.Generator, residues: int = 40, chains: str = "A") -> AtomicModel:
    """Chains of residues N, CA, C about a helix of their own, and an ion beside the last residue of the first."""
    i = np.arange(residues)
    course = np.stack([5 * np.cos(0.9 * i), 5 * np.sin(0.9 * i), 1.5 * i], axis=1)
    parts = []
    for index in range(len(chains)):
        alpha = course + np.array([30.0 * index, 0, 0])
        parts.append(np.stack([alpha - 1.1, alpha, alpha + rng.normal(size=(residues, 3))], axis=1).reshape(-1, 3))
    positions = np.concatenate([*parts, parts[0][-2:-1] + 2.5])
    count = 3 * residues * len(chains)
    return AtomicModel(
        positions=positions,
        atomic_numbers=np.array([*[7, 6, 6] * (residues * len(chains)), 30]),
        b_factors=np.zeros(count + 1),
        occupancies=np.ones(count + 1),
        chains=np.array([*np.repeat(list(chains), 3 * residues), "X"]),
        residue_numbers=np.array([*np.tile(np.repeat(i + 1, 3), len(chains)), 1]),
        insertion_codes=np.full(count + 1, ""),
        residue_names=np.array([*["ALA"] * count, "ZN"]),
        atom_names=np.array([*["N", "CA", "C"] * (residues * len(chains)), "ZN"]),
    )


@pytest.fixture
def model(rng):
    return _make_model(rng)


def _move(model, shifts, turns, carriers=None):
    carriers = carriers or find_carriers(model)
    moved = np.empty_like(model.positions)
    move_residues(model.positions, carriers.anchors, carriers.carrier, shifts, turns, moved)
    return moved


def test_every_atom_goes_with_its_residue(model):
    carriers = find_carriers(model)
    np.testing.assert_array_equal(model.atom_names[carriers.anchors], "CA")
    np.testing.assert_array_equal(carriers.carrier[:-1], np.repeat(np.arange(40), 3))
    assert carriers.carrier[-1] == 39  # the ion goes with the nearest
    held = np.ones(40, dtype=bool)
    held[38:] = False
    fewer = leave_out(model, carriers, held)
    assert len(fewer.anchors) == 38
    assert set(fewer.carrier[114:]) == {37}
    with pytest.raises(ValueError, match="2 CA atoms"):
        find_carriers(model.select(model.residue_numbers <= 2))


@pytest.mark.parametrize("angle", [1e-6, 0.005, 0.011, 0.4, 3.0])
def test_a_common_rotation_turns_the_molecule_rigidly(model, angle):
    """However far: the displacements of a rotation, v = w × (x − p), are followed around the circle."""
    axis, pivot = np.array([0.6, 0.0, 0.8]), np.array([3.0, -20.0, 8.0])
    carriers = find_carriers(model)
    w = np.broadcast_to(angle * axis, (40, 3))
    v = np.cross(w, model.positions[carriers.anchors] - pivot)
    expected = Rotation.from_rotvec(angle * axis).apply(model.positions - pivot) + pivot
    np.testing.assert_allclose(_move(model, v, w), expected, atol=1e-9)


def test_translation_and_screw(model):
    shift = np.broadcast_to([1.0, -2.0, 0.5], (40, 3))
    np.testing.assert_allclose(_move(model, shift, np.zeros((40, 3))), model.positions + shift[0], atol=1e-12)
    turn = np.broadcast_to([0.0, 0.0, 1.2], (40, 3))
    moved = _move(model, np.broadcast_to([0.0, 0.0, 4.0], (40, 3)), turn)
    carriers = find_carriers(model)
    # Each residue turns about the axis through its own CA, and all move along it.
    np.testing.assert_allclose(
        moved[carriers.anchors], model.positions[carriers.anchors] + [0.0, 0.0, 4.0], atol=1e-9
    )


def test_small_motions_are_linear(model, rng):
    v, w = rng.normal(size=(2, 40, 3))
    carriers = find_carriers(model)
    arm = model.positions - model.positions[carriers.anchors[carriers.carrier]]
    expected = v[carriers.carrier] + np.cross(w[carriers.carrier], arm)
    moved = _move(model, 1e-6 * v, 1e-6 * w)
    np.testing.assert_allclose((moved - model.positions) / 1e-6, expected, atol=1e-4)


def test_rotations_are_found_from_displacements(model, rng):
    points = model.positions[find_carriers(model).anchors]
    w, v = rng.normal(size=(2, 3))
    vectors = np.stack([v + np.cross(w, points), np.broadcast_to(v, points.shape)])
    found = fit_rotations(points, vectors)
    np.testing.assert_allclose(found[0], np.broadcast_to(w, points.shape), atol=1e-9)
    np.testing.assert_allclose(found[1], 0, atol=1e-9)


def test_rotation_matrices(rng):
    for length in (0.0, 1e-5, 0.3, 3.1):
        vector = rng.normal(size=3)
        vector *= length / np.linalg.norm(vector)
        matrix = np.empty((3, 3))
        rotation_matrix(vector, matrix)
        np.testing.assert_allclose(matrix, Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)


def test_superposition_undoes_rigid_motions(rng):
    reference = rng.normal(size=(20, 3)) * 10
    rotations = Rotation.random(5, rng=rng)
    moved = np.stack([rotation.apply(reference) + rng.normal(size=3) * 30 for rotation in rotations])
    motion = fit_rigid_motions(moved, reference)
    np.testing.assert_allclose(motion[0], rotations.inv().as_matrix(), atol=1e-9)
    np.testing.assert_allclose(move_rigidly(moved, *motion), np.broadcast_to(reference, moved.shape), atol=1e-8)


@pytest.mark.parametrize("flat", [False, True])
def test_superposition_is_the_best_and_no_mirror(rng, flat):
    """Witness: scipy's own solution, one conformation at a time; mirror images and flat shapes included."""
    reference = rng.normal(size=(12, 3)) * ([10, 10, 0] if flat else 10)
    noisy = reference * [1, 1, -1] + rng.normal(size=(4, 12, 3))
    rotations, _ = fit_rigid_motions(noisy, reference)
    for points, rotation in zip(noisy, rotations, strict=True):
        expected, _ = Rotation.align_vectors(reference - reference.mean(0), points - points.mean(0))
        np.testing.assert_allclose(rotation, expected.as_matrix(), atol=1e-6)
    with pytest.raises(ValueError, match="at least three points, got 2"):
        fit_rigid_motions(noisy[:, :2], reference[:2])


@pytest.fixture
def hinged(rng):
    model = _make_model(rng, residues=60, chains="AB")
    carriers = find_carriers(model)
    return model, carriers, find_hinged_domains(model, carriers, ["A", "B"], 31, 58, 4)


def test_the_domain_turns_and_the_bend_follows(hinged):
    model, _, domains = hinged
    domain = domains[1]
    numbers = np.where(model.chains == "B", model.residue_numbers, 0)
    fraction = dict(zip(numbers, domain.fraction, strict=True))
    assert [fraction[number] for number in (30, 31, 32, 34, 35, 54, 55, 58, 59)] == pytest.approx(
        [0, 0.2, 0.4, 0.8, 1, 1, 0.8, 0.2, 0]
    )
    assert not domain.fraction[model.chains == "A"].any()
    assert domain.turning == 28
    positions = model.positions.copy()
    turn_atoms(positions, domain.fraction, domain.point, 0.7 * domain.axis)
    still, core = domain.fraction == 0, domain.fraction == 1
    np.testing.assert_array_equal(positions[still], model.positions[still])
    expected = Rotation.from_rotvec(0.7 * domain.axis).apply(model.positions[core] - domain.point) + domain.point
    np.testing.assert_allclose(positions[core], expected, atol=1e-9)
    # A positive angle raises the domain away from the rest.
    upward = model.positions[domain.fraction > 0].mean(0) - model.positions[model.residue_numbers < 31].mean(0)
    small = model.positions.copy()
    turn_atoms(small, domain.fraction, domain.point, 0.05 * domain.axis)
    assert (small - model.positions)[core].mean(0) @ upward > 0


def test_openings_are_measured(hinged, rng):
    """Whatever the molecule as a whole does."""
    model, _, domains = hinged
    angles = np.array([[0.0, 0.0], [0.4, -0.3], [1.2, 0.9], [-0.2, 2.9]])
    frames = []
    for row in angles:
        positions = model.positions.copy()
        for domain, angle in zip(domains, row, strict=True):
            turn_atoms(positions, domain.fraction, domain.point, angle * domain.axis)
        frames.append(Rotation.random(rng=rng).apply(positions) + rng.normal(size=3) * 20)
    np.testing.assert_allclose(measure_openings(np.stack(frames), model, domains), angles, atol=1e-9)


def test_domains_that_are_not_there_are_told(hinged):
    model, carriers, _ = hinged
    assert find_chains_with_domain(model, 31, 58) == ["A", "B"]
    assert find_chains_with_domain(model, 45, 80) == []
    with pytest.raises(ValueError, match="no chain 'Z'"):
        find_hinged_domains(model, carriers, ["Z"], 31, 58, 4)
    with pytest.raises(ValueError, match=r"chain 'A' has 20 of the residues 41 to 90, 4 and 0 of the 4"):
        find_hinged_domains(model, carriers, ["A"], 41, 90, 4)
    with pytest.raises(ValueError, match="too few for a domain"):
        find_hinged_domains(model, carriers, ["A"], 31, 37, 4)
    with pytest.raises(ValueError, match="are the whole structure"):
        find_hinged_domains(model, carriers, ["A", "B"], 1, 60, 4)
