"""``3d-class``: the method, and the loop of its iterations."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._progress import Progress, Silent
from cryobench.data import IndexedVolumes, Particles, Reconstruction
from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.io.npy import map_npy
from cryobench.methods._shared.checkpoint import Checkpoint
from cryobench.methods._shared.half_sets import split_halves
from cryobench.methods._shared.passes import Passes
from cryobench.methods.classification_3d.expectation import Memberships, Options, add_up, compare
from cryobench.methods.classification_3d.halves import Halves, compare_halves
from cryobench.methods.classification_3d.initial import assign_at_random, assign_by_subsets, cluster
from cryobench.methods.classification_3d.limits import check_memory, choose_mask
from cryobench.methods.classification_3d.moves import merge_and_split, split_into_empty
from cryobench.methods.classification_3d.principal import principal_coordinates
from cryobench.methods.classification_3d.progression import Progression, find_progression, keep_progression
from cryobench.methods.classification_3d.schedule import draw_batch, plan_batches, plan_radii
from cryobench.methods.classification_3d.settings import Classification3DSettings
from cryobench.methods.classification_3d.volumes import Model, cut_mask, solve_volumes
from cryobench.methods.method import Method, Workers, require_poses

_TRIAL, _GAIN, _STILL = 4, 1e-4, 1e-3
"""Iterations after moving classes; the relative gain in the objective for which it stays so, and below which two
iterations in a row are the end; the gain of an iteration below which it is time to try."""
OBJECTIVE = "leave-one-out log-likelihood minus that of noise alone, shells up to the likelihood radius"


class Classification3D(Method):
    """K volumes at given poses by expectation-maximisation (RELION's Class3D without alignment)."""

    name = "3d-class"
    poses = "given"
    spreads = True
    Settings = Classification3DSettings

    def reconstruct(
        self,
        particles: Particles,
        *,
        queries: np.ndarray,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        workers: Workers | None = None,
    ) -> Reconstruction:
        """Posteriors (n, k) of the classes and, for each query particle, the volume of its most probable class.

        The posteriors stand for the latent. ``checkpoint`` gets the state and a log after every iteration.
        ``model`` holds volumes (k, z, y, x), populations (k,), the noise power per shell, the half-set FSC (k, s) of
        the classes, their resolutions (k,) in Å and the half-set (n,) of each particle.

        Raises
        ------
        ValueError
            If poses are withheld, there are fewer particles than classes, all particles are the same image, a
            resolution lies beyond what the images hold, or so many classes do not fit into memory.
        FormatError
            If ``checkpoint`` holds the state of another call.
        """
        settings = self.settings
        if not isinstance(settings, Classification3DSettings):
            raise TypeError(f"{self.name} takes Classification3DSettings, got {type(settings).__name__}.")
        run = _Run(particles, settings, seed, device, progress or Silent(), workers)
        state = run.go(checkpoint)
        halves = run.compare_halves(state)
        volumes = state.model.volumes.cpu().numpy()
        classes = state.members.posteriors.argmax(axis=1)
        return Reconstruction(
            queries,
            IndexedVolumes(volumes, classes[queries]),
            posteriors=state.members.posteriors,
            model={
                "volumes": volumes,
                "populations": state.model.populations,
                "noise": state.model.noise,
                "half_set_fsc": halves.fsc,
                "resolutions": halves.resolutions,
                "half_sets": halves.half_sets,
                **({"scales": state.members.scales} if settings.fit_scale else {}),
            },
            record={
                "method": self.name,
                "settings": settings.model_dump(mode="json"),
                "seed": seed,
                "status": "finished",
                "objective": state.log[-1]["objective"],
                "objective_definition": OBJECTIVE,
                "iterations": state.done,
                "converged": state.converged,
                "log": state.log,
                "notes": [*run.notes, *halves.notes],
            },
        )

    def decode(self, model: Path, latents: np.ndarray, *, particles: Particles | None = None) -> Iterator[np.ndarray]:
        """Volume (z, y, x) of the most probable class for each row of class probabilities (m, k)."""
        volumes = map_npy(Path(model) / "volumes.npy")
        if latents.ndim != 2 or latents.shape[1] != len(volumes):
            raise ValueError(
                f"this run has {len(volumes)} classes: give rows of {len(volumes)} class probabilities, "
                f"got an array of shape {latents.shape}."
            )
        for row in latents:
            yield np.array(volumes[int(np.argmax(row))], dtype=np.float32)


def classify(
    particles: Particles,
    settings: Classification3DSettings,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    initial_labels: np.ndarray | None = None,
    workers: Workers | None = None,
) -> Progression:
    """Run the classification from its own initialisation or, to study the optimisation, from given labels (n,).

    Errors as ``Classification3D.reconstruct``.
    """
    run = _Run(particles, settings, seed, device, progress or Silent(), workers)
    return run.go(checkpoint, initial_labels)


class _Run:
    """One classification: what stays the same through its iterations."""

    def __init__(
        self,
        particles: Particles,
        settings: Classification3DSettings,
        seed: int,
        device: str,
        progress: Progress,
        workers: Workers | None,
    ) -> None:
        n, n_classes = len(particles), settings.n_classes
        require_poses(particles, "3d-class")
        if n_classes > n:
            raise ValueError(
                f"{n_classes} classes were asked for but there are only {n} particles: set n_classes lower."
            )
        self.settings, self.seed, self.device, self.progress = settings, seed, device, progress
        self.radii, self.batches = plan_radii(particles, settings), plan_batches(n, settings)
        self.mask, self.notes = choose_mask(particles, settings, device)
        self.length = particles.box_size * particles.pixel_size
        kept = check_memory(particles.box_size, settings, online=min(self.batches) < n)
        self.passes = Passes(
            particles,
            (particles.box_size - 1) // 2,
            method="3d-class",
            device=device,
            memory_bytes=kept,
            workers=workers,
            progress=progress,
        )
        self.half_sets = split_halves(n, seed)
        self.everyone = np.ones(n, dtype=bool)
        self.call = {
            "settings": settings.model_dump(mode="json"),
            "seed": seed,
            "n": n,
            "box_size": particles.box_size,
            "power": [float(f"{value:.5g}") for value in self.passes.mean_power[:3]],
        }

    def go(self, checkpoint: Path | None, initial_labels: np.ndarray | None = None) -> Progression:
        """All iterations, or those that a checkpoint left to do."""
        kept = Checkpoint(checkpoint, self.call)
        state = find_progression(kept, self.device)
        if state is None:
            state = self._start(initial_labels)
        with self.progress.task("classes", total=len(self.radii)) as task:
            task.advance(state.done)
            while state.done < len(self.radii):
                before = state
                if not state.tried and (state.converged or self._gains_less(state.log[-2:], _STILL)):
                    state = self._rearrange(state)
                elif state.converged:
                    break
                else:
                    state = self._step(state)
                if checkpoint is not None:
                    keep_progression(state, kept)
                task.advance(
                    state.done - before.done, **{key: state.log[-1][key] for key in ("log-likelihood", "changed")}
                )
        return state

    def compare_halves(self, state: Progression) -> Halves:
        """Volumes of two half-sets with the final posteriors, and how far they agree."""
        settings, options = self.settings, self._options(self.passes.disc.radius)
        return compare_halves(
            self.passes, state, self.half_sets, options, settings.tau2_fudge, self.mask, self.length
        )

    def _start(self, initial_labels: np.ndarray | None) -> Progression:
        settings, n = self.settings, len(self.passes)
        if initial_labels is not None:
            labels = _check_labels(initial_labels, n, settings.n_classes)
        elif settings.n_classes == 1 or settings.initialisation == "random":
            labels = assign_at_random(n, settings.n_classes, self.seed)
        elif settings.initialisation == "pca":
            labels = cluster(self.coordinates, settings.n_classes, self.seed)
        else:
            labels = assign_by_subsets(
                self.passes, settings.n_classes, settings.n_components, self.radii[0], self.seed
            )
        posteriors = np.eye(settings.n_classes, dtype=np.float32)[labels]
        members = Memberships.from_posteriors(posteriors, np.ones(n, dtype=np.float32))
        model, sums = self._estimate(members, self.passes.mean_power.copy(), self._reach(0))
        return Progression(model, members, sums if self._is_online(0) else None)

    def _step(self, state: Progression) -> Progression:
        """One iteration, with reseeding of empty classes while the radius still grows."""
        settings, iteration, n = self.settings, state.done, len(self.passes)
        radius, size = self.radii[iteration], self.batches[iteration]
        is_final = radius == self.radii[-1] and size == n
        chosen = self.everyone if size == n else draw_batch(n, iteration, size, self.seed)
        reach = self._reach(iteration + 1)
        found = compare(self.passes, state.model, state.members, self._options(reach), radius, chosen)
        posteriors = np.where(chosen[:, None], found.posteriors, state.members.posteriors)
        former = state.members.posteriors
        changed = float((posteriors.argmax(axis=1) != former.argmax(axis=1))[chosen].mean())
        members = Memberships.from_posteriors(posteriors, found.scales / np.float32(found.scales.mean()))
        sums: SliceAccumulator = found.sums
        if size < n and state.sums is not None:
            rate, gain = settings.learning_rate, settings.learning_rate * n / size
            for old, new in zip(state.sums.sums, sums.sums, strict=True):
                old.mul_(1 - rate).add_(new, alpha=gain)
            sums = state.sums
            held = (1 - rate) * state.members.held + gain * found.posteriors
            members = replace(members, held=held.astype(np.float32))
        model = self._solve(sums, members.held, found.noise)
        empty = self._find_empty(model)
        reseeded = 0
        left = settings.n_classes - sum(former["reseeded"] for former in state.log)
        if len(empty) and left > 0 and not is_final:
            split, reseeded = split_into_empty(posteriors, empty[:left], self.coordinates)
            if reseeded:
                members = Memberships.from_posteriors(split, members.scales)
                model, sums = self._estimate(members, model.noise, reach)
        entry = {
            "iteration": iteration + 1,
            "radius": radius,
            "particles": size,
            "objective": found.objective * n / size,
            "log-likelihood": round(found.objective * n / size, 1),
            "changed": round(changed, 5),
            "reseeded": reseeded,
            "populations": [round(float(value), 5) for value in model.populations],
        }
        log = [*state.log, entry]
        # Particles at the border of two classes may change sides for ever.
        still = settings.convergence > 0 and self._gains_less(log[-2:], _GAIN) and self._gains_less(log[-3:-1], _GAIN)
        converged = is_final and (changed < settings.convergence or still)
        kept = sums if self._is_online(iteration + 1) else None
        return Progression(model, members, kept, iteration + 1, converged, state.tried, log)

    def _gains_less(self, entries: list[dict[str, Any]], gain: float) -> bool:
        """Whether the objective changed by less than a fraction between two entries of the log, both at the end."""
        at_end = [entry["radius"] == self.radii[-1] and entry["particles"] == len(self.passes) for entry in entries]
        if at_end != [True, True]:
            return False
        former, last = (entry["objective"] for entry in entries)
        return abs(last - former) < gain * abs(last)

    def _rearrange(self, state: Progression) -> Progression:
        """The state after moving classes and a few iterations more if that is better, else the same, marked as tried.

        An interrupted trial starts anew.
        """
        tried = replace(state, tried=True)
        if state.done + _TRIAL > len(self.radii):
            return tried
        posteriors = state.members.posteriors
        if len(empty := self._find_empty(state.model)):
            moved, count = split_into_empty(posteriors, empty[:1], self.coordinates)
        else:
            moved, count = merge_and_split(posteriors, self.coordinates)
        if not count:
            return tried
        members = Memberships.from_posteriors(moved, state.members.scales)
        model, _ = self._estimate(members, state.model.noise, self.passes.disc.radius)
        trial = Progression(model, members, done=state.done, log=[*state.log[:-1], {**state.log[-1], "moved": count}])
        for _ in range(_TRIAL):
            trial = self._step(trial)
        best = float(state.log[-1]["objective"])
        return trial if trial.log[-1]["objective"] > best + _GAIN * abs(best) else tried

    def _find_empty(self, model: Model) -> np.ndarray:
        """Classes with next to no particles."""
        return np.flatnonzero(model.populations < self.settings.smallest_class / self.settings.n_classes)

    @cached_property
    def coordinates(self) -> np.ndarray:
        """(n, d) of the particles along their principal volumes at low resolution."""
        d = min(self.settings.n_components, len(self.passes) - 1)
        return principal_coordinates(self.passes, d, self.radii[0], self.seed, progress=self.progress)

    def _is_online(self, iteration: int) -> bool:
        return iteration < len(self.batches) and self.batches[iteration] < len(self.passes)

    def _reach(self, iteration: int) -> int:
        """Radius of the volumes that an iteration is given: a little further than they are compared, and in the end,
        and for sums that mini-batches go on to add to, as far as possible."""
        last = self.passes.disc.radius
        online = min(self.batches) < len(self.passes)
        if online or iteration >= len(self.radii) or self.radii[iteration] == self.radii[-1]:
            return last
        return min(self.radii[iteration] + 1, last)

    def _options(self, reach: int) -> Options:
        settings = self.settings
        return Options(reach, settings.posterior_threshold, settings.hard_classification, settings.fit_scale)

    def _estimate(self, members: Memberships, noise: np.ndarray, reach: int) -> tuple[Model, SliceAccumulator]:
        """Model, and its sums, of all particles as they are divided."""
        sums = add_up(self.passes, members.posteriors, members.scales, noise, self._options(reach), self.everyone)
        return self._solve(sums, members.held, noise), sums

    def _solve(self, sums: SliceAccumulator, held: np.ndarray, noise: np.ndarray) -> Model:
        mask = cut_mask(self.mask, sums.box_size)
        volumes, leverage = solve_volumes(sums, self.settings.tau2_fudge, mask)
        populations = held.sum(axis=0, dtype=np.float64)
        return Model(volumes, populations / populations.sum(), noise, leverage)


def _check_labels(labels: np.ndarray, n: int, n_classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (n,) or labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"initial labels must be {n} integers from 0 to {n_classes - 1}, got shape {labels.shape}.")
    return labels.astype(np.int64)
