"""Spaces that latent metrics compare: latent, true heterogeneity, pose, CTF; and the particles they contain.

* Latent: the unscaled latents of the reconstruction; where it has none, its posteriors (in a classification the
  coordinates of a particle are its class probabilities; certain classes make duplicates).
* Heterogeneity: the true embedding; without one, the collective variables, a circular one as (cos, sin) and any
  other scaled to unit standard deviation; without these, the state, with all different states equally far from each
  other. Variables that only describe a state (its mass, its number of components, a frame number) do not
  show which states are similar, and are not used.
* Pose: the nine entries of the true rotation matrix. CTF: its parameters, z-scored, constant ones left out.

Particles without a state (junk, unlabelled) are left out, unless no particle has one; so are those without true
coordinates. Particles that the reconstruction left out (rows with NaN) are *unplaced*: metrics count them as
uninformative, so that leaving particles out raises no score; ``coverage`` is the fraction of the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from cryobench.data import CollectiveVariable, Dataset, GroundTruth, Reconstruction
from cryobench.metrics.metric import check_particles
from cryobench.rng import stream

DESCRIPTIVE = frozenset({"mass", "components", "frame", "junk"})
"""Variables that describe a state without showing which states are similar."""
FEWEST = 20
"""Fewest particles for a latent metric."""


@dataclass(frozen=True, eq=False)
class Space:
    """Coordinates of all particles of a data set, NaN where they have none."""

    coordinates: Float[np.ndarray, "n d"]
    source: str
    """Their origin, such as "embedding" or "posteriors"."""
    discrete: bool = False
    """Whether the single coordinate is a label, with all different labels equally far from each other."""

    def take(self, particles: Int[np.ndarray, "m"]) -> np.ndarray:
        """Coordinates of some particles: (m, d) float64, or labels (m,) int64, as the array functions take them."""
        return self.coordinates[particles, 0].astype(np.int64) if self.discrete else self.coordinates[particles]


@dataclass(frozen=True, eq=False)
class LatentAndTruth:
    """Particles whose latent and true coordinates are both known."""

    latent: Float[np.ndarray, "m e"]
    truth: Num[np.ndarray, "m *d"]
    """Coordinates (m, d), or labels (m,)."""
    particles: Int[np.ndarray, "m"]
    unplaced: Int[np.ndarray, "u"]
    """Particles with true coordinates and without a latent, drawn as ``particles`` were."""
    true_unplaced: Num[np.ndarray, "u *d"]
    """Their coordinates, or labels."""
    context: dict[str, int | float | str]
    """Origin of the coordinates; numbers of particles left out, with reasons; the coverage."""

    def with_unplaced(self) -> "LatentAndTruth":
        """All the particles, those without a latent last, at one point far from the others.

        It is farther from every latent than any two latents are from each other, so those particles are nearest
        neighbours of a particle with a latent only where no others are left.
        """
        centre = self.latent.mean(axis=0)
        reach = float(np.linalg.norm(self.latent - centre, axis=1).max()) or 1.0
        count = len(self.unplaced)
        far = np.concatenate([np.zeros(len(self.latent)), np.full(count, 4 * reach)])
        latent = np.append(self.latent, np.tile(centre, (count, 1)), axis=0)
        return replace(
            self,
            latent=np.append(latent, far[:, None], axis=1),
            truth=np.append(self.truth, self.true_unplaced, axis=0),
            particles=np.append(self.particles, self.unplaced),
        )


@dataclass(frozen=True, eq=False)
class Layout:
    """Two spaces of the same points, in the layout of the kernels."""

    first: Float[np.ndarray, "d n"]
    second: Float[np.ndarray, "e n"]
    discrete: Bool[np.ndarray, "2"]


def find_common(first: Num[np.ndarray, "n *d"], second: Num[np.ndarray, "m *e"]) -> Int[np.ndarray, "kept"]:
    """Rows that are finite in both of two spaces of the same points.

    ValueError if the lengths differ, or a space is neither coordinates (n, d) nor integer labels (n,).
    """
    for space in (first, second):
        if not (space.ndim == 2 or (space.ndim == 1 and np.issubdtype(space.dtype, np.integer))):
            raise ValueError(
                f"a space is coordinates (n, d) or integer labels (n,), got shape {space.shape} of {space.dtype}. "
                "Write a single coordinate as values[:, None]."
            )
    if len(first) != len(second):
        raise ValueError(f"the two spaces must hold the same points, got {len(first)} and {len(second)} rows.")
    finite = [np.isfinite(space).reshape(len(space), -1).all(axis=1) for space in (first, second)]
    return np.flatnonzero(finite[0] & finite[1])


def lay_out(first: Num[np.ndarray, "n *d"], second: Num[np.ndarray, "n *e"]) -> Layout:
    """Two spaces in the kernels' layout; coordinates scaled by a power of 2 (exactly) to a spread of about 1."""
    laid_out = [_lay_out_points(space) for space in (first, second)]
    return Layout(laid_out[0], laid_out[1], np.array([space.ndim == 1 for space in (first, second)]))


def _lay_out_points(points: Num[np.ndarray, "n *d"]) -> Float[np.ndarray, "d n"]:
    if points.ndim == 1:
        return points[None].astype(np.float64)
    values = np.array(points.T, dtype=np.float64, order="C")
    spread = float(np.sqrt(values.var(axis=1).sum()))
    if spread > 0:
        np.ldexp(values, -round(np.log2(spread)), out=values)
    return values


def find_latent(reconstruction: Reconstruction) -> Space | None:
    """Latents of a reconstruction, or its posteriors, or None if it has neither."""
    for source in ("latents", "posteriors"):
        values = getattr(reconstruction, source)
        if values is not None:
            return Space(np.asarray(values, dtype=np.float64), source)
    return None


def find_heterogeneity(truth: GroundTruth) -> Space | None:
    """Coordinates of each particle among all conformations; None if all that is known is constant, or nothing is."""
    candidates = (
        None if truth.embedding is None else Space(truth.embedding, "embedding"),
        _place_by_variables(truth.variables),
        _place_by_state(truth.states),
    )
    for space in candidates:
        if space is not None and _varies(space.coordinates):
            return space
    return None


def find_pose(truth: GroundTruth) -> Space | None:
    """True rotation matrices, flattened; None if they are unknown."""
    if truth.rotations is None:
        return None
    return Space(np.asarray(truth.rotations, dtype=np.float64).reshape(-1, 9), "true rotations")


def find_ctf(dataset: Dataset) -> Space | None:
    """Varying CTF parameters of the particles, z-scored; None if none varies."""
    ctf = dataset.particles.ctf
    names = ("defocus_u", "defocus_v", "defocus_angle", "voltage_kv", "cs_mm", "amplitude_contrast", "phase_shift")
    columns = np.stack([np.asarray(getattr(ctf, name), dtype=np.float64) for name in names], axis=1)
    spread = columns.std(axis=0)
    varying = spread > 1e-9 * np.abs(columns).max(axis=0, initial=0)
    if not varying.any():
        return None
    return Space((columns[:, varying] - columns[:, varying].mean(axis=0)) / spread[varying], "CTF parameters")


def explain_missing_spaces(reconstruction: Reconstruction, dataset: Dataset) -> str | None:
    """Reason, in words, why latents cannot be compared with the true heterogeneity; None if they can."""
    truth, latent = dataset.truth, find_latent(reconstruction)
    if latent is None:
        return "needs latents or posteriors, which the reconstruction does not have"
    if truth is None:
        return "needs truth, which the data set does not have"
    if find_heterogeneity(truth) is None:
        return "needs an embedding, collective variables or states that differ between particles"
    if len(latent.coordinates) == len(truth) and len(pair_spaces(reconstruction, dataset).particles) < FEWEST:
        return f"needs at least {FEWEST} particles with both a latent and true coordinates"
    return None


def pair_spaces(
    reconstruction: Reconstruction, dataset: Dataset, *, at_most: int | None = None, seed: int = 0
) -> LatentAndTruth:
    """Latent and true coordinates of the particles that have both, in order, and the particles without a latent.

    Parameters
    ----------
    at_most
        Most particles to keep, with a latent or without; if there are more they are drawn at random by ``seed``
        (``draw_with_latents``).

    Raises
    ------
    ValueError
        If there is no latent or no truth, or they differ in length.
    """
    latent, truth = find_latent(reconstruction), dataset.truth
    space = None if truth is None else find_heterogeneity(truth)
    if latent is None or truth is None or space is None:
        raise ValueError(f"{reconstruction.name} {explain_missing_spaces(reconstruction, dataset)}.")
    check_particles(reconstruction, dataset)
    labelled = (truth.states >= 0) | ~(truth.states >= 0).any()
    placed, reached = (np.asarray(np.isfinite(of.coordinates).all(axis=1)) for of in (space, latent))
    known = labelled & placed
    kept = np.flatnonzero(known & reached)
    context: dict[str, int | float | str] = {
        "latent": latent.source,
        "truth": space.source,
        "n_particles": len(truth),
        "n_without_state": int((~labelled).sum()),
        "n_without_true_place": int((labelled & ~placed).sum()),
        "n_without_latent": int((known & ~reached).sum()),
        "coverage": len(kept) / max(int(known.sum()), 1),
        "n_distinct_latents": len(np.unique(latent.coordinates[kept], axis=0)),
    }
    drawn = draw_with_latents(np.flatnonzero(known), reached, at_most, seed=seed)
    particles, unplaced = drawn[reached[drawn]], drawn[~reached[drawn]]
    context["n_measured"] = len(particles)
    return LatentAndTruth(
        latent.take(particles), space.take(particles), particles, unplaced, space.take(unplaced), context
    )


def draw_subset(
    items: Int[np.ndarray, "n"], at_most: int | None, *, seed: int = 0, purpose: str = "latent-metrics"
) -> Int[np.ndarray, "m"]:
    """All items, or ``at_most`` of them drawn at random, in order."""
    if at_most is None or len(items) <= at_most:
        return items
    return np.sort(stream(seed, purpose).permutation(items)[:at_most])


def draw_with_latents(
    items: Int[np.ndarray, "n"], reached: Bool[np.ndarray, "all"], at_most: int | None, *, seed: int = 0
) -> Int[np.ndarray, "m"]:
    """As ``draw_subset``, and as many more as it takes to have ``FEWEST`` particles with a latent (``reached``)."""
    drawn = draw_subset(items, at_most, seed=seed)
    if reached[drawn].sum() >= FEWEST:
        return drawn
    return np.union1d(drawn, draw_subset(items[reached[items]], FEWEST, seed=seed))


def turn_to_circle(values: Num[np.ndarray, "n"], period: float) -> Float[np.ndarray, "n 2"]:
    """(cos, sin) (n, 2) of a variable with period ``period``."""
    turn = 2 * np.pi * np.asarray(values, dtype=np.float64) / period
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def choose_variables(
    variables: Mapping[str, CollectiveVariable], *, of: Literal["all", "telling"] = "all"
) -> dict[str, CollectiveVariable]:
    """Variables that vary; with ``telling`` only those that show which states are similar."""
    return {
        name: variable
        for name, variable in variables.items()
        if name != "junk"
        and (of == "all" or name not in DESCRIPTIVE)
        and _varies(np.asarray(variable.values, dtype=np.float64)[:, None])
    }


def _place_by_variables(variables: Mapping[str, CollectiveVariable]) -> Space | None:
    columns = []
    for variable in choose_variables(variables, of="telling").values():
        values = np.asarray(variable.values, dtype=np.float64)
        if variable.period is not None:
            columns.append(turn_to_circle(values, variable.period))
        else:
            columns.append(((values - np.nanmean(values)) / np.nanstd(values))[:, None])
    return Space(np.concatenate(columns, axis=1), "variables") if columns else None


def _place_by_state(states: Int[np.ndarray, "n"]) -> Space | None:
    """The label itself, if states have several particles."""
    known = states[states >= 0]
    if 2 * len(np.unique(known)) > len(known):
        return None
    return Space(np.where(states >= 0, states, np.nan)[:, None], "states", discrete=True)


def _varies(coordinates: Float[np.ndarray, "n d"]) -> bool:
    """Whether any finite row differs from another."""
    rows = coordinates[np.isfinite(coordinates).all(axis=1)]
    return len(rows) > 1 and bool((rows != rows[0]).any())
