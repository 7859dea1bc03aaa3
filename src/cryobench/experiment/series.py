"""Volume series of a finished run: what its latents look like as volumes, in a new folder of numbered MRC files.

| kind | volumes | particles of each |
|---|---|---|
| simple | mean + t V_k, t between two percentiles of latent k | - |
| cluster | back-projection of each cluster of the latents (k-means or Gaussian mixture) | the cluster's |
| intermediates | back-projection along latent k, in overlapping windows | weighted by a triangle over their ranks |
| path | decoded along a path through the latents | - |

The first three are 3D Variability's displays (Punjani & Fleet, J. Struct. Biol. 213 (2021) 107702), the last one is
RECOVAR's (Gilles & Singer, PNAS 122 (2025)); each works for any run that has what it needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._errors import UnknownName
from cryobench.data import Components, Dataset, LatentDensity, LatentPath, Reconstruction
from cryobench.experiment.score import find_dataset
from cryobench.io.atomic import atomic_folder, write_json
from cryobench.io.mrc import write_volume
from cryobench.io.store import load_reconstruction
from cryobench.latents.groups import cluster_latents, triangular_weights
from cryobench.latents.path import find_path
from cryobench.reconstruction.decoders import open_decoder
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.statistics import backproject, volume_bytes

KINDS = ("simple", "cluster", "intermediates", "path")
CLUSTERINGS = ("k-means", "gmm")


@dataclass(frozen=True)
class SeriesSettings:
    """Choices of a series; which of them count depends on its kind.

    Raises
    ------
    ValueError
        If one is out of range.
    """

    component: int = 0
    """Latent axis of simple and intermediates, from 0."""
    frames: int = 20
    """Volumes of simple, intermediates and path."""
    percentiles: tuple[float, float] = (3.0, 97.0)
    """Of the latent, between which a simple series goes."""
    clusters: int = 8
    """Volumes of cluster."""
    clustering: str = "k-means"
    """Or "gmm", a Gaussian mixture."""
    first: int | None = None
    """Particle where a path starts; None for the path that the run keeps."""
    last: int | None = None
    """Particle where it ends."""
    seed: int = 0
    """Of the clustering."""

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(f"percentiles rise within 0 to 100, got {low:g} to {high:g}.")
        if self.frames < 2:
            raise ValueError(f"a series has at least two frames, got {self.frames}.")
        if self.clusters < 1:
            raise ValueError(f"there is at least one cluster, got {self.clusters}.")
        if self.clustering not in CLUSTERINGS:
            raise UnknownName("clustering", self.clustering, CLUSTERINGS)
        if (self.first is None) != (self.last is None):
            raise ValueError("a path between particles has two ends: give both --from and --to, or neither.")


@dataclass(frozen=True)
class VolumeSeries:
    """Volumes of a series as they are asked for, and what is known of each."""

    volumes: Iterator[np.ndarray]
    frames: list[dict[str, Any]]
    """One entry per volume: its latent, and its particles where it is made of some."""


def write_series(
    run: Path,
    kind: str,
    folder: Path,
    settings: SeriesSettings | None = None,
    *,
    dataset: Path | None = None,
    context: RunContext | None = None,
) -> list[Path]:
    """Write a series of volumes, ``frame-000.mrc`` on, and ``series.json`` into a new folder.

    Parameters
    ----------
    run
        RUN folder of a finished run.
    kind
        One of ``KINDS``.
    folder
        New; it appears when all is in it.
    dataset
        The data set's folder, if it is not where the run record says.
    context
        Device, memory, workers and progress.

    Raises
    ------
    UnknownName
        No such kind.
    ValueError
        The run lacks what the kind needs, or a setting does not fit it.
    FormatError
        The run did not finish, or its data set is another now.
    """
    if kind not in KINDS:
        raise UnknownName("kind of series", kind, KINDS)
    settings, context = settings or SeriesSettings(), context or RunContext()
    if Path(folder).exists():
        raise FileExistsError(f"{folder} exists already; remove it or choose another name.")
    reconstruction = load_reconstruction(run)
    data = find_dataset(reconstruction, dataset)
    make = {
        "simple": _make_simple,
        "cluster": _make_clusters,
        "intermediates": _make_intermediates,
        "path": _make_path,
    }
    series = make[kind](reconstruction, data, settings, context)
    names = [f"frame-{index:03d}.mrc" for index in range(len(series.frames))]
    with atomic_folder(Path(folder)) as partial, context.progress.task("writing volumes", total=len(names)) as task:
        for name, volume in zip(names, series.volumes, strict=True):
            write_volume(partial / name, volume, data.particles.pixel_size)
            task.advance()
        entries = [{"file": name, **entry} for name, entry in zip(names, series.frames, strict=True)]
        chosen = {name: getattr(settings, name) for name in _USED[kind]}
        write_json(
            partial / "series.json",
            {
                "kind": kind,
                "method": reconstruction.name,
                "run": str(Path(run).resolve()),
                "dataset": data.name,
                "settings": chosen,
                "frames": entries,
            },
        )
    return [Path(folder) / name for name in names]


_USED = {
    "simple": ("component", "frames", "percentiles"),
    "cluster": ("clusters", "clustering", "seed"),
    "intermediates": ("component", "frames"),
    "path": ("frames", "first", "last"),
}


def _make_simple(
    reconstruction: Reconstruction, data: Dataset, settings: SeriesSettings, context: RunContext
) -> VolumeSeries:
    found = reconstruction.find(Components)
    if found is None:
        raise ValueError(
            f"a simple series goes along the components of a linear model, and {reconstruction.name} found none: "
            "choose cluster or intermediates."
        )
    latents, known = _latents_of(reconstruction)
    component = _check_component(settings.component, latents)
    ends = np.percentile(latents[known, component], settings.percentiles)
    rows = np.zeros((settings.frames, len(found.components)))
    rows[:, component] = np.linspace(ends[0], ends[1], settings.frames)
    model = {"mean": found.mean, "components": found.components}
    linear = open_decoder(replace(reconstruction, decodes_by="linear", model=model), data.particles, context)
    return VolumeSeries(linear.decode(rows), [{"latent": row.tolist()} for row in rows[:, : latents.shape[1]]])


def _make_clusters(
    reconstruction: Reconstruction, data: Dataset, settings: SeriesSettings, context: RunContext
) -> VolumeSeries:
    latents, _ = _latents_of(reconstruction)
    labels = cluster_latents(latents, settings.clusters, by_mixture=settings.clustering == "gmm", seed=settings.seed)
    weights = (labels[:, None] == np.arange(labels.max() + 1)).astype(np.float32)
    frames = [
        {"latent": latents[labels == cluster].mean(axis=0).tolist(), "particles": int((labels == cluster).sum())}
        for cluster in range(weights.shape[1])
    ]
    return VolumeSeries(_backproject(data, weights, context), frames)


def _make_intermediates(
    reconstruction: Reconstruction, data: Dataset, settings: SeriesSettings, context: RunContext
) -> VolumeSeries:
    latents, known = _latents_of(reconstruction)
    component = _check_component(settings.component, latents)
    if settings.frames > known.sum():
        raise ValueError(f"{settings.frames} windows were asked for, and there are only {known.sum()} latents.")
    weights = np.zeros((len(latents), settings.frames), dtype=np.float32)
    weights[known] = triangular_weights(latents[known, component], settings.frames)
    shares = weights[known].astype(np.float64)
    centres = shares.T @ latents[known] / shares.sum(axis=0)[:, None]
    frames = [
        {"latent": centre.tolist(), "particles": int((column > 0).sum()), "weight": float(column.sum())}
        for centre, column in zip(centres, weights.T, strict=True)
    ]
    return VolumeSeries(_backproject(data, weights, context), frames)


def _backproject(data: Dataset, weights: np.ndarray, context: RunContext) -> Iterator[np.ndarray]:
    """Volumes (z, y, x) by columns of weights (n, k), as many in a pass over the images as fit in half the memory."""
    budget = context.compute.memory_per_worker / 2
    at_once = max(1, int(budget // volume_bytes(data.particles.box_size)))
    passes = Passes(data.particles, context.compute, keep_bytes=budget, progress=context.progress)
    for first in range(0, weights.shape[1], at_once):
        yield from backproject(passes, weights[:, first : first + at_once])


def _make_path(
    reconstruction: Reconstruction, data: Dataset, settings: SeriesSettings, context: RunContext
) -> VolumeSeries:
    latents, known = _latents_of(reconstruction)
    own = reconstruction.find(LatentPath)
    if settings.first is not None and settings.last is not None:
        ends = []
        for index in (settings.first, settings.last):
            if not 0 <= index < len(latents):
                raise ValueError(f"particle {index} does not exist: this run has particles 0 to {len(latents) - 1}.")
            if not known[index]:
                raise ValueError(f"particle {index} was left out by {reconstruction.name}: it has no latent.")
            ends.append(latents[index])
        rows = _connect(reconstruction.find(LatentDensity), latents[known], ends[0], ends[1], settings.frames)
    elif own is not None:
        rows = np.asarray(own.latents, dtype=np.float64)
    else:
        raise ValueError(
            f"{reconstruction.name} keeps no path of its own: say between which particles, with --from and --to."
        )
    decoder = open_decoder(reconstruction, data.particles, context)
    return VolumeSeries(decoder.decode(rows), [{"latent": row.tolist()} for row in rows])


def _connect(
    density: LatentDensity | None, latents: np.ndarray, start: np.ndarray, end: np.ndarray, frames: int
) -> np.ndarray:
    """Latents from one to another: where the run's density is high, or straight if it keeps none."""
    if density is None:
        return np.linspace(start, end, frames)
    return find_path(density, latents, start, end, n_points=frames)


def _latents_of(reconstruction: Reconstruction) -> tuple[np.ndarray, np.ndarray]:
    """Latents (n, d), and which particles have one (n,)."""
    if reconstruction.latents is None:
        raise ValueError(
            f"{reconstruction.path} ({reconstruction.name}) gives particles no latents: no series of it."
        )
    latents = np.asarray(reconstruction.latents, dtype=np.float64)
    known = np.asarray(np.isfinite(latents).all(axis=1))
    if not known.any():
        raise ValueError(f"{reconstruction.path} ({reconstruction.name}) left every particle out: no latents.")
    return latents, known


def _check_component(component: int, latents: np.ndarray) -> int:
    if not 0 <= component < latents.shape[1]:
        raise ValueError(
            f"component {component} does not exist: this run has components 0 to {latents.shape[1] - 1}."
        )
    return component
