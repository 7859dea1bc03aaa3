"""What a run costs is measured: processor always, an accelerator where one is used."""

import time

import numpy as np
import psutil
import pytest
import torch

from cryobench.compute.meter import Meter


def test_time_and_memory_of_the_block_are_measured() -> None:
    before = psutil.Process().memory_info().rss
    with Meter() as meter:
        held = np.ones(20_000_000)
        time.sleep(0.12)
        assert held.sum() > 0
    readings = meter.readings()
    assert set(readings) == {"wall_seconds", "cpu_seconds", "peak_memory_bytes"}
    assert readings["wall_seconds"] >= 0.12
    assert 0 < readings["cpu_seconds"] < readings["wall_seconds"] - 0.06  # nothing is computed while it sleeps
    assert readings["peak_memory_bytes"] > before + 0.5 * held.nbytes


def test_an_accelerator_is_measured_from_a_fresh_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: told.append(f"reset {device}"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: told.append(f"wait {device}"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3_000_000)
    with Meter("cuda") as meter:
        told.append("work")
    assert told == ["reset cuda", "work", "wait cuda"]
    readings = meter.readings()
    assert readings["peak_gpu_memory_bytes"] == 3e6
    assert readings["gpu_seconds"] == readings["wall_seconds"] > 0


def test_a_tick_that_fails_once_ends_neither_the_measurement_nor_the_others() -> None:
    """As on a disk that is full for a while."""
    calls: list[int] = []

    def tick() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("disk full")

    with Meter(tick=tick, seconds=0.0) as meter:
        while len(calls) < 3 and meter.readings()["wall_seconds"] < 5:
            time.sleep(0.05)
    assert len(calls) >= 3
