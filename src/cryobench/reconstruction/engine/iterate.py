"""The only loop: steps in order, progress, log, checkpoint, resume, convergence, and the reason for stopping.

Expectation-maximisation over all particles, over mini-batches, and stochastic gradient descent are values given to
``iterate``: an ``Iteration`` defines the start, the step, and the convergence.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from cryobench._errors import CryobenchError
from cryobench._progress import Progress
from cryobench.data import Convergence
from cryobench.reconstruction.engine.checkpoint import Checkpoint
from cryobench.reconstruction.engine.forecast import Forecast
from cryobench.reconstruction.engine.state import pack_state, unpack_state

State = TypeVar("State")
_KEPT_EVERY = 600.0
"""Seconds after which the state is also kept between its regular steps."""
_MEASURED = 10.0
"""Seconds of short steps before a forecast is made."""
_WATCHED = ("objective", "loss")
"""Log entries that must be finite."""


class Diverged(CryobenchError, ValueError):
    """A step gave a number that is not finite; the last kept state is intact."""


@dataclass(frozen=True)
class Step(Generic[State]):
    """Result of a step."""

    state: State
    entries: tuple[Mapping[str, Any], ...] = ()
    """Log entries."""
    steps: int = 1
    """Number of steps that this one counts for; 0 for a rejected trial."""
    stop: str | None = None
    """Reason to stop, such as "converged: ...", or None to continue."""


class Iteration(ABC, Generic[State]):
    """An iterative estimate: its start, its step, and its state as arrays."""

    label: ClassVar[str]
    """Label of the progress bar."""
    State: ClassVar[type]
    """Dataclass of the state, for the default ``pack`` and ``unpack``."""
    objective: ClassVar[str] = ""
    """Definition of the log entry "objective"."""
    shown: ClassVar[tuple[str, ...]] = ("objective",)
    """Log entries shown next to the progress bar."""
    in_place: ClassVar[bool] = False
    """Whether steps are short and change the state in place: a signal then waits for the end of the step."""
    advice: ClassVar[str] = "Look for outliers among the images, and check the CTF parameters."
    """Advice when a step gives numbers that are not finite, as a sentence."""
    device: str = "cpu"
    """Device of the state's tensors."""
    n_steps: int
    """Most steps."""

    @abstractmethod
    def start(self) -> State:
        """The state before the first step."""

    @abstractmethod
    def step(self, state: State, done: int, log: Sequence[Mapping[str, Any]]) -> Step[State]:
        """One step from a state, after ``done`` steps with that log."""

    def keeps(self, done: int) -> bool:
        """Whether the state is kept after that number of steps."""
        return True

    def pack(self, state: State) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
        """The state as arrays and facts."""
        return pack_state(state)

    def unpack(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> State:
        """The state that was packed."""
        return unpack_state(self.State, arrays, facts, device=self.device)


def iterate(
    iteration: Iteration[State], checkpoint: Checkpoint, progress: Progress, *, name: str = "iteration"
) -> tuple[State, Convergence]:
    """Last state of an iteration, and its convergence; resumes from the checkpoint, or from a shorter run.

    Parameters
    ----------
    name
        Name of the state in the checkpoint, where several iterations use one.

    Raises
    ------
    Diverged
        If an objective or a loss is not finite.
    FormatError
        If the kept state is damaged.
    """
    found = checkpoint.find_start(name)
    done, log, stopped = 0, [], None
    if found is None:
        state = iteration.start()
    else:
        arrays, facts = found
        done, log, stopped = facts["done"], facts["log"], facts["stopped"]
        state = iteration.unpack(arrays, facts["state"])
    kept_at, kept_done = time.monotonic(), done
    measured = _MEASURED if iteration.in_place else 0.0
    forecast = Forecast(iteration.label, iteration.n_steps, progress, measured=measured)

    def keep() -> None:
        nonlocal kept_at, kept_done
        arrays, facts = iteration.pack(state)
        checkpoint.keep(name, arrays, {"done": done, "log": log, "stopped": stopped, "state": dict(facts)})
        checkpoint.write_log(log)
        kept_at, kept_done = time.monotonic(), done

    with progress.task(iteration.label, total=iteration.n_steps) as task, _deferred(iteration.in_place) as signals:
        task.advance(done)
        while stopped is None and done < iteration.n_steps:
            result = iteration.step(state, done, log)
            _check_finite(result.entries, done, iteration.advice)
            state, stopped = result.state, result.stop
            done += result.steps
            forecast.look(done)
            log += [dict(entry) for entry in result.entries]
            if checkpoint.is_kept and (
                iteration.keeps(done) or stopped or signals or time.monotonic() - kept_at > _KEPT_EVERY
            ):
                keep()
            latest = log[-1] if log else {}
            task.advance(result.steps, **{key: latest[key] for key in iteration.shown if key in latest})
            if signals:
                break
        if checkpoint.is_kept and kept_done != done:
            keep()
        if signals:
            raise KeyboardInterrupt if signals[0] == signal.SIGINT else SystemExit(128 + signals[0])
    return state, Convergence(tuple(log), stopped or f"all {iteration.n_steps} steps done", iteration.objective)


@contextmanager
def _deferred(defer: bool) -> Iterator[list[int]]:
    """Termination signals received within the block, recorded and not acted on; only where that is possible."""
    noted: list[int] = []
    if not defer or threading.current_thread() is not threading.main_thread():
        yield noted
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in former:
            signal.signal(number, lambda received, _: noted.append(received))
        yield noted
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _check_finite(entries: Sequence[Mapping[str, Any]], done: int, advice: str) -> None:
    for entry in entries:
        for name in _WATCHED:
            value = entry.get(name)
            if isinstance(value, float) and not math.isfinite(value):
                raise Diverged(
                    f"step {done + 1} gave {name} {value}: overflow or invalid operation. {advice} "
                    "Earlier steps are kept."
                )
