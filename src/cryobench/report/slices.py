"""Central slices of reconstructed volumes beside their truth, on one grey scale.

The density of a reconstruction has no absolute scale and the FSC ignores it, so each volume is brought to the mean
and standard deviation of its truth before its slices are cut. Black and white are then those of the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cryobench.data import Dataset
from cryobench.report.tables import Run

TRUTH = "truth"
"""Slug of the true volume among the slugs of runs (which begin with a number)."""
PLANES = ("xy", "xz", "yz")


@dataclass(frozen=True, eq=False)
class QueryVolumes:
    """Everything drawn for one query particle."""

    particle: int
    state: int | None
    volumes: dict[str, np.ndarray]
    """Slug ("truth" or that of a run) to volume (z, y, x), as reconstructed; truth first."""


def choose_queries(dataset: Dataset, count: int) -> np.ndarray:
    """At most ``count`` query particles, positions in ``dataset.queries``, evenly spaced through the true states."""
    order = np.arange(len(dataset.queries))
    if dataset.truth is not None:
        order = np.argsort(dataset.truth.states[dataset.queries], kind="stable")
    if not len(order):
        return order
    return order[np.linspace(0, len(order) - 1, min(count, len(order)) + 1)[:-1].astype(int)]


def read_query(dataset: Dataset, runs: Sequence[Run], position: int) -> QueryVolumes:
    """True and reconstructed volumes of the query particle at ``position``; runs without volumes are left out."""
    particle = int(dataset.queries[position])
    volumes: dict[str, np.ndarray] = {}
    state = None
    if dataset.truth is not None and dataset.truth.states[particle] >= 0:
        state = int(dataset.truth.states[particle])
        volumes[TRUTH] = np.asarray(dataset.truth.volume_of(particle), dtype=np.float32)
    for run in runs:
        found = np.flatnonzero(run.reconstruction.queries == particle)
        if run.status == "failed" or run.reconstruction.volumes is None or not len(found):
            continue
        volumes[run.slug] = np.asarray(run.reconstruction.volumes.read(int(found[0])), dtype=np.float32)
    return QueryVolumes(particle, state, volumes)


def match_contrast(volume: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The volume with the mean and standard deviation of the truth; a constant volume is only shifted."""
    deviation = float(volume.std())
    scale = float(truth.std()) / deviation if deviation > 0 else 1.0
    return (volume - volume.mean()) * scale + truth.mean()


def cut_slices(volume: np.ndarray) -> np.ndarray:
    """The three central planes (3, n, n): xy (rows y), xz (rows z), yz (rows z, columns y)."""
    middle = volume.shape[-1] // 2
    return np.stack([volume[middle], volume[:, middle], volume[:, :, middle]])


def slices_of(query: QueryVolumes) -> tuple[dict[str, np.ndarray], tuple[float, float]]:
    """Slices (3, n, n) by slug and the black and white they share.

    White is the 99.9th percentile w of the truth's slices and black −0.3 w (of the first volume if there is no truth).
    """
    reference = next(iter(query.volumes.values()))
    slices = {slug: cut_slices(match_contrast(volume, reference)) for slug, volume in query.volumes.items()}
    white = float(np.percentile(cut_slices(reference), 99.9))
    if white <= 0:
        white = float(np.abs(reference).max()) or 1.0
    return slices, (-0.3 * white, white)
