"""Costs are read from the run record, or not measured."""

from typing import Any

import numpy as np
import pytest

from cryobench.data import Machine, Reconstruction, RunCost, RunRecord
from cryobench.metrics.cost import Cost
from labelled import labelled_dataset

DATA = labelled_dataset(np.zeros(3, int))


def recorded(**cost: Any) -> Reconstruction:
    machine = Machine(hardware={"cores": 2})
    return Reconstruction(np.arange(1), record=RunRecord("toy", cost=RunCost(**cost), machine=machine))


def test_recorded_costs_are_given_in_seconds_and_gib() -> None:
    run = recorded(wall_seconds=12.5, cpu_seconds=20, peak_memory_bytes=3.0 * 2**30)
    scores = Cost().measure(run, DATA)
    values = {name: score.value for name, score in scores.scores.items()}
    assert values == {"wall-time": 12.5, "cpu-time": 20.0, "peak-memory": 3.0}
    for score in scores.scores.values():
        assert score.low == score.value == score.high
        assert score.n == 1
    assert scores.context == {"n_particles": 3, "hardware": {"cores": 2}, "attempts": 1}
    assert Cost().measure(recorded(gpu_seconds=3.0), DATA)["gpu-time"].value == 3.0


def test_truth_is_not_needed() -> None:
    from dataclasses import replace

    assert Cost().explain_missing(recorded(wall_seconds=1.0), replace(DATA, truth=None)) is None


def test_a_resumed_run_costs_the_sum_of_its_attempts() -> None:
    attempts = [
        RunCost(wall_seconds=4.0, peak_memory_bytes=2.0**31),
        RunCost(wall_seconds=3.0, peak_memory_bytes=1.0),
    ]
    run = Reconstruction(np.arange(1), record=RunRecord("toy", cost=RunCost.total(attempts)))
    scores = Cost().measure(run, DATA)
    assert (scores["wall-time"].value, scores["peak-memory"].value) == (7.0, 2.0)
    assert scores.context["attempts"] == 2


@pytest.mark.parametrize("cost", [{}, {"wall_seconds": None}, {"attempts": 2}])
def test_what_was_not_recorded_is_not_measured(cost: dict[str, Any]) -> None:
    reason = "needs times or memory in the run record"
    assert reason in (Cost().explain_missing(recorded(**cost), DATA) or "")
    with pytest.raises(ValueError, match=reason):
        Cost().measure(recorded(**cost), DATA)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_nonsense_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="wall_seconds"):
        Cost().measure(recorded(wall_seconds=value), DATA)
