"""What a run costs is measured: processor always, an accelerator where one is used."""

import subprocess
import sys
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


_BUSY = "import time\nheld = bytearray(200_000_000)\nwhile time.process_time() < {}: pass\nprint(flush=True)\ninput()"


def test_child_processes_count_while_the_block_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was there before counts for what it does in the block."""
    monkeypatch.setattr("cryobench.compute.meter._LOOK", 0.05)

    def start(seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _BUSY.format(seconds)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait(child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        child.stdout.readline()

    earlier = start(0.6)
    wait(earlier)
    with Meter() as meter:
        child = start(0.5)
        wait(child)
        time.sleep(0.2)
        child.communicate("\n")
        ended = meter.readings()["cpu_seconds"]
    earlier.communicate("\n")
    readings = meter.readings()
    assert 0.5 <= readings["cpu_seconds"] < 1.0
    assert readings["cpu_seconds"] >= ended > 0.4
    assert readings["peak_memory_bytes"] > psutil.Process().memory_info().rss + 1.5e8


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
