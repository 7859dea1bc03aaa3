"""Adam of rows against dense Adam."""

import numpy as np
import torch

from cryobench.reconstruction.networks import AdamSettings, RowAdam

RATE = 1e-2


def test_rows_move_as_under_dense_adam(rng):
    """5,000 steps, most rows without a gradient in most of them, one without any."""
    n, steps = 40, 5000
    start = torch.from_numpy(rng.standard_normal((n, 3)))
    dense = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([dense], lr=RATE)
    table = RowAdam(start.clone(), AdamSettings(RATE))
    for _ in range(steps):
        few = rng.permutation(n - 1)[: rng.integers(1, 4)] if rng.random() < 0.3 else np.array([0])
        rows = torch.from_numpy(few)
        gradient = torch.from_numpy(rng.standard_normal((len(rows), 3)))
        table.read(rows)
        table.step(rows, gradient)
        dense.grad = torch.zeros_like(dense)
        dense.grad[rows] = gradient
        optimiser.step()
    before = {name: value.clone() for name, value in table.state().items()}
    peeked = table.peek(torch.arange(n))
    assert all(torch.equal(value, before[name]) for name, value in table.state().items()), "a look changed the table"
    whole = table.flush()
    assert torch.equal(peeked, whole)
    torch.testing.assert_close(whole, dense.detach(), atol=1e-9, rtol=0)
    assert torch.equal(whole[-1], start[-1]), "a row never visited moved"
    torch.testing.assert_close(table.read(torch.arange(n)).detach(), whole, atol=0, rtol=0)


def test_a_visit_moves_a_row_by_0_32_at_the_published_rate():
    """From the second of several visits 6,000 steps apart on; by 0.060 at a first visit on step 1."""
    table = RowAdam(torch.zeros(2, 1, dtype=torch.float64), AdamSettings(RATE))
    row, other, one = torch.tensor([0]), torch.tensor([1]), torch.ones(1, 1, dtype=torch.float64)
    moved = []
    for _ in range(4):
        before = float(table.flush()[0])
        table.step(row, one)
        for _ in range(5999):
            table.step(other, one)
        moved.append(before - float(table.flush()[0]))
    assert abs(moved[0] - 0.060) < 0.001
    for each in moved[1:]:
        assert abs(each / 0.317 - 1) < 0.02


def test_a_state_put_back_goes_on_to_the_same_bits(rng):
    def go_on(table: RowAdam, first: int) -> torch.Tensor:
        for step in range(first, first + 20):
            rows = torch.tensor([step % 5, 5 + step % 3])
            values = table.read(rows)
            table.step(rows, values.detach() + step)
        return table.flush()

    start = torch.from_numpy(rng.standard_normal((9, 2))).float()
    table = RowAdam(start.clone(), AdamSettings(RATE))
    for step in range(30):
        table.step(torch.tensor([step % 9]), torch.ones(1, 2))
    kept = {name: value.clone() for name, value in table.state().items()}
    other = RowAdam(torch.zeros(9, 2), AdamSettings(RATE))
    for name, value in other.state().items():
        value.copy_(kept[name])
    other.steps = 30
    assert torch.equal(go_on(table, 30), go_on(other, 30))
