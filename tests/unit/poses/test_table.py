"""The table of poses: its rotations, its unit of shifts, and both optimisers."""

from functools import partial

import numpy as np
import pytest
import torch

from cryobench.reconstruction.networks import AdamSettings, RowAdam, SparseRowAdam
from cryobench.reconstruction.poses import PoseTable, rotations_from_rows
from cryobench.rotations import rotations_from_quaternions

RATE = 1e-3


def draw(rng: np.random.Generator, n: int = 6) -> np.ndarray:
    return rotations_from_quaternions(rng.standard_normal((n, 4)))


def make_table(rotations: np.ndarray, kind: type = SparseRowAdam, **options: float) -> PoseTable:
    return PoseTable(rotations, partial(kind, settings=AdamSettings(RATE)), **options)  # pyright: ignore


def test_rows_are_made_orthonormal_as_by_qr(rng):
    rows = rng.standard_normal((20, 2, 3))
    found = rotations_from_rows(torch.from_numpy(rows.reshape(20, 6))).numpy()
    q, r = np.linalg.qr(rows.swapaxes(1, 2))
    expected = (q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]).swapaxes(1, 2)
    np.testing.assert_allclose(found[:, :2], expected, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(found), 1)
    np.testing.assert_allclose(found @ found.swapaxes(1, 2), np.tile(np.eye(3), (20, 1, 1)), atol=1e-12)


def test_a_table_starts_where_it_is_put(rng):
    rotations = draw(rng)
    found, shifts = make_table(rotations).flush()
    np.testing.assert_allclose(found, rotations, atol=1e-6)
    np.testing.assert_array_equal(shifts, np.zeros((6, 2)))


@pytest.mark.parametrize("kind", [RowAdam, SparseRowAdam])
def test_a_step_goes_against_the_gradient_at_the_rates_asked_for(kind, rng):
    rotations = draw(rng)
    table, rows = make_table(rotations, kind, shift_unit=20.0), torch.tensor([4, 1])
    values = table.read(rows)
    found, shifts = table.poses(values)
    target = torch.from_numpy(draw(rng, 2)).float()
    loss = (found - target).square().sum() + (shifts - torch.tensor([[1.0, -1.0], [1.0, -1.0]])).square().sum()
    loss.backward()
    assert values.grad is not None
    table.step(rows, values.grad)
    assert table.steps == 1
    after, moved = table.flush()
    np.testing.assert_allclose(moved[[4, 1]], [[20 * RATE, -20 * RATE]] * 2, rtol=1e-4)
    assert np.square(after[[4, 1]] - target.numpy()).sum() < np.square(rotations[[4, 1]] - target.numpy()).sum()
    np.testing.assert_allclose(after[[0, 2, 3, 5]], rotations[[0, 2, 3, 5]], atol=1e-6)
    assert not moved[[0, 2, 3, 5]].any()
