"""How methods run: context, passes over the particles, the loop, and the checkpoint."""

from cryobench.reconstruction.engine.checkpoint import Checkpoint
from cryobench.reconstruction.engine.context import RunContext
from cryobench.reconstruction.engine.forecast import Forecast
from cryobench.reconstruction.engine.iterate import Diverged, Iteration, Step, iterate
from cryobench.reconstruction.engine.passes import Passes, Rows, Sums, Work

__all__ = [
    "Checkpoint",
    "Diverged",
    "Forecast",
    "Iteration",
    "Passes",
    "Rows",
    "RunContext",
    "Step",
    "Sums",
    "Work",
    "iterate",
]
