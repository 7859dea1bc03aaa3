"""``Dataset``: particles, their truth, and the particles whose volumes are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryobench._display import Displayed
from cryobench.data._checks import check_range, freeze
from cryobench.data.particles import Particles
from cryobench.data.record import DatasetIdentity
from cryobench.data.truth import GroundTruth


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Displayed):
    """Particles, their truth if there is any, and the query particles, whose volumes are compared."""

    particles: Particles
    truth: GroundTruth | None
    queries: np.ndarray
    """(q,) particles at which every method decodes a volume and metrics compare it."""
    card: Mapping[str, Any]
    """Description: recipe, parameters, seed, versions, citation, hashes."""
    path: Path | None = None
    """Folder from which it was read."""

    def __post_init__(self) -> None:
        queries = freeze(self, "queries", np.array(self.queries, dtype=np.int64, ndmin=1))
        check_range("query particle", queries, 0, len(self.particles))
        if self.truth is not None and len(self.truth) != len(self.particles):
            raise ValueError(f"there are {len(self.particles)} particles, but the truth describes {len(self.truth)}.")

    def _headline(self) -> str:
        return f"Dataset {self.name!r}"

    @property
    def identity(self) -> DatasetIdentity:
        """Identity of the data set in records of runs."""
        path = None if self.path is None else str(self.path.resolve())
        return DatasetIdentity(self.name, path, self.card.get("sha256"))

    @property
    def name(self) -> str:
        """Name on the card."""
        return str(self.card.get("name", "dataset"))
