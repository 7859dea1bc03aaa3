"""The machine: device, precision, memory budget, workers, and what a run costs. Nothing here knows of the science."""

from cryobench.compute.compute import Compute, open_compute
from cryobench.compute.memory import MemoryShortage, format_bytes, parse_memory
from cryobench.compute.workers import Workers

__all__ = ["Compute", "MemoryShortage", "Workers", "format_bytes", "open_compute", "parse_memory"]
