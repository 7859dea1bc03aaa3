"""Charts of ensembles of classifications: co-assigned blocks, their tree, populations and the number of species."""

from collections.abc import Sequence

import numpy as np

from cryobench.data import CoAssignment
from cryobench.report.charts.kinds import Axis, DotChart, GridChart, LineChart, Picture, Series, TreeChart
from cryobench.report.runs.tables import Run

GROUP = "Ensembles of classifications"
_BLOCKS = (
    "Co-assignment of blocks of particles, in the order of the tree: 1 where the particles of two blocks are "
    "always in one class, 0 where they are as often as by chance. Names: species, and block within it. Blocks "
    "of one species should be bright together and dark elsewhere; values between mean that jobs disagree, or "
    "that few separate the two species."
)
_TREE = (
    "Average-linkage tree of the blocks. Height: 1 − mean co-assignment, so blocks that are joined at 1 are in "
    "one class as often as by chance. Species are clear where branches are low and joined high."
)
_NUMBERS = (
    "Number of species found by random halves of the jobs and confirmed by the other half, as a fraction of the "
    "halves. A wide distribution means that the jobs are too few, or too poor, to determine it. Species that no "
    "job separates count as one."
)
_POPULATIONS = (
    "Populations of the species by the votes of all jobs; bars: 5th to 95th percentile by the votes of random "
    "halves of the jobs. They say how well the jobs agree, not whether they are right."
)


def draw_ensembles(runs: Sequence[Run]) -> list[Picture]:
    """Blocks, tree and populations of each run that has them, and the numbers of species of all."""
    found = [(run, each) for run in runs if (each := run.find(CoAssignment)) is not None]
    pictures = []
    for run, each in found:
        names = name_blocks(each.species)
        if len(names) > 1:
            shares = np.clip(np.asarray(each.shares, dtype=np.float64), 0, 1)
            grid = GridChart(Axis("block"), Axis("block"), names, names, shares, title="co-assignment")
            words = f"{run.label}: co-assignment of blocks of particles."
            pictures.append(Picture(f"co-assignment-{run.slug}", "findings", GROUP, grid, words, run.slug, _BLOCKS))
            tree = TreeChart(Axis("block"), Axis("height / 1 − co-assignment", 0), names, np.asarray(each.merges))
            words = f"{run.label}: tree of the blocks."
            pictures.append(Picture(f"tree-{run.slug}", "findings", GROUP, tree, words, run.slug, _TREE))
        if len(each.populations) > 1:
            pictures.append(_draw_populations(run, each))
    series = [Series(run.slug, *count_numbers(each.numbers)) for run, each in found if len(each.numbers)]
    if series:
        ends = np.concatenate([each.x for each in series])
        species = Axis("species", float(ends.min()) - 0.5, float(ends.max()) + 0.5, whole=True)
        chart = LineChart(species, Axis("fraction of halves", 0, 1.03), series, shape="points")
        pictures.append(Picture("species-numbers", "findings", GROUP, chart, _NUMBERS))
    return pictures


def _draw_populations(run: Run, found: CoAssignment) -> Picture:
    populations = np.asarray(found.populations, dtype=np.float64)
    low, high = np.asarray(found.intervals, dtype=np.float64).T
    names = [f"species {number}" for number in range(len(populations))]
    series = Series(run.slug, populations, np.arange(len(names), dtype=np.float64), low, high)
    largest = max(float(np.nanmax(high, initial=0)), float(populations.max()))
    chart = DotChart(Axis("fraction of the particles", 0, 1.05 * largest), names, [series])
    words = f"{run.label}: populations of species."
    return Picture(f"species-{run.slug}", "findings", GROUP, chart, words, run.slug, _POPULATIONS)


def name_blocks(species: np.ndarray) -> list[str]:
    """Names of blocks by species (b,): the species, and where it has several blocks their number, "3.1"."""
    species = np.asarray(species)
    sizes = np.bincount(species)
    seen = np.zeros(len(sizes), dtype=int)
    names = []
    for each in species.tolist():
        seen[each] += 1
        names.append(f"{each}.{seen[each]}" if sizes[each] > 1 else str(each))
    return names


def count_numbers(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different numbers (m,), ascending, and the fraction (m,) of each."""
    values, counts = np.unique(np.asarray(numbers, dtype=np.float64), return_counts=True)
    return values, counts / counts.sum()
