"""Worker processes: one for a call, results that stay with them, errors, and clusters that end with their block."""

import os
import sys
from types import SimpleNamespace
from unittest.mock import Mock

import dask.distributed
import numpy as np
import pytest
import torch
from dask.distributed import KilledWorker

from cryobench.cli import main
from cryobench.compute import Compute, LostWorker, Workers, open_compute
from cryobench.compute.workers import check_workers, open_workers


def add(one, other):
    return one + other


def make(value):
    return {"value": value, "process": os.getpid()}


def double(tensors):
    return {name: 2 * tensor for name, tensor in tensors.items()}


def process_of(made):
    return made["process"], os.getpid()


def fail(_):
    raise ValueError("no such particle")


def test_results_come_in_the_order_of_the_calls(two_workers):
    assert len(two_workers) == 2
    assert two_workers.results(two_workers.start(add, [[1, 2], [3, 4]])) == [3, 7]
    assert two_workers.results(two_workers.start(add, [["a", "b"]])) == ["ab"]


def test_a_result_stays_at_its_worker_for_later_calls(two_workers):
    made = two_workers.start(make, [[0], [1]])
    processes = two_workers.results(two_workers.start(process_of, [[handle] for handle in made]))
    assert all(one == other != os.getpid() for one, other in processes)
    assert processes[0] != processes[1]


def test_values_are_sent_to_every_worker(two_workers):
    sent = two_workers.broadcast([10, {"k": 1}])
    assert two_workers.results(two_workers.start(add, [[sent[0], 1], [sent[0], 2]])) == [11, 12]
    assert two_workers.broadcast([]) == []


def test_items_are_mapped_each_once(two_workers):
    assert sorted(two_workers.map_unordered(add, 100, range(7))) == [100 + item for item in range(7)]


def test_an_error_of_a_worker_is_raised_here(two_workers):
    with pytest.raises(ValueError, match="no such particle"):
        two_workers.results(two_workers.start(fail, [[0], [1]]))


def test_workers_that_end_at_every_attempt_are_reported_as_lost(monkeypatch, capsys, tmp_path):
    """Not as a fault of the package: the system kills processes for lack of memory."""
    worker = SimpleNamespace(address="tcp://one")
    died = Mock(side_effect=KilledWorker("task", worker, 3))
    client = Mock(gather=died, **{"scheduler_info.return_value": {"workers": {"tcp://one": {"nthreads": 1}}}})
    client.scatter.return_value = [None]
    client.submit.return_value.result = died
    monkeypatch.setattr(dask.distributed, "as_completed", iter)
    workers = Workers(client)
    with pytest.raises(LostWorker, match="possibly killed for lack of memory"):
        workers.results([None])
    with pytest.raises(LostWorker, match="possibly killed for lack of memory"):
        list(workers.map_unordered(add, 1, [2]))
    monkeypatch.setattr(sys, "argv", ["cryobench", "verify", str(tmp_path)])
    monkeypatch.setattr(main, "app", Mock(side_effect=LostWorker("a worker ended")))
    with pytest.raises(SystemExit) as stop:
        main.run_cli()
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: a worker ended\n"


def test_tensors_arrive_as_they_were_sent(two_workers, rng):
    spectrum = torch.from_numpy(rng.normal(size=(3, 4)) + 1j)
    values = {"plain": spectrum, "conjugate": spectrum.conj(), "part": spectrum.T[1:], "single": torch.ones(())}
    values |= {"negative": spectrum.conj().imag, "half": torch.ones(2).bfloat16()}
    values["trained"] = torch.ones(2, requires_grad=True)
    sent = two_workers.broadcast([values])
    (there,) = two_workers.results(two_workers.start(double, [[sent[0]]]))
    for name, value in values.items():
        torch.testing.assert_close(there[name], 2 * value)
        assert there[name].dtype == value.dtype
    there["plain"] += 1  # can be written into


def test_values_of_a_class_of_a_script_or_notebook_are_sent_there_and_back(two_workers):
    names = {"__name__": "__main__"}
    exec("class Model:\n    x = 3\n\ndef grow(model):\n    model.x += 1\n    return model", names)
    (sent,) = two_workers.broadcast([names["Model"]()])
    (found,) = two_workers.results(two_workers.start(names["grow"], [[sent]]))
    assert (type(found).__name__, found.x) == ("Model", 4)


def test_large_arguments_are_no_warning(two_workers):
    (total,) = two_workers.results(two_workers.start(np.sum, [[np.ones(3_000_000)]]))
    assert total == 3e6


def test_memory_is_divided_among_workers(two_workers):
    compute = Compute(memory=10**9, workers=two_workers)
    assert (compute.n_workers, compute.memory_per_worker) == (2, 5e8)


def test_one_worker_is_this_process():
    with open_workers(1) as workers:
        assert workers is None
    with open_compute(device="cpu", workers=1) as compute:
        assert compute.workers is None


def test_impossible_workers_are_refused():
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        check_workers(0, None)
    with pytest.raises(ValueError, match="give only one of"), open_workers(2, "tcp://127.0.0.1:1"):
        pass
