"""Findings of runs as tables in long form: one row per component, class, shell, iteration or point of a path.

All have the columns slug and run. Runs without such findings have no rows.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd

from cryobench import data
from cryobench.report.scored_runs.tables import Run

Rows = Iterable[tuple[Any, ...]]


def _tabulated(
    kind: type[data.Finding], *columns: str
) -> Callable[[Callable[..., Rows]], Callable[..., pd.DataFrame]]:
    """Make a table of all runs from a function that yields the rows of one finding, from this and its run."""

    def decorate(rows_of: Callable[..., Rows]) -> Callable[..., pd.DataFrame]:
        @wraps(rows_of)
        def tabulate(runs: Sequence[Run], *options: Any) -> pd.DataFrame:
            found = [(run, each) for run in runs for each in run.findings(kind)]
            rows = [(run.slug, run.label, *row) for run, each in found for row in rows_of(each, run, *options)]
            return pd.DataFrame(rows, columns=["slug", "run", *columns])

        return tabulate

    return decorate


@_tabulated(data.Components, "component", "variance")
def tabulate_variances(found: data.Components, run: Run) -> Rows:
    """Variance of the latents along each component, counted from 1: columns component, variance."""
    return enumerate(found.variances.astype(float).tolist(), start=1)


@_tabulated(data.HalfSetFsc, "class", "shell", "frequency", "fsc", "control")
def tabulate_half_sets(found: data.HalfSetFsc, run: Run, dataset: data.Dataset) -> Rows:
    """Half-set FSC: columns class (−1 where there is one curve for all), shell, frequency in 1/Å, fsc, control.

    ``control`` is the FSC of the same volume without the method's own contribution (such as motion), NaN where there
    is none. Curves of query particles are left out: they belong to no volume or class that a run found.
    """
    if found.of == "query":
        return
    length = dataset.particles.box_size * dataset.particles.pixel_size
    controls = np.full_like(found.curves, np.nan) if found.control is None else found.control
    for number, pair in enumerate(zip(np.atleast_2d(found.curves), np.atleast_2d(controls), strict=True)):
        name = -1 if found.of == "volume" else number
        for shell, values in enumerate(np.stack(pair, axis=1).astype(float).tolist()):
            yield name, shell, shell / length, *values


@_tabulated(data.Motion, "axis", "step", "latent", "moved", "farthest")
def tabulate_motion(found: data.Motion, run: Run) -> Rows:
    """Motion: columns axis (from 1), step, latent along it, moved and farthest (Å, relative to the first step).

    ``moved`` is the root mean square displacement over the density, ``farthest`` the largest displacement.
    """
    fractions = np.asarray(found.masses, dtype=np.float64) / max(float(np.sum(found.masses)), 1e-30)
    for axis, (latents, steps) in enumerate(zip(found.latents, found.displacements, strict=True)):
        along = min(axis, latents.shape[1] - 1)
        for step, displacements in enumerate(steps):
            squared = np.square(displacements - steps[0]).sum(axis=-1, dtype=np.float64)
            moved, farthest = float(np.sqrt(squared @ fractions)), float(np.sqrt(squared.max()))
            yield axis + 1, step, float(latents[step, along]), moved, farthest


@_tabulated(data.ClassVolumes, "class", "population", "resolution")
def tabulate_classes(found: data.ClassVolumes, run: Run) -> Rows:
    """Classes: columns class, population (fraction of the particles), resolution in Å; NaN where it is not known.

    A class without particles has no resolution, and a population of 0 however small its probabilities are.
    """
    posteriors = run.reconstruction.posteriors
    empty = found.find_empty(None if posteriors is None else len(posteriors))
    populations = np.where(empty, 0.0, found.populations.astype(np.float64))
    known = np.nan if found.resolutions is None else found.resolutions.astype(np.float64)
    resolutions = np.where(empty, np.nan, known)
    return zip(range(len(populations)), populations.tolist(), resolutions.tolist(), strict=True)


@_tabulated(data.CoAssignment, "species", "population", "low", "high")
def tabulate_species(found: data.CoAssignment, run: Run) -> Rows:
    """Species merged from classifications: columns species, population, low and high (NaN where not known)."""
    rows = np.column_stack([found.populations, found.intervals]).astype(np.float64).tolist()
    return [(number, *row) for number, row in enumerate(rows)]


@_tabulated(data.Convergence, "definition", "iteration", "objective")
def tabulate_progress(found: data.Convergence, run: Run) -> Rows:
    """Objective of each iteration that has one: columns definition, iteration, objective."""
    for entry in found.log:
        if all(_is_number(entry.get(name)) for name in ("iteration", "objective")):
            yield found.objective, int(entry["iteration"]), float(entry["objective"])


MOST_STRETCHES = 200
"""Windows into which the steps of a training are divided."""


@_tabulated(data.LossTerms, "definition", "term", "epoch", "value")
def tabulate_terms(found: data.LossTerms, run: Run) -> Rows:
    """Means of each term of the loss over windows of steps: columns definition, term, epoch, value.

    Epochs are at the ends of windows, negative before the first epoch. A term equal to the loss is left out.
    """
    if not len(found.values):
        return
    values = np.asarray(found.values, dtype=np.float64)
    ends = np.unique(np.linspace(0, len(values), min(len(values), MOST_STRETCHES) + 1).astype(int))[1:]
    means = np.add.reduceat(values, np.concatenate([[0], ends[:-1]])) / np.diff(ends, prepend=0)[:, None]
    lead, length = found.ends[0], found.ends[1] - found.ends[0]
    epochs = np.where(ends < lead, (ends - lead) / length, np.interp(ends, found.ends, np.arange(len(found.ends))))
    for number, name in enumerate(found.names):
        if number and np.array_equal(values[:, number], values[:, 0]):
            continue
        for epoch, value in zip(epochs.tolist(), means[:, number].tolist(), strict=True):
            yield found.definition, name, epoch, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


@_tabulated(data.LatentDensity, "first", "second", "density")
def tabulate_densities(found: data.LatentDensity, run: Run) -> Rows:
    """Density at each grid point: columns first, second (NaN for a density over one latent), density."""
    values, axes = flatten_density(found)
    grid = np.meshgrid(*axes, indexing="ij")
    second = grid[1] if len(axes) > 1 else np.full(values.shape, np.nan)
    return zip(grid[0].ravel().tolist(), second.ravel().tolist(), values.ravel().tolist(), strict=True)


def flatten_density(found: data.LatentDensity) -> tuple[np.ndarray, np.ndarray]:
    """Density over the first one or two latents, summed over the others, and its axes (1, g) or (2, g)."""
    axes = np.asarray(found.axes, dtype=np.float64)
    values = np.asarray(found.values, dtype=np.float64)
    for axis in reversed(range(2, values.ndim)):
        values = values.sum(axis=axis) * (axes[axis, 1] - axes[axis, 0])
    return values, axes[:2]


@_tabulated(data.LatentPath, "frame", "axis", "latent")
def tabulate_paths(found: data.LatentPath, run: Run) -> Rows:
    """Latents along the path through each latent space, frames counted from 1: columns frame, axis, latent."""
    for (frame, axis), value in np.ndenumerate(found.latents.astype(np.float64)):
        yield frame + 1, axis + 1, float(value)


def collect_notes(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Notes of the methods to the user, by slug, in the order of the runs."""
    notes = {run.slug: list(run.reconstruction.notes) for run in runs if run.status != "failed"}
    return {slug: said for slug, said in notes.items() if said}


def collect_stops(runs: Sequence[Run]) -> list[tuple[str, int, str]]:
    """Slug, number of iterations and reason for stopping of each ``Convergence``, in the order of the runs."""
    return [(run.slug, len(found.log), found.stopped) for run in runs for found in run.findings(data.Convergence)]
