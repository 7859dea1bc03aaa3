"""Charts of ensembles of classifications: co-assigned blocks, their tree, populations and the number of species."""

from collections.abc import Sequence

import numpy as np

from cryobench.data import CoAssignment
from cryobench.report.charts import kinds
from cryobench.report.charts.kinds import Axis, Picture, Series, read_captions
from cryobench.report.scored_runs.tables import Run

GROUP = "Ensembles of classifications"


def draw_ensembles(runs: Sequence[Run]) -> list[Picture]:
    """Blocks, tree and populations of each run that has them, and the numbers of species of all."""
    found = [(run, each) for run in runs if (each := run.find(CoAssignment)) is not None]
    pictures = []

    def show(run: Run, key: str, chart: kinds.Chart, words: str) -> None:
        caption, lead = f"{run.label}: {words}.", read_captions()[key]
        pictures.append(Picture(f"{key}-{run.slug}", "findings", GROUP, chart, caption, run.slug, lead))

    for run, each in found:
        names = name_blocks(each.species)
        if len(names) > 1:
            shares = np.clip(np.asarray(each.shares, dtype=np.float64), 0, 1)
            grid = kinds.GridChart(Axis("block"), Axis("block"), names, names, shares, title="co-assignment")
            show(run, "co-assignment", grid, "co-assignment of blocks of particles")
            height = Axis("height / 1 − co-assignment", 0)
            tree = kinds.TreeChart(Axis("block"), height, names, np.asarray(each.merges))
            show(run, "tree", tree, "tree of the blocks")
        if len(each.populations) > 1:
            show(run, "species", _draw_populations(run, each), "populations of species")
    series = [Series(run.slug, *count_numbers(each.numbers)) for run, each in found if len(each.numbers)]
    if series:
        ends = np.concatenate([each.x for each in series])
        species = Axis("species", float(ends.min()) - 0.5, float(ends.max()) + 0.5, whole=True)
        chart = kinds.LineChart(species, Axis("fraction of halves", 0, 1.03), series, shape="points")
        pictures.append(Picture("species-numbers", "findings", GROUP, chart, read_captions()["species-numbers"]))
    return pictures


def _draw_populations(run: Run, found: CoAssignment) -> kinds.DotChart:
    populations = np.asarray(found.populations, dtype=np.float64)
    low, high = np.asarray(found.intervals, dtype=np.float64).T
    names = [f"species {number}" for number in range(len(populations))]
    series = Series(run.slug, populations, np.arange(len(names), dtype=np.float64), low, high)
    largest = max(float(np.nanmax(high, initial=0)), float(populations.max()))
    return kinds.DotChart(Axis("fraction of the particles", 0, 1.05 * largest), names, [series])


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
