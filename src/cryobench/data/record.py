"""``RunRecord``: how a reconstruction came about. Made by ``run`` and by importers, never by a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from cryobench.data.plain import read_plain

Status = Literal["running", "failed", "finished"]


@dataclass(frozen=True)
class Priors:
    """What a reconstruction was given beyond images and CTF: declared, so that only alike runs are compared."""

    poses: Literal["given", "estimated", "unknown"] = "unknown"
    """Whether the data set's poses were handed over."""
    mask: str = "none"
    """"none"; "data set", that of the data set, drawn around the true molecule; or the file given on purpose."""
    atomic_model: str = "none"
    """An atomic model that guided the reconstruction, or "none"."""
    truth: tuple[str, ...] = ()
    """Parts of the truth that were handed over: controls alone."""
    volumes: str = "none"
    """Origin of the query volumes: the name of a decoder, "method", "files", or "none"."""


@dataclass(frozen=True)
class DatasetIdentity:
    """Which data set a run was made from."""

    name: str | None = None
    path: str | None = None
    """Folder where it lay."""
    sha256: str | None = None
    """Hash on its card."""


@dataclass(frozen=True)
class Machine:
    """The machine's side of a run. It changes speed and the last bits, never the science."""

    device: str = "cpu"
    precision: str = "float32"
    memory_bytes: int | None = None
    """Budget."""
    workers: int = 1
    scheduler: str | None = None
    """Address of the Dask scheduler, where one was used."""
    hardware: Mapping[str, Any] = field(default_factory=dict)
    """Processor, cores, memory, accelerator."""


@dataclass(frozen=True)
class RunCost:
    """Cost of a run, summed over its attempts; peaks are the greatest of them."""

    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    """Of all threads."""
    gpu_seconds: float | None = None
    """For which an accelerator was held."""
    peak_memory_bytes: float | None = None
    peak_gpu_memory_bytes: float | None = None
    attempts: int = 1
    """Processes that worked on it: 1 for a run that was never interrupted, and did not go on after its end."""

    @property
    def is_known(self) -> bool:
        """Whether any time or memory was measured."""
        return replace(self, attempts=1) != RunCost()

    def plus(self, other: RunCost) -> RunCost:
        """The cost of both."""
        sums = {name: _join(sum, self, other, name) for name in ("wall_seconds", "cpu_seconds", "gpu_seconds")}
        peaks = {name: _join(max, self, other, name) for name in ("peak_memory_bytes", "peak_gpu_memory_bytes")}
        return RunCost(**sums, **peaks, attempts=self.attempts + other.attempts)

    @staticmethod
    def total(attempts: Sequence[RunCost]) -> RunCost:
        """The cost of all attempts, one or more."""
        total = attempts[0]
        for each in attempts[1:]:
            total = total.plus(each)
        return total


@dataclass(frozen=True)
class RunRecord:
    """How a reconstruction came about. What is not known is None or empty."""

    method: str = "reconstruction"
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All of them, as they were used."""
    preset: str | None = None
    """The preset that the settings were expanded from; changed settings are in ``settings``."""
    seed: int | None = None
    dataset: DatasetIdentity = field(default_factory=DatasetIdentity)
    priors: Priors = field(default_factory=Priors)
    status: Status = "finished"
    error: str | None = None
    """Of a failed run."""
    machine: Machine = field(default_factory=Machine)
    cost: RunCost = field(default_factory=RunCost)
    version: str | None = None
    """Of cryobench, or of the tool that was imported from."""
    software: Mapping[str, str] = field(default_factory=dict)
    """Versions of Python and of the libraries that compute, and the commit of this package where it is known."""
    command: str | None = None
    """As it was typed; of a run from Python, the command that does the same."""
    started: str | None = None
    """UTC, ISO 8601."""

    def with_(self, **entries: Any) -> RunRecord:
        """The same with some entries replaced."""
        return replace(self, **entries)

    def to_json(self) -> dict[str, Any]:
        """Plain values, those that say nothing left out."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {}, ())}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> RunRecord:
        """Back from ``to_json``; entries of other names are passed over. ValueError if one has another form."""
        return read_plain(RunRecord, stored)


def _join(function: Any, one: RunCost, other: RunCost, name: str) -> float | None:
    known = [value for each in (one, other) if (value := getattr(each, name)) is not None]
    return function(known) if known else None
