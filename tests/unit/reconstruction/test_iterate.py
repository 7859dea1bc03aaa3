"""The loop: steps, log, checkpoint, interruption and resumption, divergence, and the reason it stopped."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import minibatch_toy
from cryobench._errors import FormatError
from cryobench._progress import Silent
from cryobench.reconstruction.engine import Checkpoint, Diverged, Iteration, Step, iterate
from minibatch_toy import STEPS, ImageRegression, regress


@dataclass(frozen=True)
class Mixture:
    """Of two normal distributions of width 1 and equal weight."""

    means: torch.Tensor
    rounds: int


class TwoMeans(Iteration[Mixture]):
    """Expectation-maximisation of the means of a mixture, stopped when they stay."""

    label, State, objective = "means", Mixture, "log-likelihood"

    def __init__(self, *, n_steps=50, fails_at=None, least=1e-9):
        self.n_steps, self.steps_made, self._fails_at, self._least = n_steps, [], fails_at, least
        generator = np.random.default_rng(5)
        drawn = np.concatenate([generator.normal(-2, 1, 100), generator.normal(2, 1, 100)])
        self._values = torch.from_numpy(drawn)

    def start(self):
        return Mixture(torch.tensor([-0.1, 0.3], dtype=torch.float64), 0)

    def step(self, state, done, log):
        self.steps_made.append(done)
        if done == self._fails_at:
            raise KeyboardInterrupt
        likelihoods = torch.exp(-((self._values[:, None] - state.means) ** 2) / 2)
        total = likelihoods.sum(1, keepdim=True)
        shares = likelihoods / total
        means = (shares * self._values[:, None]).sum(0) / shares.sum(0)
        stays = float((means - state.means).abs().max()) < self._least
        entry = {"iteration": done + 1, "objective": float(total.log().sum())}
        return Step(Mixture(means, state.rounds + 1), (entry,), stop="converged: the means stay" if stays else None)


class Watched(Silent):
    """Progress that remembers what it was shown."""

    def __init__(self):
        self.shown, self.total = [], None

    def task(self, description, total=None):
        self.total = total
        outer = self

        class Task:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            def advance(self, steps=1, **values):
                outer.shown.append((steps, values))

        return Task()


def test_steps_follow_each_other_until_nothing_changes():
    watched, iteration = Watched(), TwoMeans()
    state, convergence = iterate(iteration, Checkpoint(None, {}), watched)
    assert convergence.converged
    assert convergence.stopped == "converged: the means stay"
    assert convergence.objective == "log-likelihood"
    assert iteration.steps_made == list(range(state.rounds)) == [entry["iteration"] - 1 for entry in convergence.log]
    objective = [entry["objective"] for entry in convergence.log]
    assert (np.diff(objective) > -1e-9).all()
    np.testing.assert_allclose(state.means, [-2, 2], atol=0.3)
    assert watched.total == 50
    assert watched.shown[0] == (0, {})
    assert watched.shown[1:] == [(1, {"objective": value}) for value in objective]


def test_all_steps_done_is_the_reason_where_nothing_else_stopped_it():
    state, convergence = iterate(TwoMeans(n_steps=3), Checkpoint(None, {}), Silent())
    assert state.rounds == len(convergence.log) == 3
    assert convergence.stopped == "all 3 steps done"
    assert not convergence.converged


@pytest.mark.parametrize("fails_at", [0, 1, 4])
def test_an_interrupted_iteration_goes_on_to_the_same_bits(fails_at, tmp_path):
    whole, steps = iterate(TwoMeans(), Checkpoint(None, {}), Silent())
    with pytest.raises(KeyboardInterrupt):
        iterate(TwoMeans(fails_at=fails_at), Checkpoint(tmp_path, {}), Silent())
    resumed = TwoMeans()
    state, again = iterate(resumed, Checkpoint(tmp_path, {}), Silent())
    assert resumed.steps_made[0] == fails_at
    assert torch.equal(state.means, whole.means)
    assert state.rounds == whole.rounds
    assert again == steps or (again.log, again.stopped) == (steps.log, steps.stopped)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(steps.log)


def test_a_finished_iteration_is_found_and_not_done_again(tmp_path):
    state, steps = iterate(TwoMeans(), Checkpoint(tmp_path, {}), Silent(), name="means")
    again = TwoMeans()
    found, convergence = iterate(again, Checkpoint(tmp_path, {}), Silent(), name="means")
    assert again.steps_made == []
    assert torch.equal(found.means, state.means)
    assert (convergence.log, convergence.stopped) == (steps.log, steps.stopped)
    other = TwoMeans(n_steps=2)
    iterate(other, Checkpoint(tmp_path, {}), Silent(), name="other means")
    assert other.steps_made == [0, 1]
    (tmp_path / "means.npz").write_bytes(b"half a file")
    with pytest.raises(FormatError, match="cannot be read"):
        iterate(TwoMeans(), Checkpoint(tmp_path, {}), Silent(), name="means")


class Trials(TwoMeans):
    """Every third step is a trial that is taken back."""

    def step(self, state, done, log):
        result = super().step(state, done, log)
        if len(self.steps_made) % 3:
            return result
        return Step(state, ({"iteration": done, "trial": True},), steps=0)


def test_a_trial_that_was_taken_back_is_logged_and_not_counted():
    iteration = Trials(n_steps=4)
    state, convergence = iterate(iteration, Checkpoint(None, {}), Silent())
    assert iteration.steps_made == [0, 1, 2, 2, 3]
    assert state.rounds == 4
    assert [entry.get("trial", False) for entry in convergence.log] == [False, False, True, False, False]


class Exploding(TwoMeans):
    advice = "Give a smaller step."

    def step(self, state, done, log):
        result = super().step(state, done, log)
        if done < 2:
            return result
        return Step(result.state, ({"iteration": done + 1, "objective": float("nan")},))


def test_numbers_that_are_not_finite_stop_it_and_leave_what_was_kept(tmp_path):
    with pytest.raises(Diverged, match=r"step 3 gave objective nan.*Give a smaller step\. Earlier steps are kept"):
        iterate(Exploding(), Checkpoint(tmp_path, {}), Silent())
    facts = Checkpoint(tmp_path, {}).find("iteration")[1]
    assert facts["done"] == 2
    assert len(facts["log"]) == 2


def test_minibatch_steps_find_the_slopes():
    iteration = ImageRegression()
    state, convergence = regress(iteration, None)
    np.testing.assert_allclose(state.slopes, iteration.slopes, atol=0.05)
    assert convergence.stopped == f"all {STEPS} steps done"
    losses = [entry["loss"] for entry in convergence.log]
    assert losses[-1] < 1e-3 * losses[0]


def test_a_diverging_loss_is_caught():
    with pytest.raises(Diverged, match="gave loss"):
        regress(ImageRegression(rate=1e4, n_steps=1000), None)


def test_the_state_is_kept_where_the_iteration_says_and_at_the_end(tmp_path, monkeypatch):
    kept, keep = [], Checkpoint.keep

    def note(self, name, arrays, facts=None):
        kept.append(facts["done"])
        keep(self, name, arrays, facts)

    monkeypatch.setattr(Checkpoint, "keep", note)
    regress(ImageRegression(n_steps=23), tmp_path)
    assert kept == [10, 20, 23]


def test_a_signal_waits_for_the_end_of_a_step_in_place(tmp_path):
    """Step 17 of 40 is in the third epoch of seven batches, and no step at which the state is kept."""
    assert ImageRegression().batches.steps_per_epoch == 7
    whole, steps = regress(ImageRegression(), None)
    program = [sys.executable, minibatch_toy.__file__, str(tmp_path), "16", str(int(signal.SIGINT))]
    paths = os.pathsep.join([str(Path(minibatch_toy.__file__).parent), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(program, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGINT, ended.stderr.decode()
    assert Checkpoint(tmp_path, {"toy": 1}).find("iteration")[1]["done"] == 17
    state, again = regress(ImageRegression(), tmp_path)
    assert torch.equal(state.slopes, whole.slopes)
    assert torch.equal(state.momentum, whole.momentum)
    assert again.log == steps.log


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["int", "term"]
)
@pytest.mark.parametrize("step", [3, STEPS - 1])
def test_signals_end_it_after_the_step_and_handlers_come_back(number, raised, step, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(raised):
        regress(ImageRegression(signalled=(step, number)), tmp_path)
    assert signal.getsignal(signal.SIGTERM) == before
    assert Checkpoint(tmp_path, {"toy": 1}).find("iteration")[1]["done"] == step + 1


def test_a_signal_while_the_last_state_is_kept_is_not_lost(tmp_path, monkeypatch):
    keep = Checkpoint.keep

    def keep_and_signal(self, name, arrays, facts=None):
        keep(self, name, arrays, facts)
        if facts["done"] == 23:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Checkpoint, "keep", keep_and_signal)
    with pytest.raises(KeyboardInterrupt):
        regress(ImageRegression(n_steps=23), tmp_path)
