"""The machine: device, precision, memory budget, workers, and the cost of a run. Nothing here is scientific."""

from cryobench.compute.compute import Compute as Compute
from cryobench.compute.compute import open_compute as open_compute
from cryobench.compute.memory import MemoryShortage as MemoryShortage
from cryobench.compute.memory import format_bytes as format_bytes
from cryobench.compute.memory import parse_memory as parse_memory
from cryobench.compute.process_group import ProcessGroup as ProcessGroup
from cryobench.compute.process_group import open_process_group as open_process_group
from cryobench.compute.workers import LostWorker as LostWorker
from cryobench.compute.workers import Workers as Workers
