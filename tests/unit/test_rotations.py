"""Euler angles against scipy and by hand; quaternions; uniform samples are rotations; distances; point groups."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench.rotations import (
    euler_from_rotations,
    geodesic_distance,
    point_group,
    rotations_from_euler,
    rotations_from_quaternions,
    sample_uniform_rotation,
)


def elementary(axis, angle):
    c, s = np.cos(angle), np.sin(angle)
    return (
        np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) if axis == "z" else np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    )


def test_euler_angles_by_their_definition():
    rot, tilt, psi = 0.3, 1.1, -2.0
    expected = (elementary("z", rot) @ elementary("y", tilt) @ elementary("z", psi)).T
    np.testing.assert_allclose(rotations_from_euler(np.array([[rot, tilt, psi]]))[0], expected, atol=1e-12)


def test_euler_angles_against_scipy(rng):
    """scipy's intrinsic ZYZ describes the rotation of axes, the transpose of ours."""
    rotations = Rotation.random(200, random_state=rng)
    angles = euler_from_rotations(rotations.as_matrix())
    np.testing.assert_allclose(angles, rotations.inv().as_euler("ZYZ"), atol=1e-6)
    np.testing.assert_allclose(rotations_from_euler(angles), rotations.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("tilt", [0.0, np.pi, 1e-9, np.pi - 1e-9])
def test_euler_angles_at_the_poles(tilt, rng):
    angles = np.column_stack([rng.uniform(-3, 3, 20), np.full(20, tilt), rng.uniform(-3, 3, 20)])
    matrices = rotations_from_euler(angles)
    back = euler_from_rotations(matrices)
    assert (back[:, 0] == 0).all()
    np.testing.assert_allclose(rotations_from_euler(back), matrices, atol=1e-7)


def test_quaternions_of_any_norm(rng):
    quaternions = rng.standard_normal((30, 4))
    matrices = rotations_from_quaternions(quaternions)
    np.testing.assert_allclose(matrices, rotations_from_quaternions(-3 * quaternions), atol=1e-12)
    half = np.array([[0, 0, np.sin(0.2), np.cos(0.2)]])
    np.testing.assert_allclose(rotations_from_quaternions(half)[0], elementary("z", 0.4), atol=1e-12)


def test_samples_are_proper_rotations():
    generator = np.random.default_rng(0)
    matrices = np.stack([sample_uniform_rotation(generator) for _ in range(50)])
    np.testing.assert_allclose(matrices @ matrices.swapaxes(1, 2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrices), 1)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 1.0, 3.0, np.pi])
def test_distance_is_the_angle_between(angle, rng):
    first = Rotation.random(20, random_state=rng)
    axis = rng.standard_normal((20, 3))
    turn = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis, axis=1, keepdims=True))
    distance = geodesic_distance(first.as_matrix(), (turn * first).as_matrix())
    np.testing.assert_allclose(distance, angle, atol=1e-7 if angle == np.pi else 1e-15 + 1e-6 * angle)


@pytest.mark.parametrize(
    ("symmetry", "order"), [("C1", 1), ("C2", 2), ("C8", 8), ("D2", 4), ("D7", 14), ("T", 12), ("O", 24), ("I", 60)]
)
def test_point_groups_are_groups(symmetry, order):
    rotations = point_group(symmetry)
    assert rotations.shape == (order, 3, 3)
    np.testing.assert_allclose(rotations[0], np.eye(3), atol=1e-12)
    products = np.einsum("gij,hjk->ghik", rotations, rotations)
    nearest = np.abs(products[:, :, None] - rotations).max(axis=(3, 4)).min(axis=2)
    assert nearest.max() < 1e-12
    assert len(np.unique(rotations.round(6).reshape(order, 9), axis=0)) == order
