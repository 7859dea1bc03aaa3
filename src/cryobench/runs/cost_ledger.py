"""Costs of all attempts at a run, kept while it runs, so that a killed attempt counts too."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from cryobench.compute.meter import Meter
from cryobench.data import RunCost
from cryobench.io.atomic import read_json, write_json

_NAME = "attempt-{:03d}.json"


class CostLedger:
    """Costs of the attempts at one run, one file each in its checkpoint."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._former = [_read(path) for path in sorted(folder.glob("attempt-*.json"))]
        self._path = folder / _NAME.format(len(self._former))
        self._meter = Meter(device, tick=self._write)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Measure an attempt."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._meter:
                yield
        finally:
            self._write()

    def total(self) -> RunCost:
        """Cost of all attempts so far."""
        return RunCost.total([*self._former, self._cost()])

    def _write(self) -> None:
        write_json(self._path, asdict(self._cost()))

    def _cost(self) -> RunCost:
        return replace(RunCost(), **self._meter.readings())


def _read(path: Path) -> RunCost:
    stored = read_json(path)
    return replace(RunCost(), **{name: stored.get(name) for name in asdict(RunCost()) if name != "attempts"})
