"""Choices among equals: the last bit decides nothing."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench.atoms.model import AtomicModel, is_alpha_carbon
from cryobench.atoms.motion.elastic_network import find_slow_modes
from cryobench.atoms.tie_breaking import find_least, find_nearest, settle_axes, settle_signs
from cryobench.recipes.spread import spread_evenly
from cryobench.recipes.states.composition import apportion, embed_composition, find_growth
from cryobench.rotations import point_group

LAST_BIT = 1e-12
UNIT = np.array([[0.0, 1.0, 0.0, 0.0]])


def test_a_sign_is_that_of_the_first_of_the_largest():
    axis = np.array([[0.1, -2.0, 2.0, 0.5]])
    for noise in (-LAST_BIT, 0.0, LAST_BIT):
        np.testing.assert_allclose(settle_signs(axis + noise * UNIT), -axis, atol=1e-9)
        np.testing.assert_allclose(settle_signs(-axis + noise * UNIT), -axis, atol=1e-9)


def test_axes_of_one_eigenvalue_do_not_depend_on_the_basis(rng):
    axes = np.linalg.qr(rng.normal(size=(9, 5)))[0].T
    values = np.array([1.0, 2.0, 2.0 + LAST_BIT, 2.0, 5.0])
    settled = settle_axes(axes, values)
    np.testing.assert_allclose(settled @ settled.T, np.eye(5), atol=1e-9)
    for _ in range(5):
        other = axes.copy()
        other[1:4] = Rotation.random(rng=rng).as_matrix() @ other[1:4]
        np.testing.assert_allclose(settle_axes(other * [[-1], [1], [1], [1], [-1]], values), settled, atol=1e-9)


def test_modes_of_a_symmetric_structure(rng):
    """A ring of six blobs has pairs of equal modes: noise in the last digits does not turn them."""
    unit = rng.normal(size=(12, 3)) * 4 + [14.0, 0, 0]
    ring = np.concatenate([unit @ Rotation.from_euler("z", 60 * k, degrees=True).as_matrix().T for k in range(6)])
    modes = find_slow_modes(ring, 6)
    assert (np.abs(np.diff(modes.stiffness)) < 1e-9 * modes.stiffness[1:]).any()
    other = find_slow_modes(ring + rng.normal(size=ring.shape) * LAST_BIT, 6)
    np.testing.assert_allclose(other.vectors, modes.vectors, atol=1e-6)


def test_the_first_of_the_nearest_is_taken():
    points = np.array([[0.0, 1, 0], [1.0, 0, 0], [0, -1.0, 0], [5.0, 5, 5]])
    for noise in (-LAST_BIT, 0.0, LAST_BIT):
        distance, index = find_nearest(points, np.array([[noise, -noise, 0.0], [0.9, 0, 0]]))
        assert index.tolist() == [0, 1]
        np.testing.assert_allclose(distance, [1, 0.1], atol=1e-9)
        assert find_least(np.array([3.0, 1.0, 1.0 + noise])) == 1
    assert find_nearest(points[:1], np.zeros((2, 3)))[1].tolist() == [0, 0]


def test_images_of_equal_shares_go_to_the_first():
    assert apportion(5, [1, 1, 1]).tolist() == [2, 2, 1]
    assert apportion(7, [1.0, 1.0 + LAST_BIT, 1.0 - LAST_BIT]).tolist() == [3, 2, 2]


def test_states_of_one_mass_do_not_grow_into_each_other():
    occupancies = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert find_growth(occupancies, np.array([100.0, 100.0 + LAST_BIT, 150.0]), 0.03).tolist() == [[0, 2], [1, 2]]


def test_an_embedding_with_equal_axes():
    """Three components of one mass, each in a state of its own: every basis would do."""
    presence, masses = np.eye(4, 3, dtype=bool), np.full(3, 10.0)
    first = embed_composition(presence, masses)
    again = embed_composition(presence, masses + np.array([LAST_BIT, -LAST_BIT, 0]))
    np.testing.assert_allclose(again, first, atol=1e-6)
    squared = ((first[:, None] - first[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared[0, 1:], [20, 20, 10], rtol=1e-5)


@pytest.mark.parametrize(("count", "wanted"), [(1, 5), (5, 1), (7, 7), (100, 20), (1001, 30), (64, 8)])
def test_even_spread_is_by_whole_numbers(count, wanted):
    chosen = spread_evenly(count, wanted)
    assert chosen[0] == 0
    assert len(chosen) == min(count, wanted)
    if wanted > 1:
        assert chosen[-1] == count - 1
        steps = len(chosen) - 1
        assert all(int(index) == step * (count - 1) // max(steps, 1) for step, index in enumerate(chosen))
    assert spread_evenly(4, 3, nearest=True).tolist() == [0, 2, 3]


def test_rotations_by_one_angle_stay_in_order():
    for symmetry in ("D3", "T", "O"):
        rotations = point_group(symmetry)
        magnitudes = np.round(Rotation.from_matrix(rotations).magnitude(), 6)
        assert np.all(np.diff(magnitudes) >= 0)
        given = Rotation.create_group(symmetry, axis="Z").as_matrix()
        places = np.abs(given[:, None] - rotations).max(axis=(2, 3)).argmin(axis=0)
        assert len(set(places.tolist())) == len(rotations)
        assert np.all(np.diff(places)[np.diff(magnitudes) == 0] > 0)


def test_calcium_is_no_alpha_carbon():
    bare = AtomicModel.from_positions(np.zeros((2, 3)), np.array([6, 20]))
    fields = {name: getattr(bare, name) for name in bare.__dataclass_fields__}
    assert is_alpha_carbon(AtomicModel(**{**fields, "atom_names": np.array(["CA", "CA"])})).tolist() == [True, False]
