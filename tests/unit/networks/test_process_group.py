"""Training over several processes: the steps of one, to rounding; signals, errors and lost processes end them all."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from cryobench._progress import Progress, Silent, Task
from cryobench.compute import Compute, LostWorker, process_group
from cryobench.compute.workers import Workers, open_workers
from cryobench.data import Convergence, Reconstruction
from cryobench.methods import get_method
from cryobench.methods.cryodrgn import Cryodrgn
from cryobench.methods.cryodrgn.training import AutoencoderTraining, make_model
from cryobench.reconstruction.engine import Checkpoint, RunContext, iterate
from cryobench.reconstruction.networks import NetworkImages, open_training
from cryobench.testing.toy import toy_dataset

NAMES = {
    "cryodrgn": {"kl_target": 2.0, "refine_poses": True, "pose_from_epoch": 1},
    "cryodrgn-ai-fixed": {"prior_weight": 0.5, "pretraining_images": 24},
}
"""Methods, with the terms of their losses that are no plain sums over images."""
PARTICLES = toy_dataset(size=16, n=61).particles
"""In batches of 12 the last one has a single image: a process is left without."""
STEPS = (18, 20)
"""Of the two methods, two of them in the lead."""


@pytest.fixture(autouse=True)
def one_torch_thread() -> None:
    torch.set_num_threads(1)


def estimate(
    name: str, workers: Workers | None, checkpoint: Path | None = None, progress: Progress | None = None
) -> Reconstruction:
    kind = get_method(name)
    method = kind.with_settings({**kind.small, "epochs": 3, "batch_size": 12, **NAMES[name]})
    compute = Compute(memory=10**9, workers=workers)
    return method.estimate(PARTICLES, np.array([0]), RunContext(0, compute, progress or Silent(), checkpoint))


def log_of(found: Reconstruction) -> list[Mapping[str, float]]:
    convergence = found.find(Convergence)
    assert convergence is not None
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in convergence.log]


class Signalling(Silent):
    """Progress that sends this process a signal after a step."""

    def __init__(self, after: int) -> None:
        self._left = after

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        yield self if total in STEPS else _Nobody()

    def advance(self, steps: int = 1, **shown: object) -> None:
        self._left -= steps
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGINT)


class _Nobody:
    def advance(self, steps: int = 1, **shown: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_make_the_steps_of_one(name, two_workers):
    one, two = estimate(name, None), estimate(name, two_workers)
    for mine, theirs in zip(log_of(one), log_of(two), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)
    for key, value in one.model.items():
        if value.dtype.kind != "f":
            continue
        np.testing.assert_allclose(two.model[key], value, atol=1e-5 * np.abs(value).max(), err_msg=key)
    np.testing.assert_allclose(two.latents, one.latents, atol=1e-5 * np.abs(one.latents).max())


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_ends_all_after_a_step_and_the_next_call_goes_on_to_the_same_bits(name, two_workers, tmp_path):
    whole = estimate(name, two_workers)
    with pytest.raises(KeyboardInterrupt):
        estimate(name, two_workers, tmp_path, Signalling(after=9))
    with np.load(tmp_path / "iteration.npz") as kept:
        assert '"done": 9' in str(kept["facts"])
    again = estimate(name, two_workers, tmp_path)
    assert log_of(again) == log_of(whole)
    np.testing.assert_array_equal(again.latents, whole.latents)
    for key, value in whole.model.items():
        np.testing.assert_array_equal(again.model[key], value, err_msg=key)


def test_prepared_images_lie_in_one_file_that_goes_with_them(two_workers, tmp_path):
    compute = Compute(memory=10**9, workers=two_workers)
    images = NetworkImages(PARTICLES, compute, keep_bytes=1e9, folder=tmp_path)
    assert not images.is_in_memory
    (file,) = tmp_path.iterdir()
    assert file.name.startswith(".")
    assert file.suffix == ".part"  # a run that starts removes those that a killed one left
    del images
    assert not list(tmp_path.iterdir())


class Failing:
    """Makes a training that fails, or whose process is killed, at a step in the second process."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.method = Cryodrgn.with_settings({**Cryodrgn.small, "epochs": 3, "batch_size": 12})

    def make(self, images: NetworkImages, compute: Compute) -> AutoencoderTraining:
        assert isinstance(self.method, Cryodrgn)
        training = self.method._make_training(make_model(self.method.settings, 16, 0), 0, images, compute)
        if compute.process_group.rank == 1:
            training.train = partial(self.train, training.train)
        return training

    def train(self, train, batch, step):
        if step == 8 and self.how == "error":
            raise ValueError("no step 8 for process 1")
        if step == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return train(batch, step)


def run_failing(how: str, workers: Workers, folder: Path) -> None:
    compute = Compute(memory=10**9, workers=workers)
    images = NetworkImages(PARTICLES, compute, keep_bytes=0)
    with open_training(Failing(how).make, images, compute) as training:
        iterate(training, Checkpoint(folder, {}), Silent())


def test_an_error_in_a_worker_ends_all_and_the_last_epoch_stays(two_workers, tmp_path):
    with pytest.raises(ValueError, match="no step 8 for process 1"):
        run_failing("error", two_workers, tmp_path)
    assert '"done": 6' in str(np.load(tmp_path / "iteration.npz")["facts"])
    assert torch.get_num_threads() == 1
    assert not torch.distributed.is_initialized()
    estimate("cryodrgn", two_workers)  # and the workers are free


@pytest.mark.slow
def test_a_worker_that_is_killed_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setattr(process_group, "_PATIENCE", 1.0)
    with open_workers(2) as workers:
        assert workers is not None
        with pytest.raises(LostWorker, match="ended in the middle of a step, possibly killed"):
            run_failing("kill", workers, tmp_path)


def test_more_workers_than_images_in_a_batch_are_refused(two_workers):
    method = Cryodrgn.with_settings({**Cryodrgn.small, "batch_size": 1})
    with pytest.raises(ValueError, match="give --workers 1 at most"):
        method.estimate(PARTICLES, np.array([0]), RunContext(compute=Compute(workers=two_workers)))


def test_processes_of_a_machine_take_its_devices_in_order():
    seats = [("one", 1, 2), ("one", 2, 2), ("other", 1, 4)]
    assert process_group._assign_devices("cuda", seats) == ["cuda:0", "cuda:1", "cuda:0"]
    assert process_group._assign_devices("cpu", seats) == ["cpu"] * 3
    with pytest.raises(ValueError, match=r"need one CUDA device each, and it has 2: .* --workers 2"):
        process_group._assign_devices("cuda", [*seats, ("one", 3, 2)])
    with pytest.raises(ValueError, match="must be a separate process"):
        process_group._assign_devices("cpu", [*seats, seats[0]])


def test_gradients_of_a_process_alone_stay():
    leaf = torch.ones(2, requires_grad=True)
    alone = process_group.ProcessGroup()
    alone.total(3 * leaf.sum()).backward()
    alone.sum_gradients([leaf])
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [3, 3]
    assert replace(Compute(), device="cpu").process_group == alone


def stay_away(*_: object) -> None:
    time.sleep(1.5)


def test_a_worker_that_never_joins_is_not_waited_for_for_ever(two_workers, monkeypatch):
    monkeypatch.setattr(process_group, "_JOINING", 0.5)
    monkeypatch.setattr(process_group, "_join", stay_away)
    with (
        pytest.raises(LostWorker, match="did not join"),
        process_group.open_process_group(Compute(memory=10**9, workers=two_workers), print),
    ):
        pass
