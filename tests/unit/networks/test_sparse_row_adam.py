"""SparseAdam of rows against PyTorch's own on an embedding, and what sets it apart from dense Adam."""

import numpy as np
import torch
from torch import nn

from cryobench.reconstruction.networks import AdamSettings, RowAdam, SparseRowAdam

RATE = 1e-2


def test_rows_move_as_those_of_a_sparse_embedding(rng):
    start = torch.from_numpy(rng.standard_normal((30, 4))).float()
    embedding = nn.Embedding.from_pretrained(start.clone(), freeze=False, sparse=True)
    optimiser = torch.optim.SparseAdam(embedding.parameters(), lr=RATE)
    table = SparseRowAdam(start.clone(), AdamSettings(RATE))
    for _ in range(200):
        rows = torch.from_numpy(rng.permutation(29)[:3])
        target = torch.from_numpy(rng.standard_normal((3, 4))).float()
        optimiser.zero_grad()
        (embedding(rows) - target).pow(4).sum().backward()
        optimiser.step()
        values = table.read(rows)
        (values - target).pow(4).sum().backward()
        assert values.grad is not None
        table.step(rows, values.grad)
    assert torch.equal(table.flush(), embedding.weight.detach())
    assert torch.equal(table.values[29], start[29]), "a row never visited moved"


def test_moments_stand_still_and_steps_are_counted_over_the_table():
    """After 6,000 steps elsewhere a row has not moved on; a first visit then moves it by √10, not by one rate."""
    sparse, dense = (kind(torch.zeros(3, 1), AdamSettings(RATE)) for kind in (SparseRowAdam, RowAdam))
    one, moved = torch.ones(1, 1), {}
    for table in (sparse, dense):
        table.step(torch.tensor([0]), one)
        for _ in range(5999):
            table.step(torch.tensor([1]), one)
        table.step(torch.tensor([2]), one)
        moved[table] = -table.flush()[[0, 2], 0] / RATE
    np.testing.assert_allclose(moved[sparse], [1, 10**0.5], rtol=2e-3)
    np.testing.assert_allclose(moved[dense], [6.0, 10**0.5], rtol=2e-2)


def test_a_state_put_back_goes_on_to_the_same_bits():
    def go_on(table: SparseRowAdam, first: int) -> torch.Tensor:
        for step in range(first, first + 20):
            rows = torch.tensor([step % 5, 5 + step % 3])
            table.step(rows, table.read(rows).detach() + step)
        return table.flush()

    table = SparseRowAdam(torch.linspace(-1, 1, 18).reshape(9, 2), AdamSettings(RATE))
    go_on(table, 0)
    other = SparseRowAdam(torch.zeros(9, 2), AdamSettings(RATE))
    for name, value in other.state().items():
        value.copy_(table.state()[name])
    other.steps = 20
    assert torch.equal(go_on(table, 20), go_on(other, 20))
