"""A toy stochastic method: images regressed on known coordinates by minibatch steps with momentum, in place.

Run as a program it is interrupted by a signal in the middle of a step:
``python minibatch_toy.py FOLDER STEP SIGNAL`` keeps its state in FOLDER.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cryobench._progress import Silent
from cryobench.data import ArrayImages, Convergence
from cryobench.reconstruction.engine import Checkpoint, Iteration, Step, iterate
from cryobench.reconstruction.images import Minibatches, prefetch

N, SIZE, BATCH, STEPS = 50, 6, 8, 40


@dataclass
class Regression:
    """State: the images at unit coordinates, and how they moved last."""

    slopes: Tensor
    """(2, p)."""
    momentum: Tensor


class ImageRegression(Iteration[Regression]):
    """Minimises |image − coordinates · slopes|² by steps over minibatches."""

    label, in_place = "regression", True
    shown = ("loss",)
    State = Regression

    def __init__(self, *, rate: float = 0.2, signalled: tuple[int, int] | None = None, n_steps: int = STEPS) -> None:
        generator = np.random.default_rng(3)
        self.n_steps, self._rate, self._signalled = n_steps, rate, signalled
        self.coordinates = generator.standard_normal((N, 2)).astype(np.float32)
        self.slopes = generator.standard_normal((2, SIZE**2)).astype(np.float32)
        images = (self.coordinates @ self.slopes).reshape(N, SIZE, SIZE)
        self._images = ArrayImages(images + 0.01 * generator.standard_normal(images.shape).astype(np.float32))
        self.batches = Minibatches(N, BATCH, seed=1)

    def start(self) -> Regression:
        return Regression(torch.zeros(2, SIZE**2), torch.zeros(2, SIZE**2))

    def keeps(self, done: int) -> bool:
        return done % 10 == 0

    def step(self, state: Regression, done: int, log: Sequence[Mapping[str, Any]]) -> Step[Regression]:
        (images,) = prefetch(self._images.read, [self.batches.batch(done)])
        design = torch.from_numpy(self.coordinates[self.batches.batch(done)])
        left = torch.from_numpy(images).flatten(1) - design @ state.slopes
        state.momentum.mul_(0.5).add_(design.T @ left / len(left))
        if self._signalled is not None and self._signalled[0] == done:
            os.kill(os.getpid(), self._signalled[1])  # with the momentum of this step and the slopes of the last
        state.slopes.add_(self._rate * state.momentum)
        return Step(state, ({"iteration": done + 1, "loss": float(left.square().mean())},))


def regress(iteration: ImageRegression, folder: Path | None) -> tuple[Regression, Convergence]:
    """The regression, kept in a folder."""
    return iterate(iteration, Checkpoint(folder, {"toy": 1}), Silent())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    regress(ImageRegression(signalled=(int(sys.argv[2]), int(sys.argv[3]))), Path(sys.argv[1]))
