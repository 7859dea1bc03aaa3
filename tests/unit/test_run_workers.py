"""Runs over Dask workers: the same answer, kept from methods that do not spread, and nothing left behind."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
from dask.distributed import LocalCluster
from typer.testing import CliRunner

from cryobench.cli.main import app
from cryobench.compute.workers import check_workers, open_workers
from cryobench.data import Particles
from cryobench.io.store import load_dataset
from cryobench.runs.run import run
from stored import store_dataset
from toy import toy_dataset

SMALL = {"n_classes": 2, "n_iterations": 2, "initial_resolution": 16.0, "n_components": 2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "data"
    store_dataset(toy_dataset(size=16, n=60, n_queries=5), folder)
    return load_dataset(folder)


def test_a_scheduler_s_workers_give_the_answer_of_this_process(dataset, tmp_path):
    here = run("3d-class", dataset, tmp_path / "here", settings=SMALL)
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        there = run("3d-class", dataset, tmp_path / "there", settings=SMALL, scheduler=cluster.scheduler_address)
        assert there.record.machine.scheduler == cluster.scheduler_address
        assert len(cluster.workers) == 1
    np.testing.assert_allclose(here.posteriors, there.posteriors, atol=1e-3)


def test_controls_spread_like_methods(dataset, two_workers, tmp_path, monkeypatch):
    def lend(number, address):
        assert (number, address) == (2, None)
        return nullcontext(two_workers)

    here = run("consensus", dataset, tmp_path / "here")
    monkeypatch.setattr("cryobench.compute.compute.open_workers", lend)
    there = run("consensus", dataset, tmp_path / "there", workers=2)
    scale = float(np.abs(here.volumes.read(0)).max())
    np.testing.assert_allclose(here.volumes.read(0), there.volumes.read(0), atol=1e-5 * scale)
    assert there.record.machine.workers == 2


def test_workers_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="give only one of"):
        check_workers(2, "tcp://somewhere:8786")
    with pytest.raises(ValueError, match="at least 1"):
        check_workers(0, None)
    with open_workers(1, None) as workers:
        assert workers is None


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("cryobench.compute.workers._PATIENCE", 0.3)
    with (
        pytest.raises(OSError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:1'"),
        open_workers(1, "tcp://127.0.0.1:1"),
    ):
        pass


def test_the_command_prints_what_the_run_notes(dataset, tmp_path):
    assert isinstance(dataset.particles, Particles)
    card = json.loads((dataset.path / "dataset.json").read_text())
    words = ["run", "3d-class", str(dataset.path), "-o", str(tmp_path / "run"), "--mask", "none"]
    words += [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    printed = CliRunner().invoke(app, words)
    assert printed.exit_code == 0, printed.output
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    notes = [line.removeprefix("note: ") for line in printed.stdout.splitlines() if line.startswith("note: ")]
    assert notes == ["No mask is given: volumes are kept within a sphere of 64 Å."] == record["notes"]
    assert card["name"] == record["dataset"]["name"]
