"""Results of the methods of a report and their pairwise agreement, for data sets without a known truth.

Latents are compared by common nearest neighbours, maps by FSC, classes by the adjusted Rand index. Agreement is not
proof: methods also agree in common mistakes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from sklearn.metrics import adjusted_rand_score

from cryobench.data import ClassVolumes, Components, Dataset, most_probable
from cryobench.metrics import fsc, fsc_auc, neighbourhood_similarity
from cryobench.metrics.latents.latent_spaces import FEWEST, draw_subset
from cryobench.metrics.metric import format_seconds
from cryobench.metrics.volumes.frames import choose_mode, fits_grid
from cryobench.report.scored_runs.queries import choose_queries
from cryobench.report.scored_runs.tables import Run

RADIUS = 5.0
"""Percentage of the particles that count as neighbours."""
MOST_PARTICLES = 2_000
MOST_QUERIES = 6


@dataclass(frozen=True)
class Agreement:
    """One comparison of every pair of runs that can be compared."""

    title: str
    words: str
    """How to read it."""
    runs: list[Run]
    values: dict[tuple[str, str], str]
    """Pair of slugs, in either order, to the value as text; missing where the pair cannot be compared."""


@dataclass(frozen=True)
class Found:
    """Results of one run, as text."""

    run: Run
    latents: str
    classes: str
    volumes: str
    time: str


def describe_found(runs: Sequence[Run]) -> list[Found]:
    """Latent dimensions, classes, volumes and wall time of each run, as text."""
    found = []
    for run in (run for run in runs if run.status != "failed"):
        volumes, seconds = run.reconstruction.volumes, run.record.cost.wall_seconds
        decoded = "none" if volumes is None else f"{len(volumes):,} at query particles"
        time = "not recorded" if seconds is None else format_seconds(seconds)
        found.append(Found(run, _latents(run), _classes(run), decoded, time))
    return found


def compare_runs(runs: Sequence[Run], dataset: Dataset) -> list[Agreement]:
    """Agreement of the methods, without controls, in latents, maps and classes; kinds no pair has are left out.

    Maps are those of at most ``MOST_QUERIES`` query particles, in the data set's mask if it has one. Maps of a run in
    its own reference frame, or on another grid, are not compared.
    """
    methods = [run for run in runs if run.control is None and run.status != "failed"]
    latents = {run.slug: run.reconstruction.latents for run in methods if run.reconstruction.latents is not None}
    maps = _read_maps(methods, dataset)
    classes = {
        run.slug: most_probable(run.reconstruction.posteriors)
        for run in methods
        if run.reconstruction.posteriors is not None
    }
    mask = None if dataset.particles.mask is None else np.asarray(dataset.particles.mask, dtype=np.float32)
    inside = "" if mask is None else ", in the mask"
    found = [
        _compare(
            "Latents",
            f"Common neighbours of two latents: percentage of the {RADIUS:g} % nearest particles in one that are "
            f"also among those in the other; {RADIUS:g} is chance, 100 identical neighbourhoods.",
            methods,
            latents,
            lambda one, other: _count_common_neighbours(one, other, len(dataset.particles)),
        ),
        _compare(
            "Maps",
            f"FSC-AUC between the maps of two methods at the same query particles{inside}: 1 is identical maps; a "
            "negative value means inverted contrast.",
            methods,
            maps,
            lambda one, other: _correlate_maps(one, other, mask),
        ),
        _compare(
            "Classes",
            "Adjusted Rand index of the classes of two methods: 1 is identical classes, 0 chance.",
            methods,
            classes,
            _compare_labels,
        ),
    ]
    return [agreement for agreement in found if agreement.values]


def _compare(
    title: str, words: str, runs: Sequence[Run], parts: dict[str, np.ndarray], compare: Callable[..., str | None]
) -> Agreement:
    having = [run for run in runs if run.slug in parts]
    values: dict[tuple[str, str], str] = {}
    for one, other in combinations(having, 2):
        text = compare(parts[one.slug], parts[other.slug])
        if text is not None:
            values[one.slug, other.slug] = values[other.slug, one.slug] = text
    return Agreement(title, words, having, values)


def _count_common_neighbours(one: np.ndarray, other: np.ndarray, n: int) -> str | None:
    common = np.flatnonzero(np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1))
    kept = draw_subset(common, min(n, MOST_PARTICLES), purpose="report/agreement")
    if len(kept) < FEWEST:
        return None
    found = neighbourhood_similarity(
        one[kept].astype(np.float64), other[kept].astype(np.float64), [RADIUS], offsets=1
    )
    return f"{float(found.tie_averaged[0]):.0f} %"


def _correlate_maps(one: np.ndarray, other: np.ndarray, mask: np.ndarray | None) -> str | None:
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    return f"{np.mean([fsc_auc(fsc(a, b, mask), normalised=True) for a, b in pairs]):.2f}"


def _compare_labels(one: np.ndarray, other: np.ndarray) -> str | None:
    both = (one >= 0) & (other >= 0)
    return f"{adjusted_rand_score(one[both], other[both]):.2f}" if both.any() else None


def _read_maps(runs: Sequence[Run], dataset: Dataset) -> dict[str, np.ndarray]:
    """Slug to an array (q,) of maps (z, y, x) of the same few query particles, None where a run lacks one."""
    particles = dataset.queries[choose_queries(dataset, MOST_QUERIES)]
    maps = {}
    for run in runs:
        source, queries = run.reconstruction.volumes, run.reconstruction.queries
        if source is None or not fits_grid(run.reconstruction, dataset):
            continue
        if choose_mode(run.reconstruction, dataset)[0] != "none":
            continue
        read = np.empty(len(particles), dtype=object)
        for row, particle in enumerate(particles):
            position = np.flatnonzero(queries == particle)
            read[row] = None if not len(position) else np.asarray(source.read(int(position[0])), dtype=np.float32)
        maps[run.slug] = read
    return maps


def _latents(run: Run) -> str:
    latents = run.reconstruction.latents
    if latents is None:
        return "none"
    components = run.find(Components)
    words = f"{latents.shape[1]} dimension{'' if latents.shape[1] == 1 else 's'}"
    if components is not None and len(components.variances) and (total := float(np.sum(components.variances))) > 0:
        words += f", {float(components.variances[0]) / total:.0%} of the variance along the first"
    return words


def _classes(run: Run) -> str:
    posteriors, found = run.reconstruction.posteriors, run.find(ClassVolumes)
    if posteriors is None:
        return "none"
    labels = most_probable(posteriors)
    counts = np.bincount(labels[labels >= 0], minlength=posteriors.shape[1])
    taken = counts[counts > 0]
    if not len(taken):
        return "none"
    sizes = f"{taken.min():,}" if taken.min() == taken.max() else f"{taken.min():,} to {taken.max():,}"
    words = f"{len(taken)} of {len(counts)} with particles, {sizes} each"
    if found is None or found.resolutions is None:
        return words
    known = found.resolutions[~found.find_empty(len(posteriors))]
    return f"{words}; half-sets to {known.min():.3g} to {known.max():.3g} Å" if len(known) else words
