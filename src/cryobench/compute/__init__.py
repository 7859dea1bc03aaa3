"""The machine: device, precision, memory budget, workers, and the cost of a run. Nothing here is scientific."""

from cryobench.compute.compute import Compute as Compute
from cryobench.compute.compute import open_compute as open_compute
from cryobench.compute.memory import MemoryShortage as MemoryShortage
from cryobench.compute.memory import format_bytes as format_bytes
from cryobench.compute.memory import parse_memory as parse_memory
from cryobench.compute.team import LostWorker as LostWorker
from cryobench.compute.team import Team as Team
from cryobench.compute.team import open_team as open_team
from cryobench.compute.workers import Workers as Workers
