"""``3d-class-ab-initio``: the method, its last pass over all images, and notes on the result."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from cryobench.data import ClassVolumes, Convergence, HalfSetFsc, Particles, Reconstruction
from cryobench.methods.classification_ab_initio.ascent import Ascent, Given
from cryobench.methods.classification_ab_initio.expectation import Model, Question, expect
from cryobench.methods.classification_ab_initio.settings import ClassificationAbInitioSettings
from cryobench.methods.classification_ab_initio.splits import find_missed, judge_classes
from cryobench.methods.method import Method, Preset
from cryobench.reconstruction.engine import Checkpoint, Passes, RunContext, iterate
from cryobench.reconstruction.poses import judge_shifts, judge_views
from cryobench.reconstruction.statistics import (
    compare_halves,
    find_resolution,
    solve_volumes,
    split_halves,
    sum_classes,
)
from cryobench.rotations import point_group

_AT_ONCE = 1024
"""Images per part of the last pass; finished parts are kept in the checkpoint."""


@dataclass(frozen=True)
class _Outcome:
    """Poses and classes after the last pass from one start."""

    posteriors: np.ndarray
    """(n, k)."""
    rotations: np.ndarray
    """(n, 3, 3)."""
    shifts: np.ndarray
    """(n, 2) px."""
    noise: np.ndarray
    """(radius + 1,)."""
    likelihood: float
    """Mean over images, for the final volumes."""
    missed: np.ndarray
    """(k,) nats by which the images of each class miss it."""


class ClassificationAbInitio(Method[ClassificationAbInitioSettings]):
    """K volumes and all poses from random starts by stochastic ascent (cryoSPARC's ab initio reconstruction)."""

    name = "3d-class-ab-initio"
    poses = "estimated"
    uses_mask = False  # volumes are kept within a sphere
    permutes = False
    Settings = ClassificationAbInitioSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset("CryoBench, arXiv:2408.05526: cryoSPARC's ab initio job, 20 classes, defaults."),
        "laptop": Preset(
            "4 classes in a box of at most 64 px, and a sixth of the visits: 120 iterations instead of 200 before the"
            " radius grows, from 60 Å instead of 35 Å, by 0.2 instead of 0.04, batches of 200 instead of 300, 50"
            " final iterations instead of 300. Noise averaged over 1,500 images, not 5,000; dispensable classes are"
            " replaced by splits.",
            {
                "n_classes": 4,
                "box": 64,
                "initial_resolution": 60.0,
                "initial_iterations": 120,
                "radius_step": 0.2,
                "final_iterations": 50,
                "final_batch": 200,
                "batch_change": 120,
                "similar_until": 60,
                "noise_memory": 1500,
                "split_every": 10,
            },
        ),
    }
    small: ClassVar[Mapping[str, Any]] = {
        "n_classes": 2,
        "initial_resolution": 24.0,
        "initial_iterations": 6,
        "radius_step": 2.0,
        "final_iterations": 1,
        "initial_batch": 60,
        "final_batch": 60,
        "step_change": 4,
        "noise_memory": 200,
        "shift_range": 8.0,
        "healpix_nside": 1,
        "n_refinements": 1,
    }

    given: Given | None = None
    """Volumes to start from instead of random ones."""

    def start_from(self, volumes: Float[np.ndarray, "k z y x"], n_iterations: int) -> "ClassificationAbInitio":
        """The method started from given volumes, see ``Method``: classes are neither mixed nor split."""
        changes = {"n_classes": len(volumes), "n_starts": 1, "class_similarity": 0.0, "split_every": 0}
        started = type(self)(self.settings.model_copy(update=changes))
        started.given = Given(np.asarray(volumes), n_iterations)
        return started

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Class responsibilities (n, k), poses of the particles in the frame of their class, class volumes.

        Raises
        ------
        ValueError, MemoryShortage
            As ``Ascent``; also if there is only one particle.
        """
        half_sets = split_halves(len(particles), context.seed)
        call = {"method": self.name, **self.settings.model_dump(mode="json")}
        if self.given is not None:
            digest = sha256(np.ascontiguousarray(self.given.volumes).tobytes()).hexdigest()
            call |= {"given": digest, "n_iterations": self.given.n_iterations}
        kept = context.open_checkpoint(particles, call)
        best: tuple[_Outcome, Convergence, Ascent] | None = None
        likelihoods = []
        for start in range(self.settings.n_starts):
            ascent = Ascent(particles, self.settings, context, start, self.given)
            outcome, convergence = self._run_start(ascent, kept, context, start)
            del ascent.passes  # frees its images for those of the next start, or of the back-projection
            likelihoods.append(outcome.likelihood)
            if best is None or outcome.likelihood > best[0].likelihood:
                best = outcome, convergence, ascent
        assert best is not None
        return self._conclude(particles, queries, half_sets, context, *best, likelihoods)

    def _run_start(
        self, ascent: Ascent, kept: Checkpoint, context: RunContext, start: int
    ) -> tuple[_Outcome, Convergence]:
        """The ascent from one random start, and the pass over all images at its end."""
        state, convergence = iterate(ascent, kept, context.progress, name=f"start-{start}")

        n, radius = len(ascent.passes), ascent.looks[-1].radius
        question = Question(ascent.plan(radius), threshold=self.settings.posterior_threshold)
        parts = -(-n // _AT_ONCE)

        def look_at(part: int) -> dict[str, np.ndarray]:
            # Every n-th image, so that all workers have some.
            chosen = np.arange(n) % parts == part
            model = Model(state.volumes, state.noise)
            sums, rows = ascent.passes.run(expect, model, question, own=(chosen,))
            own = {name: values[chosen] for name, values in rows.items()}
            return {**own, "likelihood": np.array(sums["likelihood"]), "missed": sums["missed"]}

        found: list[dict[str, np.ndarray]] = []
        with context.progress.task("poses of all particles", total=n) as task:
            for part in range(parts):
                found.append(kept.take(f"poses-{start}-{part}", partial(look_at, part)))
                task.advance(len(found[-1]["shifts"]))
        order = np.argsort(np.concatenate([np.arange(part, n, parts) for part in range(parts)]))
        rows = {
            name: np.concatenate([each[name] for each in found])[order]
            for name in ("posteriors", "rotations", "shifts")
        }
        likelihood = sum(float(each["likelihood"]) for each in found) / n
        members = rows["posteriors"].sum(0, dtype=np.float64)
        missed = find_missed(np.sum([each["missed"] for each in found], axis=0), members)
        return _Outcome(**rows, noise=state.noise, likelihood=likelihood, missed=missed), convergence

    def _conclude(
        self,
        particles: Particles,
        queries: Int[np.ndarray, "q"],
        half_sets: Int[np.ndarray, "n"],
        context: RunContext,
        outcome: _Outcome,
        convergence: Convergence,
        ascent: Ascent,
        likelihoods: list[float],
    ) -> Reconstruction:
        """Volumes by back-projection with the estimated poses, and notes for the user."""
        shifts = outcome.shifts * particles.pixel_size
        posed = replace(particles, rotations=outcome.rotations.astype(np.float64), shifts=shifts, mask=None)
        keep = context.compute.memory / 2
        passes = Passes(posed, context.compute, radius=ascent.disc.radius, keep_bytes=keep, progress=context.progress)
        classes = outcome.posteriors.argmax(1)
        members = np.eye(self.settings.n_classes, dtype=np.float32)[classes]
        noise = outcome.noise.copy()
        noise[0] = passes.mean_power[0]
        solve = partial(solve_volumes, mask=ascent.sphere)
        symmetry = self.settings.symmetry
        volumes = solve(sum_classes(passes, members, noise, symmetry=symmetry))[0].cpu().numpy()
        fsc, notes = compare_halves(passes, members, noise, half_sets, solve, symmetry=symmetry)
        populations = outcome.posteriors.mean(0)
        length = particles.box_size * particles.pixel_size
        resolutions = np.array([find_resolution(curve, length) for curve in fsc])
        plan = ascent.plan(ascent.looks[-1].radius)
        group = point_group(symmetry)
        views = (outcome.rotations[:, None] @ group).reshape(-1, 3, 3)
        notes = [
            *ascent.notes,
            *notes,
            *judge_shifts(outcome.shifts, plan.shifts, particles.pixel_size),
            *judge_views(views, np.repeat(classes, len(group)), ascent.looks[-1].radius),
            *judge_classes(outcome.missed),
        ]
        if self.settings.n_classes > 1:
            notes.append(
                "Each class has its own frame and hand: poses and volumes of different classes are not "
                "comparable until they are aligned."
            )
        if len(likelihoods) > 1:
            listed = ", ".join(f"{value:.2f}" for value in likelihoods)
            notes.append(f"The most likely of {len(likelihoods)} random starts was kept: {listed} per image.")
        return Reconstruction(
            queries,
            posteriors=outcome.posteriors,
            rotations=outcome.rotations,
            shifts=shifts,
            model={"volumes": volumes, "noise": outcome.noise, "half_sets": half_sets},
            decodes_by="classes",
            findings=(
                ClassVolumes(volumes, populations, resolutions, own_frames=self.settings.n_classes > 1),
                HalfSetFsc(fsc, "class"),
                convergence,
            ),
            notes=tuple(notes),
        )
