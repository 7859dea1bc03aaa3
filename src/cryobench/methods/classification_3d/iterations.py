"""The iterations: responsibilities, volumes, mini-batches, empty classes, and split and merge at convergence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.compute.memory import reserve
from cryobench.data import Particles
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.imaging.half_disc import HalfDisc
from cryobench.imaging.layout import GridLayout
from cryobench.methods.classification_3d.expectation import Memberships, Model, compare
from cryobench.methods.classification_3d.initial import assign_at_random, assign_by_subsets, cluster
from cryobench.methods.classification_3d.principal import principal_coordinates
from cryobench.methods.classification_3d.settings import Classification3DSettings, Look, plan_iterations
from cryobench.methods.classification_3d.split_merge import merge_and_split, split_into_empty
from cryobench.reconstruction.engine import Iteration, Passes, RunContext, Step
from cryobench.reconstruction.images import block_size, draw_stretch, spectra_bytes
from cryobench.reconstruction.statistics import cut_mask, disc_of, find_masks, solve_volumes, sum_classes

_TRIAL, _GAIN, _STILL = 4, 1e-4, 1e-3
"""Iterations after split and merge; the relative gain in the objective needed to keep it, and below which two
iterations in a row end the run; the gain of an iteration below which split and merge is tried."""

_BATCHES = 5
"""Number of batches whose spectra take the memory of one that is read, scored and inserted."""

Log = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Progression:
    """Iteration state."""

    model: Model
    members: Memberships
    numerator: Tensor | None = None
    """(k, z, y, x) sums into which the next mini-batch is blended; None before a pass over all particles."""
    weight: Tensor | None = None
    """(k, z, y, x), as ``numerator``."""
    tried: bool = False
    """Whether split and merge has been tried since it was last accepted."""
    converged: str = ""
    """Reason for convergence, or "" before."""


class Classification(Iteration[Progression]):
    """The iterations of one classification.

    Raises
    ------
    ValueError
        If there are fewer particles than classes, all particles are the same image, or a resolution is beyond that of
        the images.
    MemoryShortage
        If that many classes do not fit.
    """

    label = "classes"
    State = Progression
    objective = "leave-one-out log-likelihood minus that of noise alone, shells up to the likelihood radius"
    shown = ("log-likelihood", "changed")

    def __init__(self, particles: Particles, settings: Classification3DSettings, context: RunContext) -> None:
        n, n_classes, compute = len(particles), settings.n_classes, context.compute
        if n_classes > n:
            raise ValueError(
                f"{n_classes} classes were requested but there are only {n} particles: set n_classes lower."
            )
        self.settings, self.seed, self.progress = settings, context.seed, context.progress
        self.device = compute.device
        self.looks = plan_iterations(settings, n, particles.box_size, particles.pixel_size)
        self.n_steps = len(self.looks)
        self._end = Look(self.looks[-1].radius, n)
        sphere, mask, self.notes = find_masks(particles, settings.mask_diameter)
        self.mask = (sphere * mask if settings.solvent_mask and mask is not None else sphere).to(compute.device)
        disc = disc_of(particles.box_size)
        each = class_bytes(particles.box_size, online=self._end.size > self.looks[0].size)
        left = reserve(
            compute.memory_per_worker,
            lambda count: count * each + _BATCHES * block_size(particles.box_size) * spectra_bytes(disc),
            n_classes,
            items=f"classes of {particles.box_size} px",
            setting="n_classes",
            n_workers=compute.n_workers,
        )
        keep = left * compute.n_workers
        small = HalfDisc(particles.box_size, self.looks[0].radius)
        keep_small = min(n * spectra_bytes(small), keep / 2)
        self.passes = Passes(
            particles, compute, radius=disc.radius, keep_bytes=keep - keep_small, progress=context.progress
        )
        self._open_small = partial(
            Passes, particles, compute, radius=small.radius, keep_bytes=keep_small, progress=context.progress
        )

    def start(self) -> Progression:
        """Volumes of the initial classes."""
        n, n_classes = len(self.passes), self.settings.n_classes
        posteriors = np.eye(n_classes, dtype=np.float32)[self._first_labels()]
        members = Memberships.from_posteriors(posteriors, np.ones(n, dtype=np.float32))
        model, sums = self._estimate(members, self.passes.mean_power.copy(), self._reach(0))
        return self._state(0, model, members, sums)

    def step(self, state: Progression, done: int, log: Log) -> Step[Progression]:
        """An iteration, or split and merge followed by a few iterations where it is time to try that."""
        if not state.tried and (state.converged or self._gains_less(log[-2:], _STILL)):
            return self._rearrange(state, done, log)
        state, entry = self._iterate(state, done, log)
        is_over = state.converged and (state.tried or done + 1 == self.n_steps)
        return Step(state, (entry,), stop=state.converged if is_over else None)

    def _first_labels(self) -> Int[np.ndarray, "n"]:
        n, settings = len(self.passes), self.settings
        if settings.n_classes == 1 or settings.initialisation == "random":
            return assign_at_random(n, settings.n_classes, self.seed)
        if settings.initialisation == "pca":
            return cluster(self.coordinates, settings.n_classes, self.seed)
        return assign_by_subsets(self.passes, settings, self.looks[0].radius, self.seed)

    def _iterate(self, state: Progression, done: int, log: Log) -> tuple[Progression, dict[str, Any]]:
        """One iteration and its log entry, with reseeding of empty classes before the end."""
        settings, n, look, reach = self.settings, len(self.passes), self.looks[done], self._reach(done + 1)
        former = state.members
        chosen = np.ones(n, dtype=bool) if look.size == n else draw_stretch(n, done * look.size, look.size, self.seed)
        size = int(chosen.sum())  # a particle that two rounds have in common counts once
        found = compare(self.passes, state.model, former, settings, radius=look.radius, reach=reach, chosen=chosen)
        posteriors = np.where(chosen[:, None], found.posteriors, former.posteriors)
        changed = float((posteriors.argmax(axis=1) != former.posteriors.argmax(axis=1))[chosen].mean())
        members = Memberships.from_posteriors(posteriors, found.scales / np.float32(found.scales.mean()))
        sums = found.sums
        if state.numerator is not None and state.weight is not None:
            rate, gain = settings.learning_rate, settings.learning_rate * n / size
            for new, old in zip(sums.sums, (state.numerator, state.weight), strict=True):
                new.mul_(gain).add_(old, alpha=1 - rate)
            held = (1 - rate) * former.held + gain * found.posteriors
            members = replace(members, held=held.astype(np.float32))
        model = self._solve(sums, members.held, found.noise)
        reseeded = 0
        left = settings.n_classes - sum(entry["reseeded"] for entry in log)
        empty = self._find_empty(model)[: max(left, 0)]
        if len(empty) and look != self._end:
            split, reseeded = split_into_empty(posteriors, empty, self.coordinates)
            if reseeded:
                members = Memberships.from_posteriors(split, members.scales)
                model, sums = self._estimate(members, model.noise, reach)
        entry = {
            "iteration": done + 1,
            "radius": look.radius,
            "particles": size,
            "objective": found.objective * n / size,
            "log-likelihood": round(found.objective * n / size, 1),
            "changed": round(changed, 5),
            "reseeded": reseeded,
            "populations": [round(float(value), 5) for value in model.populations],
        }
        converged = self._explain_end(changed, [*log[-2:], entry]) if look == self._end else ""
        return replace(self._state(done + 1, model, members, sums), tried=state.tried, converged=converged), entry

    def _explain_end(self, changed: float, log: Log) -> str:
        """Reason for convergence, or ""."""
        if changed < self.settings.convergence:
            return f"converged: {100 * changed:.2g} % of the particles changed class"
        # Particles between two classes may switch between them indefinitely.
        stands_still = self._gains_less(log[-2:], _GAIN) and self._gains_less(log[-3:-1], _GAIN)
        if self.settings.convergence > 0 and stands_still:
            return f"converged: the objective gained less than {100 * _GAIN:g} % twice in a row"
        return ""

    def _gains_less(self, entries: Log, gain: float) -> bool:
        """Whether the objective changed by less than a fraction between two final log entries."""
        if [Look(entry["radius"], entry["particles"]) for entry in entries] != [self._end] * 2:
            return False
        former, last = (entry["objective"] for entry in entries)
        return abs(last - former) < gain * abs(last)

    def _rearrange(self, state: Progression, done: int, log: Log) -> Step[Progression]:
        """State after split and merge and a few iterations if that is better, else the same state, marked as tried.

        An interrupted trial starts again.
        """
        stay = Step(replace(state, tried=True), steps=0, stop=state.converged or None)
        if done + _TRIAL > self.n_steps:
            return stay
        posteriors = state.members.posteriors
        if len(empty := self._find_empty(state.model)):
            moved, count = split_into_empty(posteriors, empty[:1], self.coordinates)
        else:
            moved, count = merge_and_split(posteriors, self.coordinates)
        if not count:
            return stay
        members = Memberships.from_posteriors(moved, state.members.scales)
        trial = Progression(self._estimate(members, state.model.noise, self.passes.disc.radius)[0], members)
        entries: list[dict[str, Any]] = []
        for index in range(_TRIAL):
            trial, entry = self._iterate(trial, done + index, [*log, *entries])
            entries.append({**entry, "moved": count} if index == 0 else entry)
        best = float(log[-1]["objective"])
        if not entries[-1]["objective"] > best + _GAIN * abs(best):
            return stay
        is_over = trial.converged and done + _TRIAL == self.n_steps
        return Step(trial, tuple(entries), steps=_TRIAL, stop=trial.converged if is_over else None)

    def _find_empty(self, model: Model) -> Int[np.ndarray, "_"]:
        """Classes with almost no particles."""
        return np.flatnonzero(model.populations < self.settings.smallest_class / self.settings.n_classes)

    @cached_property
    def coordinates(self) -> Float[np.ndarray, "n d"]:
        """Coordinates of the particles along their principal volumes at low resolution.

        The dozen passes are over spectra of that resolution, which fit in memory where whole ones do not.
        """
        d = min(self.settings.n_components, len(self.passes) - 1)
        return principal_coordinates(self._open_small(), d, self.seed, progress=self.progress)

    def _is_online(self, iteration: int) -> bool:
        return iteration < self.n_steps and self.looks[iteration].size < len(self.passes)

    def _reach(self, iteration: int) -> int:
        """Radius of the volumes made in an iteration: slightly beyond the compared radius, and as large as possible
        at the end and for sums to which mini-batches are added."""
        last = self.passes.disc.radius
        if self._is_online(0) or iteration >= self.n_steps or self.looks[iteration].radius == self._end.radius:
            return last
        return min(self.looks[iteration].radius + 1, last)

    def _state(self, done: int, model: Model, members: Memberships, sums: SliceAccumulator) -> Progression:
        """State after ``done`` iterations, with sums if the next one is over a mini-batch."""
        return Progression(model, members, *sums.sums) if self._is_online(done) else Progression(model, members)

    def _estimate(
        self, members: Memberships, noise: Float[np.ndarray, "s"], reach: int
    ) -> tuple[Model, SliceAccumulator]:
        """Model of all particles by their memberships, and its sums."""
        threshold = self.settings.posterior_threshold
        sums = sum_classes(
            self.passes, members.posteriors, noise, scales=members.scales, reach=reach, threshold=threshold
        )
        return self._solve(sums, members.held, noise), sums

    def _solve(self, sums: SliceAccumulator, held: Float[np.ndarray, "n k"], noise: Float[np.ndarray, "s"]) -> Model:
        mask = cut_mask(self.mask, sums.box_size)
        volumes, leverage = solve_volumes(sums, tau_fudge=self.settings.tau2_fudge, mask=mask)
        populations = held.sum(axis=0, dtype=np.float64)
        return Model(volumes, populations / populations.sum(), noise, leverage)


def class_bytes(box_size: int, *, online: bool) -> float:
    """Bytes that a class takes at the largest radius: previous and new volume, its spectrum, its sums.

    With mini-batches (``online``) the previous sums are kept as well.
    """
    grid = GridLayout(box_size).n_entries
    return 2 * 4 * box_size**3 + (8 + 12 * (2 if online else 1)) * grid
