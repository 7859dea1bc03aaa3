"""``RunRecord``: provenance of a reconstruction. Made by ``run`` and by importers, never by a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Status = Literal["running", "failed", "finished"]


@dataclass(frozen=True)
class Priors:
    """Priors of a reconstruction beyond images and CTF, declared so that only comparable runs are compared."""

    poses: Literal["given", "estimated", "unknown"] = "unknown"
    """Whether the data set's poses were given to the method."""
    mask: str = "none"
    """"none"; "data set", drawn around the true molecule; the file given explicitly; or "unknown", of an import."""
    atomic_model: str = "none"
    """An atomic model that guided the reconstruction; "none"; or "unknown", of an import."""
    truth: tuple[str, ...] = ()
    """Parts of the truth given to the method: controls only."""
    volumes: str = "none"
    """Origin of the query volumes: the name of a decoder, "method", "control", "files", or "none"."""


@dataclass(frozen=True)
class DatasetIdentity:
    """Identity of the data set of a run."""

    name: str | None = None
    path: str | None = None
    """Folder of the data set at the time."""
    sha256: str | None = None
    """Hash on its card."""


@dataclass(frozen=True)
class Machine:
    """Computing environment of a run. It changes speed and the last bits, never the science."""

    device: str = "cpu"
    precision: str = "float32"
    memory_bytes: int | None = None
    """Budget."""
    workers: int = 1
    scheduler: str | None = None
    """Address of the Dask scheduler, if one was used."""
    hardware: Mapping[str, Any] = field(default_factory=dict)
    """Processor, cores, memory, accelerator."""


@dataclass(frozen=True)
class RunCost:
    """Cost of a run, summed over its attempts; peaks are the greatest of them."""

    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    """CPU time of all threads of the process and of its local workers (not a scheduler's), as the memory below."""
    gpu_seconds: float | None = None
    """Time during which an accelerator was held."""
    peak_memory_bytes: float | None = None
    peak_gpu_memory_bytes: float | None = None
    attempts: int = 1
    """Processes that worked on it: 1 for a run that was neither interrupted nor trained further."""

    @property
    def is_known(self) -> bool:
        """Whether any time or memory was measured."""
        return replace(self, attempts=1) != RunCost()

    def plus(self, other: RunCost) -> RunCost:
        """Sum of both costs."""
        sums = {name: _join(sum, self, other, name) for name in ("wall_seconds", "cpu_seconds", "gpu_seconds")}
        peaks = {name: _join(max, self, other, name) for name in ("peak_memory_bytes", "peak_gpu_memory_bytes")}
        return RunCost(**sums, **peaks, attempts=self.attempts + other.attempts)

    @staticmethod
    def total(attempts: Sequence[RunCost]) -> RunCost:
        """Sum of the costs of all attempts, one or more."""
        total = attempts[0]
        for each in attempts[1:]:
            total = total.plus(each)
        return total


@dataclass(frozen=True)
class RunRecord:
    """Provenance of a reconstruction. Unknown entries are None or empty."""

    method: str = "reconstruction"
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All settings, as used."""
    preset: str | None = None
    """The preset that the settings were expanded from; changed settings are in ``settings``."""
    seed: int | None = None
    dataset: DatasetIdentity = field(default_factory=DatasetIdentity)
    priors: Priors = field(default_factory=Priors)
    status: Status = "finished"
    error: str | None = None
    """Error of a failed run."""
    machine: Machine = field(default_factory=Machine)
    cost: RunCost = field(default_factory=RunCost)
    version: str | None = None
    """Version of cryobench, or of the imported program."""
    software: Mapping[str, str] = field(default_factory=dict)
    """Versions of Python and of the numerical libraries, and the commit of this package if known."""
    command: str | None = None
    """Command as typed; for a run from Python, the equivalent command."""
    started: str | None = None
    """UTC, ISO 8601."""

    def with_(self, **entries: Any) -> RunRecord:
        """The record with some entries replaced."""
        return replace(self, **entries)

    def to_json(self) -> dict[str, Any]:
        """Plain values, without empty ones."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {}, ())}


def _join(function: Any, one: RunCost, other: RunCost, name: str) -> float | None:
    known = [value for each in (one, other) if (value := getattr(each, name)) is not None]
    return function(known) if known else None
