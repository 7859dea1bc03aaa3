"""Query particles that are shown, and all volumes of one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cryobench.data import Dataset
from cryobench.metrics.volumes.frames import Frame, bring_into_frame
from cryobench.report.scored_runs.tables import Run
from cryobench.report.surfaces import choose_enclosed, level_enclosing, reduce_volume, shade_surface

DEFAULT_LEVEL = 2
"""The level the page opens with."""
TRUTH = "truth"
"""Slug of the true volume among the slugs of runs (which begin with a number)."""


@dataclass(frozen=True, eq=False)
class QueryVolumes:
    """Volumes drawn for one query particle."""

    particle: int
    state: int | None
    volumes: dict[str, np.ndarray]
    """Slug ("truth" or that of a run) to volume (z, y, x), on the grid of the data set; truth first."""

    @property
    def reference(self) -> np.ndarray:
        """The volume that sets scales and levels: the truth, or the first where there is no truth."""
        return next(iter(self.volumes.values()))

    @cached_property
    def enclosed(self) -> np.ndarray:
        """Fraction of the box that each level encloses."""
        return choose_enclosed(self.reference)

    @cached_property
    def pictures(self) -> dict[str, np.ndarray]:
        """Shaded surface of every volume, by slug, at the level the page opens with."""
        reduced = {slug: reduce_volume(volume, 64) for slug, volume in self.volumes.items()}
        fraction = float(self.enclosed[DEFAULT_LEVEL])
        return {slug: shade_surface(volume, level_enclosing(volume, fraction)) for slug, volume in reduced.items()}


def choose_queries(dataset: Dataset, count: int) -> np.ndarray:
    """Positions in ``dataset.queries`` of at most ``count`` query particles, evenly spaced over the true states."""
    order = np.arange(len(dataset.queries))
    if dataset.truth is not None:
        order = np.argsort(dataset.truth.states[dataset.queries], kind="stable")
    shown = min(count, len(order))
    return order[np.arange(shown) * len(order) // max(shown, 1)]


def read_query(dataset: Dataset, runs: Sequence[Run], position: int) -> QueryVolumes:
    """Volumes of the query particle at ``position``: the true one, those of methods, those of controls.

    Runs without volumes are left out; volumes on another grid are resampled to that of the data set.
    """
    particle = int(dataset.queries[position])
    volumes: dict[str, np.ndarray] = {}
    state = None
    if dataset.truth is not None and dataset.truth.states[particle] >= 0:
        state = int(dataset.truth.states[particle])
        if dataset.truth.volumes is not None:
            volumes[TRUTH] = np.asarray(dataset.truth.volumes.read(state), dtype=np.float32)
    for run in sorted(runs, key=lambda run: run.control is not None):
        found = np.flatnonzero(run.reconstruction.queries == particle)
        if run.status == "failed" or run.reconstruction.volumes is None or not len(found):
            continue
        shown = bring_into_frame(run.reconstruction, dataset, Frame("none"))
        assert shown.volumes is not None
        volumes[run.slug] = np.asarray(shown.volumes.read(int(found[0])), dtype=np.float32)
    return QueryVolumes(particle, state, volumes)
