"""Minibatches: every particle once an epoch, groups, shards; images read ahead."""

import threading
import time

import numpy as np
import pytest

from cryobench.reconstruction.images import Minibatches, prefetch, sampler


def epoch_of(batches, epoch=0):
    first = epoch * batches.steps_per_epoch
    return list(batches.steps(first, first + batches.steps_per_epoch))


CASES = pytest.mark.parametrize(
    "options",
    [
        {},
        {"groups": np.arange(50) % 3},
    ],
    ids=["plain", "groups"],
)
BUFFERS = pytest.mark.parametrize("buffer", [sampler.BUFFER, 16, 7])


@CASES
@BUFFERS
@pytest.mark.parametrize("batch_size", [1, 7, 50])
def test_every_particle_comes_once_an_epoch(options, batch_size, buffer, monkeypatch):
    monkeypatch.setattr(sampler, "BUFFER", buffer)
    batches = Minibatches(50, batch_size, seed=3, **options)
    orders = []
    for epoch in (0, 1, 5):
        found = epoch_of(batches, epoch)
        assert all(0 < len(batch) <= batch_size for batch in found)
        orders.append(np.concatenate(found))
        np.testing.assert_array_equal(np.sort(orders[-1]), np.arange(50))
    assert not np.array_equal(orders[0], orders[1])


@CASES
@BUFFERS
def test_a_step_depends_on_seed_and_number_alone(options, buffer, monkeypatch):
    """Not on the steps that were asked for before: so a resumed run sees what an uninterrupted one does."""
    monkeypatch.setattr(sampler, "BUFFER", buffer)
    one, other = (Minibatches(50, 7, seed=3, **options) for _ in range(2))
    in_order = list(one.steps(0, 40))
    for step in (39, 0, 17, 8):
        np.testing.assert_array_equal(other.batch(step), in_order[step])
    different = Minibatches(50, 7, seed=4, **options)
    assert not np.array_equal(np.concatenate(epoch_of(different)), np.concatenate(epoch_of(one)))
    renamed = Minibatches(50, 7, seed=3, name="decoder", **options)
    assert not np.array_equal(np.concatenate(epoch_of(renamed)), np.concatenate(epoch_of(one)))


def test_a_batch_holds_one_group():
    groups = np.array([0] * 20 + [5] * 13 + [2] * 2)
    batches = Minibatches(35, 8, seed=0, groups=groups)
    assert batches.steps_per_epoch == 3 + 2 + 1
    found = epoch_of(batches)
    assert all(len(np.unique(groups[batch])) == 1 for batch in found)
    assert sorted(len(batch) for batch in found) == [2, 4, 5, 8, 8, 8]
    of_groups = [groups[batch[0]] for batch in found]
    assert of_groups != sorted(of_groups)  # they are mixed in time


def test_neighbours_in_the_table_are_read_together(monkeypatch):
    """A block of 16 rows is finished before the next begins; within it the order is random."""
    # For fewer particles than the buffer it is a whole permutation: neighbours in time lie anywhere.
    free = np.concatenate(epoch_of(Minibatches(64, 8, seed=2)))
    assert len(np.unique(free[:16] // 16)) > 2
    monkeypatch.setattr(sampler, "BUFFER", 16)
    found = np.concatenate(epoch_of(Minibatches(64, 8, seed=2)))
    blocks = (found // 16).reshape(4, 16)
    assert (blocks == blocks[:, :1]).all()
    assert sorted(blocks[:, 0]) == [0, 1, 2, 3]
    assert not (np.diff(found.reshape(4, 16), axis=1) > 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "got batch_size=0"),
        ({"batch_size": 11}, "batch_size must be from 1 to 10"),
        ({"groups": np.zeros(9)}, "groups must have one entry for each of 10 particles"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Minibatches(10, **{"batch_size": 4, "seed": 0} | options)


def test_results_are_made_ahead_and_come_in_order():
    made = []

    def square(item):
        made.append(item)
        return item**2

    results = prefetch(square, range(10), ahead=3)
    assert next(results) == 0
    until = time.monotonic() + 10
    while len(made) < 5 and time.monotonic() < until:
        time.sleep(0.005)
    assert made == [0, 1, 2, 3, 4]  # one handed out, three waiting, one in hand
    assert list(results) == [item**2 for item in range(1, 10)]
    assert list(prefetch(square, [])) == []


def test_an_error_is_raised_where_its_result_would_have_come():
    def invert(item):
        return 1 / item

    results = prefetch(invert, [1, 2, 0, 4])
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)

    def items():
        yield 1
        raise OSError("stack is gone")

    with pytest.raises(OSError, match="stack is gone"):
        list(prefetch(invert, items()))


def test_the_thread_ends_with_an_iteration_that_is_left():
    before = set(threading.enumerate())
    results = prefetch(lambda item: item, iter(range(10**9)))
    assert next(results) == 0
    assert len(set(threading.enumerate()) - before) == 1
    results.close()
    assert set(threading.enumerate()) <= before
