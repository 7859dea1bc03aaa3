"""Pose-searching trainings from several random starts, of which the one of lowest loss is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryobench.compute import Compute
from cryobench.data import Convergence, Particles
from cryobench.reconstruction.engine import Checkpoint, RunContext, iterate
from cryobench.reconstruction.networks import NetworkImages, Training, open_training
from cryobench.reconstruction.poses.judgement import judge_shifts, judge_views
from cryobench.reconstruction.poses.network_search import SearchedPoses
from cryobench.rng import stream
from cryobench.rotations import rotations_from_quaternions

Made = TypeVar("Made", bound=Training[NetworkImages])


@dataclass(frozen=True)
class BestStart(Generic[Made]):
    """Training of the lowest loss."""

    training: Made
    convergence: Convergence
    losses: tuple[float, ...]
    """Loss of the last epoch, for each start."""

    def describe(
        self, searched: SearchedPoses, particles: Particles, latents: Float[np.ndarray, "n k"]
    ) -> dict[str, Any]:
        """Poses, findings and notes of a reconstruction, from the poses and latents (n, k) of the training."""
        rotations, shifts = searched.table.flush()
        plan, pixel = searched.plan, particles.pixel_size
        notes = [
            *judge_shifts(shifts, plan.shifts, pixel),
            *judge_views(rotations, np.zeros(len(rotations), dtype=int), plan.radii[-1]),
        ]
        if len(self.losses) > 1:
            listed = ", ".join(f"{loss:.6g}" for loss in self.losses)
            notes.append(f"The start of lowest loss of {len(self.losses)} random starts was kept: {listed}.")
        return {
            "rotations": rotations,
            "shifts": shifts * pixel,
            "findings": self.training.findings(self.convergence, latents),
            "notes": tuple(notes),
        }


def train_starts(
    make: Callable[[int, NetworkImages, Compute], Made],
    images: NetworkImages,
    kept: Checkpoint,
    context: RunContext,
    n_starts: int,
) -> BestStart[Made]:
    """Train from random starts, and keep the best.

    Parameters
    ----------
    make
        Makes the training from a seed, the images and a machine. Must be picklable for workers.
    images
        Prepared images.
    kept
        Checkpoint of the run; each start has its own state there.
    context
        Seed, machine and progress.
    n_starts
        Number of starts.

    Raises
    ------
    Diverged, FormatError
        As ``iterate``.
    LostWorker, ValueError
        As ``open_training``.
    """
    best: BestStart[Made] | None = None
    losses: list[float] = []
    for start in range(n_starts):
        # The first start equals that of a run with a single one.
        seed = int(stream(context.seed, "random starts", start).integers(2**62)) if start else context.seed
        with open_training(partial(make, seed), images, context.compute) as training:
            _, convergence = iterate(training, kept, context.progress, name=f"start-{start}")
        losses.append(float(convergence.log[-1]["loss"]))
        if best is None or losses[-1] < min(losses[:-1]):
            best = BestStart(training, convergence, ())
    assert best is not None
    return BestStart(best.training, best.convergence, tuple(losses))


def random_rotations(count: int, seed: int, name: str, index: int) -> Float[Tensor, "n 3 3"]:
    """Rotations (n, 3, 3) float32, uniform over SO(3), from a named random stream."""
    drawn = stream(seed, name, index).standard_normal((count, 4))
    return torch.from_numpy(rotations_from_quaternions(drawn)).float()
