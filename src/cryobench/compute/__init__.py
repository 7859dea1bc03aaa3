"""The machine: device, precision, memory budget, workers, and the cost of a run. Nothing here is scientific."""

from cryobench.compute.compute import Compute, open_compute
from cryobench.compute.memory import MemoryShortage, format_bytes, parse_memory
from cryobench.compute.team import LostWorker, Team, open_team
from cryobench.compute.workers import Workers

__all__ = [
    "Compute",
    "LostWorker",
    "MemoryShortage",
    "Team",
    "Workers",
    "format_bytes",
    "open_compute",
    "open_team",
    "parse_memory",
]
