"""The values everything passes on: Particles, GroundTruth, Dataset, Reconstruction, Scores.

They are frozen, hold NumPy arrays (what lies on disk) and are checked once, on construction; whoever receives
one need not check it again. Images and volumes are read on demand through two small protocols, so that neither a
stack of 100,000 particles nor a trajectory of 100,000 volumes is ever in memory as a whole.

Who may see what: methods get ``Particles``; ``GroundTruth`` is for recipes, metrics and controls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from cryobench.imaging.ctf import Ctf

CHUNK = 512
"""Particles read at a time by default: 32 MB of images at 128 px."""


@runtime_checkable
class ImageSource(Protocol):
    """Images that are read when asked for. ``cryobench.io.mrc`` has the one on MRC stacks."""

    @property
    def box_size(self) -> int:
        """Side of the square images in px."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Images (m, y, x) float32 in the order of ``indices`` (m,), as stored."""
        ...


@runtime_checkable
class VolumeSource(Protocol):
    """Volumes that are read, decoded or rendered when asked for."""

    @property
    def box_size(self) -> int:
        """Side of the cubic volumes in voxels."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> np.ndarray:
        """Volume (z, y, x) float32."""
        ...


@runtime_checkable
class Decoder(Protocol):
    """A finished run that gives volumes anywhere in its latent space."""

    def decode(self, latents: np.ndarray) -> Iterator[np.ndarray]:
        """Volumes (z, y, x) float32 at latents (m, d), or at class probabilities (m, k), one at a time."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images (n, y, x) already in memory, as an ``ImageSource``."""

    images: np.ndarray

    def __post_init__(self) -> None:
        _freeze(self, "images", _square(self.images, 3, "images"))

    @property
    def box_size(self) -> int:
        return self.images.shape[-1]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.images[indices], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class SelectedImages:
    """Some images of a source, in an order of one's own, as an ``ImageSource``."""

    images: ImageSource
    indices: np.ndarray
    """(m,) which of them."""

    @property
    def box_size(self) -> int:
        return self.images.box_size

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self.images.read(self.indices[indices])


def _find_origin(images: ImageSource, indices: np.ndarray) -> np.ndarray:
    """Which particles of the source that ``images`` were selected from the given ones are."""
    while isinstance(images, SelectedImages):
        images, indices = images.images, images.indices[indices]
    return indices


@dataclass(frozen=True, eq=False)
class IndexedVolumes:
    """A ``VolumeSource`` whose item i is ``volumes[index[i]]``: many items, few volumes (classes)."""

    volumes: np.ndarray
    """(k, z, y, x) float32."""
    index: np.ndarray
    """(m,) which of the k volumes each item is."""

    def __post_init__(self) -> None:
        _freeze(self, "volumes", _square(self.volumes, 4, "volumes"))
        index = _freeze(self, "index", np.array(self.index, dtype=np.int64, ndmin=1))
        _check_range("volume index", index, 0, len(self.volumes))

    @property
    def box_size(self) -> int:
        return self.volumes.shape[-1]

    def __len__(self) -> int:
        return len(self.index)

    def read(self, index: int) -> np.ndarray:
        return np.asarray(self.volumes[self.index[index]], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Particles:
    """What a reconstruction method may see: images, CTF, poses if they are given, optics and a mask.

    Raises
    ------
    ValueError
        If the parts differ in length or box size, a rotation is none, or the pixel size is not positive.
    """

    images: ImageSource
    """n square images; read through ``read``, which applies ``sign``."""
    pixel_size: float
    """Å per pixel."""
    ctf: Ctf
    """Of n particles."""
    rotations: np.ndarray | None = None
    """(n, 3, 3) particle-from-reference, or None if poses are withheld."""
    shifts: np.ndarray | None = None
    """(n, 2) Å, (x, y): the displacement that centres each particle; None if poses are withheld."""
    sign: Literal[1, -1] = 1
    """+1 if stored images are +CTF x projection (protein dark at underfocus, as recorded), −1 if they are
    inverted (protein bright, the usual form of stacks on disk). ``read`` undoes it."""
    mask: np.ndarray | None = None
    """(z, y, x) in [0, 1]: where the molecule can be; None if there is none."""

    def __post_init__(self) -> None:
        n, box_size = len(self.images), self.images.box_size
        if not (np.isfinite(self.pixel_size) and self.pixel_size > 0):
            raise ValueError(f"pixel_size must be positive, in Å per pixel; got {self.pixel_size}.")
        if self.sign not in (1, -1):
            raise ValueError(f"sign must be +1 or -1, got {self.sign}.")
        if len(self.ctf) != n:
            raise ValueError(f"there are {n} images but CTF parameters of {len(self.ctf)} particles.")
        if (self.rotations is None) != (self.shifts is None):
            raise ValueError("a pose is a rotation and a shift: give both rotations and shifts, or neither.")
        if self.rotations is not None and self.shifts is not None:
            _freeze(self, "rotations", _check_rotations(self.rotations, n))
            _freeze(self, "shifts", _check_shape("shifts", self.shifts, (n, 2)))
        if self.mask is not None:
            mask = np.array(self.mask, dtype=np.float32)
            if mask.shape != (box_size,) * 3:
                raise ValueError(f"the mask has shape {mask.shape}, expected {(box_size,) * 3} like the images.")
            if not np.isfinite(mask).all() or mask.min() < 0 or mask.max() > 1:
                raise ValueError(f"mask values must lie in [0, 1], found {mask.min()} to {mask.max()}.")
            _freeze(self, "mask", mask)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def box_size(self) -> int:
        """Side of the images in px."""
        return self.images.box_size

    def read(self, indices: np.ndarray | Sequence[int]) -> np.ndarray:
        """Images (m, y, x) float32 such that image = +CTF x projection + noise, whatever the stored sign.

        Raises
        ------
        ValueError
            If a pixel is NaN or infinite; the message names the particle.
        """
        indices = np.asarray(indices, dtype=np.int64)
        images = self.images.read(indices)
        finite = np.isfinite(images.sum(axis=(1, 2), dtype=np.float64))
        if not finite.all():
            bad = _find_origin(self.images, indices[~finite])
            raise ValueError(
                f"the image of particle {bad[0]} holds NaN or infinite pixels"
                f" ({len(bad)} such particles among those just read). Remove them from the table or mend the stack."
            )
        return images if self.sign == 1 else -images

    def select(self, indices: np.ndarray) -> Particles:
        """Some of the particles (m,), in that order, as particles of their own."""
        indices = np.asarray(indices, dtype=np.int64)
        _check_range("particle", indices, 0, len(self))
        return replace(
            self,
            images=SelectedImages(self.images, indices),
            ctf=self.ctf[indices],
            rotations=None if self.rotations is None else self.rotations[indices],
            shifts=None if self.shifts is None else self.shifts[indices],
        )

    def chunks(self, size: int = CHUNK) -> Iterator[np.ndarray]:
        """Consecutive index arrays that cover all particles, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))


@dataclass(frozen=True, eq=False)
class CollectiveVariable:
    """One number per particle that describes its conformation, such as an angle or a distance."""

    values: np.ndarray
    """(n,)."""
    unit: str
    """"rad", "Å", "" ..."""
    period: float | None = None
    """Length of one turn if the variable lives on a circle, else None."""


@dataclass(frozen=True, eq=False)
class Components:
    """Which parts are present in each state, and how states grow out of one another.

    Raises
    ------
    ValueError
        If there is not one name per column, an occupancy is outside [0, 1], or an edge names no state.
    """

    names: tuple[str, ...]
    """Of the c components."""
    occupancies: np.ndarray
    """(states, c) in [0, 1]."""
    edges: np.ndarray = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    """(e, 2) pairs of states (from, to): the assembly graph."""

    def __post_init__(self) -> None:
        occupancies = _freeze(self, "occupancies", np.array(self.occupancies, dtype=np.float64, ndmin=2))
        if occupancies.shape[1] != len(self.names):
            raise ValueError(f"there are {len(self.names)} components but occupancies of {occupancies.shape[1]}.")
        if not ((occupancies >= 0) & (occupancies <= 1)).all():
            raise ValueError(
                f"occupancies lie between 0 and 1, found {np.nanmin(occupancies)} to {np.nanmax(occupancies)}."
            )
        edges = _freeze(self, "edges", np.array(self.edges, dtype=np.int64).reshape(-1, 2))
        _check_range("state of an edge", edges.ravel(), 0, len(occupancies))


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What only recipes, metrics and controls may see. What is not known is None, or a state of −1.

    Raises
    ------
    ValueError
        If the parts differ in length, a state has no volume, or only one half of the poses is given.
    """

    states: np.ndarray
    """(n,) index of each particle's state, which is also the index of its volume; −1 where unknown."""
    volumes: VolumeSource | None = None
    """Volume of each state, on the grid of the images; None if only labels are known."""
    rotations: np.ndarray | None = None
    """(n, 3, 3) true poses, or None if they are unknown."""
    shifts: np.ndarray | None = None
    """(n, 2) Å, or None if the poses are unknown."""
    embedding: np.ndarray | None = None
    """(n, d) coordinates in which distance means difference in conformation, or None."""
    variables: Mapping[str, CollectiveVariable] = field(default_factory=dict)
    """Named collective variables."""
    components: Components | None = None
    """What each state is made of, where states differ in composition."""
    state_names: tuple[str, ...] | None = None
    """What each state is called, if they have names."""
    state_facts: pd.DataFrame | None = None
    """Further numbers of each state, a column each, such as ``mass_kda``, ``images`` and ``noise_variance``."""
    ctf: Ctf | None = None
    """True CTF parameters of n particles, where methods are given others; None where those given are true."""

    def __post_init__(self) -> None:
        states = _freeze(self, "states", np.array(self.states, dtype=np.int64, ndmin=1))
        n = len(states)
        _check_range("state", states, -1, self.n_states)
        if (self.rotations is None) != (self.shifts is None):
            raise ValueError("a pose is a rotation and a shift: give both rotations and shifts, or neither.")
        if self.rotations is not None and self.shifts is not None:
            _freeze(self, "rotations", _check_rotations(self.rotations, n))
            _freeze(self, "shifts", _check_shape("shifts", self.shifts, (n, 2)))
        if self.embedding is not None:
            embedding = np.array(self.embedding, dtype=np.float64)
            _freeze(self, "embedding", _check_shape("embedding", embedding, (n, embedding.shape[-1])))
        for name, variable in self.variables.items():
            _check_shape(f"collective variable {name}", variable.values, (n,))
        if self.components is not None and len(self.components.occupancies) != self.n_states:
            raise ValueError(
                f"there are {self.n_states} states but occupancies of {len(self.components.occupancies)}."
            )
        if self.state_names is not None and len(self.state_names) != self.n_states:
            raise ValueError(f"there are {self.n_states} states but {len(self.state_names)} names of states.")
        if self.state_facts is not None and len(self.state_facts) != self.n_states:
            raise ValueError(f"there are {self.n_states} states but facts of {len(self.state_facts)}.")
        if self.ctf is not None and len(self.ctf) != n:
            raise ValueError(f"there are {n} particles but true CTF parameters of {len(self.ctf)}.")

    def __len__(self) -> int:
        return len(self.states)

    @property
    def n_states(self) -> int:
        """Number of states: of volumes; without these of names or occupancies; without these up to the last seen."""
        for known in (self.volumes, self.state_names, self.state_facts):
            if known is not None:
                return len(known)
        if self.components is not None:
            return len(self.components.occupancies)
        return int(self.states.max(initial=-1)) + 1

    def volume_of(self, particle: int) -> np.ndarray:
        """True volume (z, y, x) of a particle. ValueError if its state is unknown, or volumes are."""
        if self.volumes is None:
            raise ValueError("the true volumes are not known: this truth consists of labels.")
        state = int(self.states[particle])
        if state < 0:
            raise ValueError(f"particle {particle} has no known state, hence no true volume.")
        return self.volumes.read(state)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Particles, the truth about them if there is any, and the particles whose volumes are asked for."""

    particles: Particles
    truth: GroundTruth | None
    queries: np.ndarray
    """(q,) particles at which every method decodes a volume and metrics compare it."""
    card: Mapping[str, Any]
    """What the data set is: recipe, parameters, seed, versions, citation, hashes."""
    path: Path | None = None
    """Folder it was read from."""

    def __post_init__(self) -> None:
        queries = _freeze(self, "queries", np.array(self.queries, dtype=np.int64, ndmin=1))
        _check_range("query particle", queries, 0, len(self.particles))
        if self.truth is not None and len(self.truth) != len(self.particles):
            raise ValueError(f"there are {len(self.particles)} particles but the truth describes {len(self.truth)}.")

    @property
    def name(self) -> str:
        """Name on the card."""
        return str(self.card.get("name", "dataset"))


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What every method and every importer gives. A part that is None was not estimated, and is not scored.

    Raises
    ------
    ValueError
        If the parts differ in length, or there is not one volume per query particle.
    """

    queries: np.ndarray
    """(q,) query particles."""
    volumes: VolumeSource | None = None
    """Item i is the volume of particle ``queries[i]``."""
    latents: np.ndarray | None = None
    """(n, d); NaN rows for particles the method left out."""
    posteriors: np.ndarray | None = None
    """(n, k) class probabilities, rows summing to 1; NaN rows for particles the method left out."""
    rotations: np.ndarray | None = None
    """(n, 3, 3) estimated poses."""
    shifts: np.ndarray | None = None
    """(n, 2) Å."""
    model: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What the method needs to decode further volumes later: named arrays, saved as RUN/model/NAME.npy."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """Run record: method, settings, seed, times, memory, hardware, data set hash, exit state."""
    path: Path | None = None
    """Folder it was read from."""
    pixel_size: float | None = None
    """Å per voxel of the volumes; None for that of the data set."""
    decoder: Decoder | None = None
    """Gives volumes of further latents, on the grid of the volumes; None where the method cannot."""

    def __post_init__(self) -> None:
        queries = _freeze(self, "queries", np.array(self.queries, dtype=np.int64, ndmin=1))
        if self.pixel_size is not None and not self.pixel_size > 0:
            raise ValueError(f"pixel_size must be positive, in Å per voxel, got {self.pixel_size}.")
        if self.volumes is not None and len(self.volumes) != len(queries):
            raise ValueError(f"there are {len(queries)} query particles but {len(self.volumes)} volumes.")
        lengths = {
            name: len(values)
            for name in ("latents", "posteriors", "rotations", "shifts")
            if (values := getattr(self, name)) is not None
        }
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the parts of a reconstruction differ in length: {lengths}.")
        if (self.rotations is None) != (self.shifts is None):
            raise ValueError("a pose is a rotation and a shift: give both rotations and shifts, or neither.")
        if self.rotations is not None and self.shifts is not None:
            _freeze(self, "rotations", _check_rotations(self.rotations, len(self.rotations)))
            _freeze(self, "shifts", _check_shape("shifts", self.shifts, (len(self.rotations), 2)))
        for name in ("latents", "posteriors"):
            values = getattr(self, name)
            if values is not None:
                values = np.array(values, dtype=np.float32)
                if values.ndim != 2:
                    raise ValueError(f"{name} must have shape (particles, dimensions), got {values.shape}.")
                _freeze(self, name, values)
        if self.posteriors is not None:
            sums, lowest = self.posteriors.sum(axis=1), self.posteriors.min(axis=1, initial=1)
            off = ~((np.abs(sums - 1) <= 1e-3) & (lowest >= -1e-6)) & ~np.isnan(self.posteriors).all(axis=1)
            if off.any():
                first = int(np.argmax(off))
                raise ValueError(
                    f"posteriors of particle {first} sum to {sums[first]}, the lowest being {lowest[first]}: expected"
                    " probabilities that sum to 1, or NaN throughout for a particle that was left out."
                )

    @property
    def name(self) -> str:
        """Name of the method that made it."""
        return str(self.record.get("method", "reconstruction"))

    def with_record(self, **entries: Any) -> Reconstruction:
        """The same with entries of the run record added or replaced."""
        return replace(self, record={**self.record, **entries})


@dataclass(frozen=True, eq=False)
class Score:
    """One metric of one reconstruction: a value with its interval, and the items it is the mean of."""

    metric: str
    """Name, such as "fsc-auc"."""
    value: float
    low: float
    """Lower end of the 95 % bootstrap interval."""
    high: float
    """Upper end."""
    n: int
    """Number of items."""
    items: pd.DataFrame
    """One row per item (query particle): at least the columns ``particle`` and ``value``."""


@dataclass(frozen=True, eq=False)
class Scores:
    """All scores of one reconstruction."""

    scores: Mapping[str, Score]
    curves: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Named tables behind the scores, such as the FSC curve of every query particle."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What they were taken with: mask hash, data set hash, version."""

    def __getitem__(self, metric: str) -> Score:
        return self.scores[metric]


def _freeze(owner: Any, name: str, values: np.ndarray) -> np.ndarray:
    """Store a read-only view of an array in a frozen dataclass."""
    view = values.view()
    view.flags.writeable = False
    object.__setattr__(owner, name, view)
    return view


def _square(values: np.ndarray, rank: int, name: str) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != rank or len(set(values.shape[1:])) != 1:
        raise ValueError(f"{name} must have {rank} axes, all but the first of one size; got shape {values.shape}.")
    return values


def _check_shape(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {values.shape}.")
    return values


def _check_range(name: str, values: np.ndarray, low: int, high: int) -> None:
    bad = (values < low) | (values >= high)
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(f"{name} {values[first]} (entry {first}) is outside {low} to {high - 1}.")


def _check_rotations(rotations: np.ndarray, n: int) -> np.ndarray:
    rotations = _check_shape("rotations", rotations, (n, 3, 3))
    error = np.abs(rotations @ rotations.swapaxes(-1, -2) - np.eye(3)).max(axis=(1, 2), initial=0)
    with np.errstate(invalid="ignore"):  # a NaN is no rotation, and said so below
        determinant = np.linalg.det(rotations)
    bad = ~(error < 1e-3) | ~(determinant > 0)
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"the rotation of particle {first} is not a proper rotation matrix (R Rᵀ off the identity by "
            f"{error[first]:.3g}, determinant {determinant[first]:.3g})."
        )
    return rotations
