"""Findings of a run as typed values: filled by methods and importers, drawn by the report.

Nothing is recognised by the name or shape of an array: a run with components has a ``Components``. Arrays may be
memory-mapped files, so only their shapes are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np

from cryobench._display import Displayed
from cryobench.data._checks import check_shape, check_shapes
from cryobench.data.motion import Motion


@dataclass(frozen=True, eq=False, repr=False)
class Components(Displayed):
    """A mean volume and the components along which volumes vary about it.

    Raises
    ------
    ValueError
        If the components are not on the grid of the mean, or have fewer variances than there are components.
    """

    kind: ClassVar[str] = "components"
    mean: np.ndarray
    """(z, y, x)."""
    components: np.ndarray
    """(k, z, y, x) of unit norm."""
    variances: np.ndarray
    """(m,) variances of the latents, in squared density, descending; more than k if only some components are kept."""

    def __post_init__(self) -> None:
        check_shapes(self, mean="n n n", components="k n n n", variances="m")
        if len(self.variances) < len(self.components):
            raise ValueError(f"{len(self.components)} components need as many variances, got {len(self.variances)}.")

    @property
    def deviations(self) -> np.ndarray:
        """(k,) standard deviations of the latents along the components, 0 where a variance is not positive."""
        variances = np.asarray(self.variances[: len(self.components)], dtype=np.float64)
        return np.sqrt(np.where(np.isfinite(variances) & (variances > 0), variances, 0))


@dataclass(frozen=True, eq=False, repr=False)
class ClassVolumes(Displayed):
    """Volumes of classes and their populations.

    Raises
    ------
    ValueError
        If there is not one population and one resolution per volume.
    """

    kind: ClassVar[str] = "class volumes"
    volumes: np.ndarray
    """(k, z, y, x)."""
    populations: np.ndarray
    """(k,) fractions of the particles, which sum to 1."""
    resolutions: np.ndarray | None = None
    """(k,) Å, from half-sets; None without."""
    own_frames: bool = False
    """Whether each class has its own frame and hand, so that poses and volumes of two are not comparable."""

    def find_empty(self, n_particles: int | None = None) -> np.ndarray:
        """(k,) whether a class is empty: a population of 0, or of less than half a particle of ``n_particles``."""
        least = 0.0 if n_particles is None else 0.5 / n_particles
        return np.asarray(self.populations, dtype=np.float64) <= least

    def __post_init__(self) -> None:
        check_shapes(self, volumes="k n n n", populations="k", resolutions="k")


@dataclass(frozen=True, eq=False, repr=False)
class LatentDensity(Displayed):
    """Density of the particles over the first latents, on a grid.

    Raises
    ------
    ValueError
        If the grid does not match the lengths of its axes, or an axis has fewer than two points.
    """

    kind: ClassVar[str] = "latent density"
    values: np.ndarray
    """(g, ..., g), one array axis for each of d latents."""
    axes: np.ndarray
    """(d, g) coordinates of the grid points along each latent."""

    def __post_init__(self) -> None:
        check_shapes(self, axes="d g")
        width, points = self.axes.shape
        if width < 1 or points < 2 or self.values.shape != (points,) * width:
            raise ValueError(f"a density of shape {self.values.shape} does not fit axes of shape {self.axes.shape}.")


@dataclass(frozen=True, eq=False, repr=False)
class LatentPath(Displayed):
    """Latents along a path, and their volumes.

    Raises
    ------
    ValueError
        If latents are not rows, or there are volumes, but not one per latent.
    """

    kind: ClassVar[str] = "latent path"
    latents: np.ndarray
    """(f, d)."""
    volumes: np.ndarray | None = None
    """(f, z, y, x)."""

    def __post_init__(self) -> None:
        check_shapes(self, latents="f d", volumes="f n n n")


@dataclass(frozen=True, eq=False, repr=False)
class HalfSetFsc(Displayed):
    """FSC between volumes of two half-sets, over rounded shells of the box, zero frequency first.

    Raises
    ------
    ValueError
        If there is not one curve for a volume, or one row per class or query particle, or the control has
        another shape.
    """

    kind: ClassVar[str] = "half-set FSC"
    curves: np.ndarray
    """(s,) for one volume, else (k, s)."""
    of: Literal["volume", "class", "query"] = "volume"
    """Subject: one consensus or mean volume; each class; the volume of each query particle."""
    control: np.ndarray | None = None
    """As ``curves``, for the same volumes without the method's contribution, such as motion; None without."""

    def __post_init__(self) -> None:
        shape = "s" if self.of == "volume" else "k s"
        check_shapes(self, curves=shape, control=shape)


@dataclass(frozen=True, eq=False, repr=False)
class Convergence(Displayed):
    """Progress of an iteration and why it stopped."""

    kind: ClassVar[str] = "convergence"
    log: tuple[Mapping[str, Any], ...]
    """One entry per iteration, in order, with at least ``iteration`` (from 1)."""
    stopped: str
    """Reason in words, such as "converged: ..." or "all 25 steps done"."""
    objective: str = ""
    """Definition of the entry ``objective``; "" if there is none."""

    @property
    def converged(self) -> bool:
        """Whether it stopped because of convergence."""
        return self.stopped.startswith("converged")


@dataclass(frozen=True, eq=False, repr=False)
class LossTerms(Displayed):
    """Terms of the loss at every step of a minibatch training.

    Raises
    ------
    ValueError
        If there is not one column per name, or epochs do not end in order.
    """

    kind: ClassVar[str] = "loss terms"
    names: tuple[str, ...]
    """Names of the terms, such as "loss" and "residual"."""
    values: np.ndarray
    """(steps, terms)."""
    ends: np.ndarray
    """(epochs + 1,) step counts at the start of the first epoch and at the end of every epoch."""
    definition: str = ""
    """Definition of the loss, in words."""

    def __post_init__(self) -> None:
        check_shapes(self, values="steps terms", ends="epochs")
        if self.values.shape[1] != len(self.names) or len(self.ends) < 2 or (np.diff(self.ends) <= 0).any():
            raise ValueError(
                f"loss terms of shape {self.values.shape}, in epochs that end after steps "
                f"{np.asarray(self.ends).tolist()}, do not fit the names {', '.join(self.names) or 'none'}."
            )


@dataclass(frozen=True, eq=False, repr=False)
class LatentSnapshots(Displayed):
    """Latents of some particles after some epochs of a training.

    Raises
    ------
    ValueError
        If there is not one latent per epoch and particle, or epochs are not in order.
    """

    kind: ClassVar[str] = "latent snapshots"
    particles: np.ndarray
    """(s,) indices of the particles."""
    epochs: np.ndarray
    """(e,) counted from 1, ascending; the last is that of the run's latents."""
    latents: np.ndarray
    """(e, s, d)."""

    def __post_init__(self) -> None:
        check_shapes(self, particles="s", epochs="e", latents="e s d")
        if not len(self.epochs) or (np.diff(self.epochs) <= 0).any():
            raise ValueError(f"epochs of latent snapshots must ascend, got {self.epochs.tolist()}.")


@dataclass(frozen=True, eq=False, repr=False)
class CoAssignment(Displayed):
    """Agreement of many classifications: blocks of particles, their tree, and the species they are merged into.

    Raises
    ------
    ValueError
        If the parts do not fit each other.
    """

    kind: ClassVar[str] = "co-assignment"
    shares: np.ndarray
    """(b, b) mean co-assignment of particles of two blocks: 1 always in one class, 0 as often as by chance."""
    block_populations: np.ndarray
    """(b,) fractions of the particles."""
    merges: np.ndarray
    """(b − 1, 4) tree of the blocks as in scipy: two nodes, height (1 − co-assignment), blocks."""
    species: np.ndarray
    """(b,) species of each block."""
    populations: np.ndarray
    """(s,) fraction of the particles of each species."""
    intervals: np.ndarray
    """(s, 2) intervals of the populations; NaN where they are not known."""
    numbers: np.ndarray
    """(r,) numbers of species found from parts of the classifications; empty if the number was given."""

    def __post_init__(self) -> None:
        check_shapes(
            self,
            shares="b b",
            block_populations="b",
            species="b",
            populations="s",
            intervals="s 2",
            numbers="r",
        )
        count, species = len(self.shares), len(self.populations)
        check_shape("merges", self.merges, (count - 1, 4))
        if count and not 0 <= int(np.min(self.species)) <= int(np.max(self.species)) < species:
            raise ValueError(f"blocks belong to species up to {int(np.max(self.species))}, and there are {species}.")


Finding: TypeAlias = (
    Components
    | ClassVolumes
    | LatentDensity
    | LatentPath
    | HalfSetFsc
    | Convergence
    | LossTerms
    | LatentSnapshots
    | CoAssignment
    | Motion
)
FINDINGS: Mapping[str, type[Finding]] = {each.kind: each for each in get_args(Finding)}
"""Types of findings, by the names under which they are stored."""
