"""Kinds of volume series, by the latents or particles of their volumes.

| kind | volumes |
|---|---|
| pca | decoded along a principal axis of the latents, between two percentiles, the other coordinates at their mean |
| k-means | decoded at the particles nearest to the cluster centres, ordered so that similar ones are consecutive |
| graph | decoded at particles on the shortest path through anchors, on a graph of nearest neighbours |
| path | decoded along a path where the density of the latents is high: the run's own, or between two particles |
| simple | mean + t V_k along a component of a linear model, t between two percentiles of latent k |
| cluster | back-projection of the particles of each cluster |
| intermediates | back-projection along a latent axis, in overlapping windows, triangles over the particles' ranks |

The first three are those of cryoDRGN's analysis (Zhong et al., Nature Methods 18 (2021) 176; Kinman et al., Nature
Protocols 18 (2023) 319), the fourth is RECOVAR's (Gilles & Singer, PNAS 122 (2025)), the others are cryoSPARC's 3D
Variability Display (Punjani & Fleet, J. Struct. Biol. 213 (2021) 107702). Each works for any run with the inputs it
needs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cryobench.data import Components, Dataset, LatentDensity, LatentPath, Reconstruction
from cryobench.latents.centres import choose_centres, nearest_particles
from cryobench.latents.graph import choose_along, neighbour_graph
from cryobench.latents.groups import cluster_latents, triangular_weights
from cryobench.latents.path import find_path, resample_path
from cryobench.latents.principal import principal_axes
from cryobench.reconstruction.decoders import latent_rows, open_decoder, resize_volume, takes_latents
from cryobench.reconstruction.engine import Passes, RunContext
from cryobench.reconstruction.statistics import backproject, volume_bytes
from cryobench.runs.series.settings import CENTRES, SeriesSettings


@dataclass(frozen=True)
class Decoded:
    """Volumes decoded at rows of latents (or class probabilities)."""

    reconstruction: Reconstruction
    rows: np.ndarray

    def make(self, chosen: np.ndarray, dataset: Dataset, box_size: int, context: RunContext) -> Iterator[np.ndarray]:
        """Volumes (z, y, x) of chosen rows."""
        decoder = open_decoder(self.reconstruction, dataset.particles, context, box_size=box_size)
        return decoder.decode(self.rows[chosen])


@dataclass(frozen=True)
class BackProjected:
    """Volumes of weighted particles."""

    rows: np.ndarray
    """(f, n) weight of each particle in each volume."""

    def make(self, chosen: np.ndarray, dataset: Dataset, box_size: int, context: RunContext) -> Iterator[np.ndarray]:
        """Volumes (z, y, x) of chosen rows, with as many per pass over the images as fit in half the memory."""
        budget, particles = context.compute.memory_per_worker / 2, dataset.particles
        at_once = max(1, int(budget // volume_bytes(particles.box_size)))
        passes = Passes(particles, context.compute, keep_bytes=budget, progress=context.progress)
        for first in range(0, len(chosen), at_once):
            for volume in backproject(passes, self.rows[chosen[first : first + at_once]].T):
                yield resize_volume(volume, box_size)


@dataclass(frozen=True)
class Frames:
    """Plan of a series' volumes."""

    title: str
    """Description that follows "volumes"."""
    latents: np.ndarray
    """(f, d)."""
    source: Decoded | BackProjected
    particles: np.ndarray | None = None
    """(f,) particle of each volume, if they are at particles."""
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    """position, n_particles and weight (f,), if known."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Notable facts, kept with the table."""


@dataclass(frozen=True)
class SeriesKind:
    """Plan function of a kind of series, and the settings it uses."""

    plan: Callable[["Latents", SeriesSettings], Frames]
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Latents:
    """Latents of a reconstruction."""

    of: Reconstruction
    values: np.ndarray
    """(n, d) float64, NaN rows for particles left out."""
    known: np.ndarray
    """(m,) ascending indices of particles with a latent."""

    @classmethod
    def read(cls, reconstruction: Reconstruction) -> "Latents":
        """Latents of a reconstruction. ValueError if it has none."""
        name = f"{reconstruction.path} ({reconstruction.name})"
        if reconstruction.latents is None:
            raise ValueError(f"{name} has no latents: no series can be made.")
        values = np.asarray(reconstruction.latents, dtype=np.float64)
        known = np.flatnonzero(np.isfinite(values).all(axis=1))
        if not len(known):
            raise ValueError(f"{name} left every particle out: it has no latents.")
        return cls(reconstruction, values, known)

    @property
    def kept(self) -> np.ndarray:
        """(m, d) latents of the particles that have one."""
        return self.values[self.known]

    def check_particle(self, index: int) -> int:
        """Position of a particle among ``known``. ValueError if it does not exist or has no latent."""
        if not 0 <= index < len(self.values):
            raise ValueError(f"particle {index} does not exist: this run has particles 0 to {len(self.values) - 1}.")
        place = int(np.searchsorted(self.known, index))
        if place == len(self.known) or self.known[place] != index:
            raise ValueError(f"particle {index} was left out by {self.of.name}: it has no latent.")
        return place

    def check_axis(self, number: int, name: str) -> int:
        """Latent axis counted from 0. ValueError if it does not exist."""
        width = self.values.shape[1]
        if number > width:
            raise ValueError(f"{name} {number} does not exist: this run has {name} 1 to {width} (--axis).")
        return number - 1

    def at_particles(self, chosen: np.ndarray) -> Decoded:
        """Volumes at particles, from their latents or posteriors."""
        return Decoded(self.of, np.asarray(latent_rows(self.of))[chosen])

    def anywhere(self, rows: np.ndarray) -> Decoded:
        """Volumes at latents. ValueError if the decoder does not decode latents."""
        if not takes_latents(self.of):
            raise ValueError(
                f"{self.of.name} has volumes of its classes only, not at any latent: choose k-means, graph, "
                "cluster or intermediates."
            )
        return Decoded(self.of, rows)


def plan_pca(latents: Latents, settings: SeriesSettings) -> Frames:
    """Points along a principal axis."""
    axes = principal_axes(latents.kept)
    rows, along = axes.walk(latents.kept, settings.axis - 1, settings.percentiles, settings.frames)
    low, high = settings.percentiles
    fraction = axes.variances[settings.axis - 1] / max(float(axes.variances.sum()), 1e-300)
    title = (
        f"along principal axis {settings.axis} of the latents, from percentile {low:g} to {high:g}; it has "
        f"{fraction:.0%} of their variance"
    )
    return Frames(title, rows, latents.anywhere(rows), columns={"position": along})


def plan_centres(latents: Latents, settings: SeriesSettings) -> Frames:
    """Particles nearest to cluster centres."""
    found = choose_centres(latents.values, settings.clusters, seed=settings.seed)
    title = f"at the particles nearest to the centres of {settings.clusters} k-means clusters"
    source = latents.at_particles(found.particles)
    columns = {"n_particles": found.sizes}
    return Frames(title, latents.values[found.particles], source, found.particles, columns)


def plan_graph(latents: Latents, settings: SeriesSettings) -> Frames:
    """Particles on a path through anchors."""
    graph = neighbour_graph(latents.kept, most=settings.neighbours, mean=settings.mean_neighbours)
    anchors = _choose_anchors(latents, settings)
    path = graph.path(anchors)
    stops = _find_in_order(path, anchors)
    chosen, along = choose_along(latents.kept[path], stops, settings.frames)
    particles = latents.known[path[chosen]]
    title = f"at particles on the shortest path through {len(anchors)} anchors, on a graph of nearest neighbours"
    return Frames(
        title,
        latents.values[particles],
        latents.at_particles(particles),
        particles,
        {"position": along},
        {"anchors": latents.known[anchors], "path": latents.known[path]},
    )


def _choose_anchors(latents: Latents, settings: SeriesSettings) -> list[int]:
    """Positions of the anchors among the particles with a latent."""
    if settings.anchors == CENTRES:
        found = choose_centres(latents.values, settings.clusters, seed=settings.seed).particles.tolist()
    elif settings.anchors is not None:
        found = list(settings.anchors)
    else:
        ends, _ = principal_axes(latents.kept).walk(latents.kept, settings.axis - 1, settings.percentiles, 2)
        found = nearest_particles(latents.values, ends).tolist()
    return [latents.check_particle(int(index)) for index in found]


def _find_in_order(path: np.ndarray, anchors: list[int]) -> list[int]:
    """Indices at which a path reaches each anchor, in order."""
    stops = [0]
    for anchor in anchors[1:]:
        stops.append(stops[-1] + int(np.argmax(path[stops[-1] :] == anchor)))
    return stops


def plan_path(latents: Latents, settings: SeriesSettings) -> Frames:
    """Points along a path of high density, or on a straight line if the run keeps no density."""
    own = latents.of.find(LatentPath)
    if isinstance(settings.anchors, tuple):
        if len(settings.anchors) != 2:
            raise ValueError(
                f"a path goes between two particles, got {len(settings.anchors)}: give --anchors as 12,340, or "
                "choose graph, which passes through several."
            )
        for index in settings.anchors:
            latents.check_particle(index)
        start, end = latents.values[list(settings.anchors)]
        density = latents.of.find(LatentDensity)
        if density is None:
            rows, title = np.linspace(start, end, settings.frames), "on a straight line between two particles"
        else:
            rows = find_path(density, latents.kept, start, end, n_points=settings.frames)
            title = "on a path of high density between two particles"
    elif own is not None and settings.anchors is None:
        rows, title = np.asarray(own.latents, dtype=np.float64), "on the path that the run keeps"
        if len(rows) != settings.frames:
            rows = resample_path(rows, settings.frames)
    else:
        missing = "" if own is not None else f"{latents.of.name} keeps no path: "
        raise ValueError(f"{missing}give its two end particles, as --anchors 12,340, or choose graph.")
    steps = np.linalg.norm(np.diff(rows, axis=0), axis=1)
    return Frames(title, rows, latents.anywhere(rows), columns={"position": np.concatenate([[0], np.cumsum(steps)])})


def plan_simple(latents: Latents, settings: SeriesSettings) -> Frames:
    """Mean and multiples of a component."""
    found = latents.of.find(Components)
    if found is None:
        raise ValueError(
            f"a simple series follows the components of a linear model, and {latents.of.name} has none: choose "
            "pca, which follows the principal axes of any latents, or cluster or intermediates."
        )
    component = latents.check_axis(settings.axis, "components")
    ends = np.percentile(latents.kept[:, component], settings.percentiles)
    rows = np.zeros((settings.frames, len(found.components)))
    rows[:, component] = np.linspace(ends[0], ends[1], settings.frames)
    linear = replace(latents.of, decodes_by="linear", model={"mean": found.mean, "components": found.components})
    title = f"of the mean plus multiples of component {settings.axis}"
    position = {"position": rows[:, component]}
    return Frames(title, rows[:, : latents.values.shape[1]], Decoded(linear, rows), columns=position)


def plan_clusters(latents: Latents, settings: SeriesSettings) -> Frames:
    """Particles of each cluster."""
    by_mixture = settings.clustering == "gmm"
    labels = cluster_latents(latents.values, settings.clusters, by_mixture=by_mixture, seed=settings.seed)
    weights = (np.arange(labels.max() + 1)[:, None] == labels).astype(np.float32)
    centres = np.stack([latents.values[labels == cluster].mean(axis=0) for cluster in range(len(weights))])
    title = f"back-projected from the particles of each of {len(weights)} clusters"
    return Frames(title, centres, BackProjected(weights), columns={"n_particles": weights.sum(axis=1).astype(int)})


def plan_intermediates(latents: Latents, settings: SeriesSettings) -> Frames:
    """Particles in windows along an axis."""
    axis = latents.check_axis(settings.axis, "latent axes")
    if settings.frames > len(latents.known):
        raise ValueError(
            f"{settings.frames} windows were requested, but there are only {len(latents.known)} latents."
        )
    weights = np.zeros((settings.frames, len(latents.values)), dtype=np.float32)
    weights[:, latents.known] = triangular_weights(latents.kept[:, axis], settings.frames).T
    responsibilities = weights[:, latents.known].astype(np.float64)
    centres = responsibilities @ latents.kept / responsibilities.sum(axis=1)[:, None]
    columns = {"position": centres[:, axis], "n_particles": (weights > 0).sum(axis=1), "weight": weights.sum(axis=1)}
    title = f"back-projected in overlapping windows along latent {settings.axis}"
    return Frames(title, centres, BackProjected(weights), columns=columns)


KINDS: Mapping[str, SeriesKind] = {
    "pca": SeriesKind(plan_pca, ("axis", "frames", "percentiles")),
    "k-means": SeriesKind(plan_centres, ("clusters", "seed")),
    "graph": SeriesKind(
        plan_graph, ("frames", "anchors", "clusters", "seed", "axis", "percentiles", "neighbours", "mean_neighbours")
    ),
    "path": SeriesKind(plan_path, ("frames", "anchors")),
    "simple": SeriesKind(plan_simple, ("axis", "frames", "percentiles")),
    "cluster": SeriesKind(plan_clusters, ("clusters", "clustering", "seed")),
    "intermediates": SeriesKind(plan_intermediates, ("axis", "frames")),
}
"""Kinds by name."""
