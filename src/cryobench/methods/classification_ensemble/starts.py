"""Volumes of the species from which the refinement starts.

Every class of every job has its own frame and hand, so a species is taken from the one class that shows it best: with
n_sc particles of species s in class c of n_c, that of largest n_sc² / n_c, the particles times their fraction in the
class. The species' particles in it are back-projected at the poses that the job gave them; all others of the class
are left out.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from cryobench.data import Particles
from cryobench.methods.classification_ensemble.jobs import Finished
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.statistics import disc_of, find_masks, solve_volumes, sum_classes


def choose_classes(finished: Finished, species: Int[np.ndarray, "n"], n_species: int) -> list[tuple[int, int]]:
    """Job (its index) and class that show each species best."""
    best = np.full(n_species, -1.0)
    chosen = [(0, 0)] * n_species
    for index, (job, labels) in enumerate(zip(finished.jobs, finished.labels, strict=True)):
        table = np.zeros((n_species, job.n_classes))
        np.add.at(table, (species[job.particles], labels), 1)
        shown = table**2 / np.maximum(table.sum(0), 1)
        for each in np.flatnonzero(shown.max(1) > best):
            best[each], chosen[each] = shown[each].max(), (index, int(shown[each].argmax()))
    return chosen


def make_starts(
    particles: Particles,
    finished: Finished,
    species: Int[np.ndarray, "n"],
    n_species: int,
    context: RunContext,
    symmetry: str = "C1",
) -> Float[np.ndarray, "k z y x"]:
    """Volumes of all species, each in the frame of the class that shows it best, of the point group of the jobs."""
    indices, rotations, shifts, numbers = [], [], [], []
    for number, (index, which) in enumerate(choose_classes(finished, species, n_species)):
        job, labels = finished.jobs[index], finished.labels[index]
        used = (labels == which) & (species[job.particles] == number)
        poses = finished.poses(index)
        indices.append(job.particles[used])
        rotations.append(poses[0][used])
        shifts.append(poses[1][used])
        numbers.append(np.full(used.sum(), number))
    posed = replace(
        particles.select(np.concatenate(indices)),
        rotations=np.concatenate(rotations).astype(np.float64),
        shifts=np.concatenate(shifts).astype(np.float64),
        mask=None,
    )
    disc = disc_of(particles.box_size)
    compute = context.compute
    passes = Passes(posed, compute, radius=disc.radius, keep_bytes=compute.memory / 2, progress=context.progress)
    members = np.eye(n_species, dtype=np.float32)[np.concatenate(numbers)]
    sphere = find_masks(particles)[0]
    sums = sum_classes(passes, members, passes.mean_power, symmetry=symmetry)
    return solve_volumes(sums, mask=sphere.to(compute.device))[0].cpu().numpy()
