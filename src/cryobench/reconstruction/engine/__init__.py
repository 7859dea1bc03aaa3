"""How methods run: context, passes over the particles, the loop, and the checkpoint."""

from cryobench.reconstruction.engine.checkpoint import Checkpoint as Checkpoint
from cryobench.reconstruction.engine.checkpoint_volumes import CheckpointVolumes as CheckpointVolumes
from cryobench.reconstruction.engine.context import RunContext as RunContext
from cryobench.reconstruction.engine.forecast import Forecast as Forecast
from cryobench.reconstruction.engine.iterate import Diverged as Diverged
from cryobench.reconstruction.engine.iterate import Iteration as Iteration
from cryobench.reconstruction.engine.iterate import Step as Step
from cryobench.reconstruction.engine.iterate import iterate as iterate
from cryobench.reconstruction.engine.passes import Passes as Passes
from cryobench.reconstruction.engine.passes import Rows as Rows
from cryobench.reconstruction.engine.passes import Sums as Sums
from cryobench.reconstruction.engine.passes import Work as Work
