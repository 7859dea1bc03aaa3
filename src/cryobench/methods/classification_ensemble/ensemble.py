"""``3d-class-ensemble``: the method, from jobs through their merging to the last refinement."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from cryobench.compute.memory import reserve
from cryobench.data import CoAssignment, Convergence, Particles, Reconstruction
from cryobench.methods.classification_ensemble.hierarchy import tree_bytes
from cryobench.methods.classification_ensemble.jobs import (
    Finished,
    count_visits,
    label_levels,
    plan_base,
    run_trees,
)
from cryobench.methods.classification_ensemble.merge import Merged, merge_jobs
from cryobench.methods.classification_ensemble.settings import ClassificationEnsembleSettings
from cryobench.methods.classification_ensemble.starts import make_starts
from cryobench.methods.method import Method, Preset
from cryobench.methods.registry import get_method
from cryobench.reconstruction.engine import RunContext

_NAMED = 3
"""Failures of which the reason is given."""
_LAST = 20
"""Last log entries over which a likelihood is averaged."""


class ClassificationEnsemble(Method[ClassificationEnsembleSettings]):
    """Many small ab initio classifications merged by co-assignment, then one refinement (job ensembles)."""

    name = "3d-class-ensemble"
    poses = "estimated"
    uses_mask = False  # volumes are kept within a sphere
    permutes = False
    compared_on = 240
    Settings = ClassificationEnsembleSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset(
            "Job ensembles for Tomotwin-100 (Kaz et al.): some 250 jobs of 4, 8 and 16 classes at their defaults, "
            "trees of depth 2."
        ),
        "laptop": Preset(
            "12 jobs of 4 classes at the laptop preset of the base method, in a box of at most 64 px, not divided "
            "further; 50 iterations of refinement.",
            {
                "box": 64,
                "base_preset": "laptop",
                "n_trees": 12,
                "n_classes": (4,),
                "depth": 1,
                "refinement_iterations": 50,
            },
        ),
    }
    small: ClassVar[Mapping[str, Any]] = {
        "n_trees": 2,
        "n_classes": (2,),
        "depth": 1,
        "n_species": 2,
        "refinement_iterations": 1,
        "job_settings": {
            "initial_resolution": 24.0,
            "initial_iterations": 3,
            "radius_step": 2.0,
            "final_iterations": 1,
            "initial_batch": 60,
            "final_batch": 60,
            "step_change": 2,
            "noise_memory": 200,
            "shift_range": 8.0,
            "healpix_nside": 1,
            "n_refinements": 1,
        },
    }

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Responsibilities (n, k) of the species, poses in the frame of each, and their volumes.

        Raises
        ------
        ValueError
            If the base method does not suit, a tree has fewer particles than classes, all jobs fail, or the jobs give
            fewer groups than ``n_species``.
        MemoryShortage
            If a job, the tree of co-assignments, or the refinement does not fit.
        """
        settings = self.settings
        reserve(
            context.compute.memory_per_worker,
            tree_bytes,
            min(len(particles), settings.linkage_particles),
            items="particles in the tree of co-assignments",
            setting="linkage_particles",
            n_workers=context.compute.n_workers,
        )
        kept = context.open_checkpoint(particles, {"method": self.name, **settings.model_dump(mode="json")})
        finished = run_trees(settings, particles, kept, context)
        labels, trees = label_levels(finished, len(particles), settings.depth)
        merged = merge_jobs(labels, trees, settings.merging(), context.seed)

        method = self._base(particles, merged.n_species)
        species = merged.species, merged.n_species
        symmetry = getattr(method.settings, "symmetry", "C1")
        starts = kept.take(
            "starts", lambda: {"volumes": make_starts(particles, finished, *species, context, symmetry)}
        )
        refining = method.start_from(starts["volumes"], settings.refinement_iterations)
        found = refining.reconstruct(particles, queries, context.with_checkpoint("refinement"))
        visits = finished.visits + count_visits(found, len(particles))
        notes = [
            *describe_merging(merged, len(labels), len(set(trees.tolist())), settings),
            *describe_failures(finished),
            f"{len(finished.jobs)} jobs and the refinement made {visits:,} visits of images, "
            f"{visits / len(particles):.0f} of each.",
            *describe_moves(found, merged),
            *self._compare(particles, found, finished, visits, context),
            *found.notes,
        ]
        blocks = merged.blocks
        shown = CoAssignment(
            blocks.shares,
            blocks.populations,
            blocks.merges,
            blocks.species,
            merged.populations,
            merged.intervals,
            merged.numbers,
        )
        return replace(
            found,
            model={
                **found.model,
                "merged_species": merged.species.astype(np.int32),
                "visits": np.array([visits, float(np.mean(finished.root_visits))]),
            },
            findings=(shown, *found.findings),
            notes=tuple(notes),
            record=type(found.record)(method=self.name, settings=settings.model_dump(mode="json")),
        )

    def _base(self, particles: Particles, n_classes: int, **changes: Any) -> Method:
        chosen = {**plan_base(self.settings, particles), "n_classes": n_classes, **changes}
        return get_method(self.settings.base).with_settings(chosen)

    def _compare(
        self, particles: Particles, found: Reconstruction, finished: Finished, visits: int, context: RunContext
    ) -> list[str]:
        """A sentence on one-shot classification at as many visits, if it is requested."""
        from sklearn.metrics import adjusted_rand_score

        if not self.settings.one_shot:
            return []
        assert found.posteriors is not None
        n_classes = found.posteriors.shape[1]
        n_starts = max(1, round(visits / float(np.mean(finished.root_visits))))
        method = self._base(particles, n_classes, n_starts=n_starts)
        other = method.reconstruct(particles, np.zeros(1, dtype=int), context.with_checkpoint("one-shot"))
        assert other.posteriors is not None
        agreement = adjusted_rand_score(found.posteriors.argmax(1), other.posteriors.argmax(1))
        likelihoods = [_mean_likelihood(each) for each in (found, other)]
        return [
            f"One-shot classification into {n_classes} classes, the best of {n_starts} random starts, which is as "
            f"many visits of images: log-likelihood per image {likelihoods[1]:.2f}, where the ensemble has "
            f"{likelihoods[0]:.2f}; adjusted Rand index between the two {agreement:.2f}."
        ]


def _mean_likelihood(found: Reconstruction) -> float:
    """Mean objective of the last batches."""
    convergence = found.find(Convergence)
    values = [] if convergence is None else [entry["objective"] for entry in convergence.log if "objective" in entry]
    return float(np.mean(values[-_LAST:])) if values else float("nan")


def describe_merging(
    merged: Merged, n_labellings: int, n_trees: int, settings: ClassificationEnsembleSettings
) -> list[str]:
    """Sentences on the number of species and their populations."""
    source = f"{n_labellings} labellings of {n_trees} trees of jobs"
    if not len(merged.numbers):
        notes = [f"{merged.n_species} species, as requested, from {source}."]
    else:
        low, high = np.percentile(merged.numbers, [5, 95])
        notes = [
            f"{merged.n_species} species, [{low:.0f}, {high:.0f}] by random halves of the jobs, from {source}. "
            "Species that the jobs never separate count as one."
        ]
        median = int(np.median(merged.numbers))
        if median == 1:
            notes = [
                f"One block: half of the jobs predicts nothing of the classes of the other half ({source}). Either "
                "the particles are of one species, or the jobs failed to separate them: compare the jobs' settings."
            ]
        elif merged.n_species < median:
            notes.append(
                f"Halves of the jobs find {median}, but the tree has only {merged.n_species} groups of the least "
                f"population of {settings.least_population:g}."
            )
    if merged.n_species > 1:
        listed = ", ".join(
            f"{population:.3f}" + (f" [{low:.3f}, {high:.3f}]" if np.isfinite(low) else "")
            for population, (low, high) in zip(merged.populations, merged.intervals, strict=True)
        )
        notes.append(f"Populations by the votes of the jobs, with intervals by halves of them: {listed}.")
    return notes


def describe_moves(found: Reconstruction, merged: Merged) -> list[str]:
    """A sentence on particles that the refinement assigned to another species than the jobs had."""
    assert found.posteriors is not None
    moved = float((found.posteriors.argmax(1) != merged.species).mean())
    empty = merged.n_species - len(np.unique(found.posteriors.argmax(1)))
    if merged.n_species == 1:
        return []
    said = f"The refinement assigned {moved:.1%} of the particles to another species than the jobs' votes"
    return [said + (f", and {empty} species are empty." if empty else ".")]


def describe_failures(finished: Finished) -> Sequence[str]:
    """A sentence on jobs that failed."""
    if not finished.failures:
        return []
    total = len(finished.failures) + len(finished.jobs)
    listed = "; ".join(f"{name}: {reason}" for name, reason in list(finished.failures.items())[:_NAMED])
    return [f"{len(finished.failures)} of {total} jobs failed, and the others were used. {listed}"]
