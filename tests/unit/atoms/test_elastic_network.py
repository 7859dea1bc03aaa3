"""Slow modes against closed forms, another program, and the dense solution."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench.atoms.motion.elastic_network import (
    Modes,
    build_hessian,
    find_held_points,
    find_slow_modes,
    measure_collectivity,
)

TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]]) / np.sqrt(8)  # edges of length 1
TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0.5, np.sqrt(0.75), 0]])

# ProDy 2.6.1: ANM.buildHessian(points, cutoff=15, gamma) with gamma = (20 below 4.2 Å, else 1) (3.8 / d)², and
# calcModes(8), on the points of `_coil`; eigenvalues, and the collectivity exp(entropy) / 60 of its eigenvectors.
PRODY_VALUES = [
    0.002922217, 0.008452503, 0.011843614, 0.014762296, 0.021914952, 0.043276432, 0.08589056, 0.102884002,
]  # fmt: skip
PRODY_COLLECTIVITY = [0.639932, 0.531501, 0.669919, 0.785643, 0.730752, 0.772834, 0.652738, 0.755876]


def _coil() -> np.ndarray:
    i = np.arange(60)
    across = 5 * np.sin(1.7 * i) * np.cos(0.1 * i)
    return np.stack([6 * np.cos(1.7 * i) + 0.05 * i, across, 1.1 * i + 2 * np.sin(0.3 * i)], axis=1)


@pytest.mark.parametrize(("edge", "spring"), [(7.6, 0.25), (3.8, 20.0), (5.0, 0.5776)])
def test_molecules_of_textbooks(edge, spring):
    """Equal springs: a tetrahedron has a mode of 4 k, three of 2 k, two of k; a triangle one of 3 k, two of 1.5 k."""
    expected = {6: [1, 1, 2, 2, 2, 4], 3: [1.5, 1.5, 3]}
    for shape in (TETRAHEDRON, TRIANGLE):
        n_modes = 3 * len(shape) - 6
        turned = Rotation.from_rotvec([0.3, -1.0, 0.4]).apply(edge * shape) + 40
        modes = find_slow_modes(turned, n_modes, cutoff=1.5 * edge)
        np.testing.assert_allclose(modes.stiffness, np.array(expected[n_modes]) * spring, rtol=1e-9)


def test_another_program_finds_the_same_modes():
    modes = find_slow_modes(_coil(), 8)
    np.testing.assert_allclose(modes.stiffness, PRODY_VALUES, atol=2e-9)
    np.testing.assert_allclose(measure_collectivity(modes.vectors), PRODY_COLLECTIVITY, atol=2e-6)


@pytest.fixture(scope="module")
def cloud() -> np.ndarray:
    rng = np.random.default_rng(5)
    grid = np.stack(np.meshgrid(*[np.arange(7)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return (5.0 * grid + rng.normal(size=grid.shape)) * [1.0, 1.0, 0.5]


def test_hessian_is_the_curvature_of_the_springs(rng):
    """Energy of the springs themselves, at small displacements: ½ xᵀ H x."""
    points = rng.normal(size=(12, 3)) * 5
    hessian = build_hessian(points, cutoff=15.0).toarray()
    np.testing.assert_allclose(hessian, hessian.T)
    step = 1e-4 * rng.normal(size=(12, 3))
    rest = np.linalg.norm(points[:, None] - points, axis=2)
    now = np.linalg.norm((points + step)[:, None] - (points + step), axis=2)
    strength = np.where(rest < 4.2, 20.0, 1.0) * 3.8**2 / np.maximum(rest, 1e-9) ** 2
    pairs = np.triu(rest < 15.0, 1)
    energy = 0.5 * (strength * (now - rest) ** 2)[pairs].sum()
    assert 0.5 * step.ravel() @ hessian @ step.ravel() == pytest.approx(energy, rel=1e-3)


def test_rigid_motions_cost_nothing(cloud):
    hessian = build_hessian(cloud, cutoff=15.0)
    for axis in np.eye(3):
        for motion in (np.broadcast_to(axis, cloud.shape), np.cross(axis, cloud)):
            assert np.abs(hessian @ motion.ravel()).max() < 1e-9 * np.abs(cloud).max() * hessian.diagonal().max()
    values = np.linalg.eigvalsh(hessian.toarray())
    assert np.abs(values[:6]).max() < 1e-10 * values[-1]
    assert values[6] > 1e-5 * values[-1]


def test_sparse_solution_is_the_dense_one(cloud):
    """1,029 coordinates: solved by shift and invert."""
    modes = find_slow_modes(cloud, 10)
    values, vectors = np.linalg.eigh(build_hessian(cloud, cutoff=15.0).toarray())
    dense = Modes(vectors.T[6:].reshape(-1, len(cloud), 3), values[6:])
    kept = np.flatnonzero(measure_collectivity(dense.vectors) > 0.2)[:10]
    assert kept[-1] > 9  # some are passed over
    np.testing.assert_allclose(modes.stiffness, values[6:][kept], rtol=1e-7)
    flat = modes.vectors.reshape(10, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(10), atol=1e-10)
    overlap = np.abs(flat @ vectors[:, 6 + kept])
    np.testing.assert_allclose((overlap**2).sum(axis=1), 1, atol=1e-6)
    assert (flat[np.arange(10), np.abs(flat).argmax(axis=1)] > 0).all()
    np.testing.assert_array_equal(find_slow_modes(cloud, 10).vectors, modes.vectors)


def test_loose_ends_are_passed_over(cloud):
    """Two points beyond a corner, held by few others: modes of their own are none of the collective ones."""
    tail = cloud[-1] + np.array([[3.0, 3.0, 2.0], [5.5, 5.0, 4.0]])
    points = np.concatenate([cloud, tail])
    modes = find_slow_modes(points, 8)
    assert measure_collectivity(modes.vectors).min() > 0.2
    held = find_held_points(points)
    assert held[: len(cloud)].mean() > 0.98
    assert held[-2:].tolist() == [False, False]


def test_amplitudes_have_the_stated_rmsf(cloud, rng):
    modes = find_slow_modes(cloud, 6)
    deviations = modes.scale_to(2.5)
    # Equipartition: the mean energy ½ k a² is the same in all modes.
    np.testing.assert_allclose(modes.stiffness * deviations**2, modes.stiffness[0] * deviations[0] ** 2)
    amplitudes = deviations * rng.standard_normal((4000, 6))
    moves = np.tensordot(amplitudes, modes.vectors, axes=1)
    assert np.sqrt((moves**2).sum(axis=2).mean()) == pytest.approx(2.5, rel=0.03)
    with pytest.raises(ValueError, match="rmsf"):
        modes.scale_to(-1.0)


def test_what_cannot_hold_is_told(cloud):
    far = np.concatenate([cloud, cloud + 500])
    with pytest.raises(ValueError, match="falls into 2 pieces"):
        find_slow_modes(far, 5)
    with pytest.raises(ValueError, match="4 points have 6 modes of motion, requested 7"):
        find_slow_modes(TETRAHEDRON * 5, 7)
    with pytest.raises(ValueError, match="can move freely"):
        find_slow_modes(np.arange(5)[:, None] * [3.8, 0.1, 0.0], 3)  # a line of points bends at no cost
    with pytest.raises(ValueError, match="coincide"):
        find_slow_modes(np.zeros((5, 3)), 3)


def test_modes_are_counted(cloud):
    modes = find_slow_modes(cloud, 3)
    assert isinstance(modes, Modes)
    assert len(modes) == 3
