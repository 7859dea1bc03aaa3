"""Trees of small classification jobs: planned, run one by one or on workers, kept as they finish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from cryobench._progress import Progress, Silent
from cryobench.compute import Compute, MemoryShortage
from cryobench.compute.compute import Precision
from cryobench.data import Convergence, Particles, Reconstruction
from cryobench.methods.classification_ensemble.labels import ABSENT
from cryobench.methods.classification_ensemble.settings import ClassificationEnsembleSettings
from cryobench.methods.method import Method
from cryobench.methods.registry import get_method
from cryobench.reconstruction.engine import Checkpoint, RunContext
from cryobench.rng import stream


@dataclass(frozen=True, eq=False)
class Job:
    """One classification of some particles."""

    name: str
    """Number of its tree, and of the class at each level: "3", "3.0"."""
    tree: int
    n_classes: int
    particles: np.ndarray
    """(m,) their indices, ascending."""


@dataclass(frozen=True, eq=False)
class Shared:
    """Everything that all jobs have in common; sent to workers once."""

    particles: Particles
    base: str
    settings: Mapping[str, Any]
    """Settings of the base method, without ``n_classes``."""
    seed: int
    device: str
    precision: Precision
    memory: int


@dataclass(eq=False)
class Finished:
    """Results of the jobs that succeeded, and the reasons of those that failed."""

    kept: Checkpoint
    jobs: list[Job] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    """Class (m,) of each particle of each job."""
    visits: int = 0
    """Images compared, each time that they were, by all jobs."""
    root_visits: list[int] = field(default_factory=list)
    """Those of the first job of each tree."""
    failures: dict[str, str] = field(default_factory=dict)
    """Reason by name of the job."""
    _poses: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def add(self, job: Job, result: Mapping[str, np.ndarray]) -> None:
        """Add the result of a job."""
        self.jobs.append(job)
        self.labels.append(result["labels"])
        self.visits += int(result["visits"])
        if "." not in job.name:
            self.root_visits.append(int(result["visits"]))
        if not self.kept.is_kept:
            self._poses[job.name] = result["rotations"], result["shifts"]

    def poses(self, index: int) -> tuple[Float[np.ndarray, "m 3 3"], Float[np.ndarray, "m 2"]]:
        """Rotations and shifts (Å) of the particles of a job."""
        name = self.jobs[index].name
        if name in self._poses:
            return self._poses[name]
        found = self.kept.find(f"job-{name}")
        assert found is not None
        return found[0]["rotations"], found[0]["shifts"]


def plan_base(settings: ClassificationEnsembleSettings, particles: Particles) -> dict[str, Any]:
    """Settings of the base method for all jobs, without the number of classes.

    ValueError or UnknownName if the method does not exist, does not suit, or lacks the preset or a setting.
    """
    kind = get_method(settings.base)
    if kind.poses != "estimated" or "n_classes" not in kind.Settings.model_fields:
        raise ValueError(
            f"base={settings.base} cannot be the method of the jobs: it must estimate poses, which are withheld, and "
            "have a setting n_classes, such as 3d-class-ab-initio."
        )
    if kind.start_from is Method.start_from:
        raise ValueError(f"base={settings.base} cannot start from given volumes, which the refinement needs.")
    if settings.one_shot and "n_starts" not in kind.Settings.model_fields:
        raise ValueError(f"one_shot needs a base method with a setting n_starts, which {settings.base} has not.")
    if settings.base_preset not in kind.presets:
        raise ValueError(
            f"{settings.base} has no preset {settings.base_preset!r}: set base_preset to one of "
            f"{', '.join(kind.presets)}."
        )
    for name in ("n_classes", "box"):
        if name in settings.job_settings:
            raise ValueError(
                f"{name} of the jobs is the setting {name} of the ensemble: leave it out of job_settings."
            )
    chosen = {**kind.presets[settings.base_preset].expand(particles, None), **settings.job_settings, "box": None}
    chosen.pop("n_classes", None)
    kind.with_settings(chosen)
    return chosen


def plan_roots(settings: ClassificationEnsembleSettings, n: int, seed: int) -> list[Job]:
    """First job of every tree.

    ValueError if there are fewer particles than classes, or one tree only and the number of species is to be found.
    """
    if settings.n_trees == 1 and settings.n_species is None:
        raise ValueError(
            "the number of species is found by comparing trees of jobs, and n_trees is 1: set it higher, or give "
            "n_species."
        )
    each = n if settings.job_particles is None else min(settings.job_particles, n)
    if max(settings.n_classes) > each:
        raise ValueError(
            f"{max(settings.n_classes)} classes were requested of jobs of {each} particles: set n_classes lower"
            + (", or job_particles higher." if each < n else ".")
        )
    jobs = []
    for tree in range(settings.n_trees):
        chosen = np.arange(n)
        if each < n:
            chosen = np.sort(stream(seed, "particles of the trees", tree).choice(n, each, replace=False))
        jobs.append(Job(str(tree), tree, settings.n_classes[tree % len(settings.n_classes)], chosen))
    return jobs


def plan_branches(settings: ClassificationEnsembleSettings, finished: Finished, level: int) -> list[Job]:
    """Jobs on the classes of the jobs of the level above (0 for the first)."""
    least = max(settings.branch_particles, settings.branch_classes)
    jobs = []
    for job, labels in zip(finished.jobs, finished.labels, strict=True):
        if job.name.count(".") != level:
            continue
        for number in range(job.n_classes):
            members = job.particles[labels == number]
            if len(members) >= least:
                jobs.append(Job(f"{job.name}.{number}", job.tree, settings.branch_classes, members))
    return jobs


def run_trees(
    settings: ClassificationEnsembleSettings, particles: Particles, kept: Checkpoint, context: RunContext
) -> Finished:
    """All jobs, level by level; those that the checkpoint has are not run again.

    Raises
    ------
    ValueError
        If all first jobs fail; the message is that of the first.
    MemoryShortage
        If a job does not fit in the memory of its process.
    """
    compute = context.compute
    shared = Shared(
        particles,
        settings.base,
        plan_base(settings, particles),
        context.seed,
        compute.device,
        compute.precision,
        int(compute.memory_per_worker),
    )
    finished = Finished(kept)
    jobs = plan_roots(settings, len(particles), context.seed)
    for level in range(settings.depth):
        _run_level(jobs, shared, finished, context)
        if not finished.jobs:
            first = next(iter(finished.failures.values()))
            raise ValueError(f"all {len(jobs)} jobs failed. The first: {first}")
        jobs = plan_branches(settings, finished, level)
        if not jobs:
            break
    return finished


def _run_level(jobs: Sequence[Job], shared: Shared, finished: Finished, context: RunContext) -> None:
    kept = finished.kept
    results: dict[str, Mapping[str, np.ndarray]] = {}
    missing = []
    for job in jobs:
        found = kept.find(f"job-{job.name}")
        if found is None:
            missing.append(job)
        elif "failure" in found[1]:
            finished.failures[job.name] = found[1]["failure"]
        else:
            results[job.name] = found[0]
    # Jobs of most classes take most memory and time: they come first.
    missing.sort(key=lambda job: -job.n_classes)
    workers = context.compute.workers
    with context.progress.task("jobs of the ensemble", total=len(jobs)) as task:
        if len(missing) < len(jobs):
            task.advance(len(jobs) - len(missing))
        if workers is None:
            outcomes = ((job, *run_job(shared, job, context.progress)[1:]) for job in missing)
        else:
            by_name = {job.name: job for job in missing}
            outcomes = (
                (by_name[name], result, failure)
                for name, result, failure in workers.map_unordered(run_job, shared, missing)
            )
        for job, result, failure in outcomes:
            if failure:
                kept.keep(f"job-{job.name}", {}, {"failure": failure})
                finished.failures[job.name] = failure
            else:
                kept.keep(f"job-{job.name}", result)
                results[job.name] = result
            task.advance()
    for job in jobs:
        if job.name in results:
            finished.add(job, results[job.name])


def run_job(shared: Shared, job: Job, progress: Progress | None = None) -> tuple[str, dict[str, np.ndarray], str]:
    """Name of a job; classes, poses and visits, or else the reason why it failed.

    MemoryShortage as its method, MemoryError, and OSError where images cannot be read at present.
    """
    try:
        method = get_method(shared.base).with_settings({**shared.settings, "n_classes": job.n_classes})
        seed = int(stream(shared.seed, f"seed of job {job.name}").integers(2**31))
        compute = Compute(shared.device, shared.precision, shared.memory)
        context = RunContext(seed, compute, progress or Silent())
        found = method.reconstruct(shared.particles.select(job.particles), np.zeros(1, dtype=int), context)
    except (MemoryShortage, MemoryError, OSError):  # of the machine: kept as a failure, it would be so for good
        raise
    except Exception as error:  # one of hundreds of jobs: noted, and the others are used
        return job.name, {}, f"{type(error).__name__}: {error}"
    if found.posteriors is None or found.rotations is None or found.shifts is None:
        return job.name, {}, f"{shared.base} gave no classes or no poses."
    result = {
        "labels": found.posteriors.argmax(1).astype(np.int32),
        "rotations": found.rotations.astype(np.float32),
        "shifts": found.shifts.astype(np.float32),
        "visits": np.array(count_visits(found, len(job.particles))),
    }
    return job.name, result, ""


def count_visits(found: Reconstruction, n: int) -> int:
    """Images compared by a run, each time that they were: those of its log, and all n once at the end."""
    convergence = found.find(Convergence)
    log = () if convergence is None else convergence.log
    return n + sum(int(entry.get("images", 0)) for entry in log)


def label_levels(finished: Finished, n: int, depth: int) -> tuple[Int[np.ndarray, "l n"], Int[np.ndarray, "l"]]:
    """Labels (l, n) of all particles by each level of each tree, and the trees (l,).

    A level divides the classes of the level above; those that were not classified again stay whole.
    """
    by_tree: dict[int, np.ndarray] = {}
    rows, trees = [], []
    for level in range(depth):
        changed: dict[int, list[tuple[Job, np.ndarray]]] = {}
        for job, labels in zip(finished.jobs, finished.labels, strict=True):
            if job.name.count(".") == level:
                changed.setdefault(job.tree, []).append((job, labels))
        for tree, jobs in changed.items():
            former = by_tree.get(tree, np.full(n, ABSENT))
            divided = former.copy()
            first = int(former.max()) + 1
            for job, labels in jobs:
                divided[job.particles] = first + labels
                first += job.n_classes
            by_tree[tree] = divided
            rows.append(divided)
            trees.append(tree)
    return np.stack(rows), np.array(trees)
