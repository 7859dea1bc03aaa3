"""``Reconstruction``: the result of every method and importer, input of metrics and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float

from cryobench._display import Displayed
from cryobench._types import Indices
from cryobench.data._checks import check_poses, freeze
from cryobench.data.findings import Finding
from cryobench.data.record import RunRecord
from cryobench.data.sources import VolumeSource

Kind = TypeVar("Kind", bound=Finding)


@runtime_checkable
class Decoder(Protocol):
    """Decoder of volumes anywhere in a latent space, made by ``reconstruction.decoders.open_decoder``."""

    @property
    def takes(self) -> Literal["latents", "posteriors"]:
        """Part of the reconstruction whose rows it decodes."""
        ...

    @property
    def reads_particles(self) -> bool:
        """Whether all particles are read for every volume."""
        ...

    @property
    def width(self) -> int:
        """Length of a row of latents (d), or of class probabilities (k)."""
        ...

    def decode(self, latents: np.ndarray) -> Iterator[np.ndarray]:
        """Volumes (z, y, x) float32 at latents (m, width), one at a time, on the grid of the data set."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Reconstruction(Displayed):
    """Result of a method or importer. A part that is None was not estimated, and is not scored.

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
    """(n, d); NaN rows for particles that the method left out."""
    posteriors: np.ndarray | None = None
    """(n, k) class probabilities, rows summing to 1; NaN rows for particles that the method left out."""
    rotations: np.ndarray | None = None
    """(n, 3, 3) estimated poses."""
    shifts: np.ndarray | None = None
    """(n, 2) Å."""
    model: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Named arrays with a meaning to the decoder only, saved as RUN/model/NAME.npy and read on demand.
    Arrays used together are named GROUP/NAME and are in one file, RUN/model/GROUP.safetensors."""
    decodes_by: str | None = None
    """Name of the decoder for volumes at further latents; None if there is none."""
    findings: tuple[Finding, ...] = ()
    """Findings of the run, for display."""
    notes: tuple[str, ...] = ()
    """Notes for the user, in sentences."""
    record: RunRecord = field(default_factory=RunRecord)
    """Provenance of the reconstruction."""
    path: Path | None = None
    """Folder from which it was read."""
    pixel_size: float | None = None
    """Å per voxel of the volumes; None for the data set's."""
    decoder: Decoder | None = None
    """The decoder, opened on a device; None until opened, or if there is none."""

    def __post_init__(self) -> None:
        queries = freeze(self, "queries", np.array(self.queries, dtype=np.int64, ndmin=1))
        if self.pixel_size is not None and not self.pixel_size > 0:
            raise ValueError(f"pixel_size must be positive, in Å per voxel, got {self.pixel_size}.")
        if self.volumes is not None and len(self.volumes) != len(queries):
            raise ValueError(f"there are {len(queries)} query particles, but {len(self.volumes)} volumes.")
        lengths = {
            name: len(values)
            for name in ("latents", "posteriors", "rotations", "shifts")
            if (values := getattr(self, name)) is not None
        }
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the parts of a reconstruction differ in length: {lengths}.")
        check_poses(self, next(iter(lengths.values()), 0))
        for name in ("latents", "posteriors"):
            values = getattr(self, name)
            if values is not None:
                values = np.array(values, dtype=np.float32)
                if values.ndim != 2:
                    raise ValueError(f"{name} must have shape (particles, dimensions), got {values.shape}.")
                freeze(self, name, values)
        if self.posteriors is not None:
            sums, lowest = self.posteriors.sum(axis=1), self.posteriors.min(axis=1, initial=1)
            off = ~((np.abs(sums - 1) <= 1e-3) & (lowest >= -1e-6)) & ~np.isnan(self.posteriors).all(axis=1)
            if off.any():
                first = int(np.argmax(off))
                raise ValueError(
                    f"posteriors of particle {first} sum to {sums[first]}, with a minimum of {lowest[first]}: "
                    "expected probabilities that sum to 1, or only NaN for a particle that was left out."
                )

    def _headline(self) -> str:
        return f"Reconstruction by {self.name}"

    @property
    def name(self) -> str:
        """Name of the method that made it."""
        return self.record.method

    def find(self, kind: type[Kind]) -> Kind | None:
        """The first finding of a kind, or None."""
        return next((each for each in self.findings if isinstance(each, kind)), None)


def most_probable(posteriors: Float[np.ndarray, "n k"]) -> Indices:
    """Most probable class (n,) of each particle; −1 for those left out, whose probabilities are NaN."""
    return np.where(np.isnan(posteriors).any(axis=1), -1, np.nan_to_num(posteriors).argmax(axis=1))
