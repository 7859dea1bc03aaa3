"""Cost of a reconstruction, from its run record, so that quality can be plotted against it.

Times are those of the reconstruction, without scoring; CPU time is summed over all threads of the process that ran
it, and of its local workers. Peak memory is the largest resident size of them together in GiB. Workers of a scheduler
are not counted.
GPU time is how long the accelerator was held, busy or not, and peak GPU memory the largest amount allocated on it. A
score exists only where the run record has the number: an imported result has none, and a run without an accelerator
has no GPU time. The cost of a run that was interrupted and resumed is the sum over its attempts, failed ones
included, and their highest peak; the context gives the number of attempts. One run does not show how its cost
varies: both ends of the interval are the value. Costs are comparable only on the same machine, which the context
names.

Source: the record of ``cryobench.runs.run``; arXiv:2408.05526 reports no costs.
"""

import math

import pandas as pd

from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.metric import Metric, ScoreKind, described

KINDS = {
    "wall_seconds": ScoreKind("wall-time", "Wall time", "s", "lower", ignores_identity=True, main=True),
    "cpu_seconds": ScoreKind("cpu-time", "CPU time", "s", "lower", ignores_identity=True),
    "gpu_seconds": ScoreKind("gpu-time", "GPU time", "s", "lower", ignores_identity=True),
    "peak_memory_bytes": ScoreKind(
        "peak-memory", "Peak memory", "GiB", "lower", ignores_identity=True, main=True, decimals=2
    ),
    "peak_gpu_memory_bytes": ScoreKind(
        "peak-gpu-memory", "Peak GPU memory", "GiB", "lower", ignores_identity=True, decimals=2
    ),
}
"""Entry of the recorded cost -> score."""


def read_costs(reconstruction: Reconstruction) -> dict[str, float]:
    """Recorded costs by name of the score.

    Raises
    ------
    ValueError
        If a recorded number is negative, NaN or infinite.
    """
    costs = {}
    for entry, kind in KINDS.items():
        recorded = getattr(reconstruction.record.cost, entry)
        if recorded is None:
            continue
        if not math.isfinite(recorded) or recorded < 0:
            raise ValueError(f"the run record of {reconstruction.name} has {entry} = {recorded}, expected 0 or more.")
        costs[kind.name] = float(recorded) * (1 / 2**30 if kind.unit == "GiB" else 1.0)
    return costs


@described
class Cost(Metric):
    """Wall, CPU and GPU time and peak memory of the run, from its record.

    Definitions, and when nothing is measured: ``cryobench.metrics.cost``.
    """

    name = "cost"
    label = "Cost of the run"
    scores = tuple(KINDS.values())
    needs = frozenset({"cost"})
    uses = frozenset()

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: nothing was recorded."""
        if reconstruction.record.cost.is_known:
            return None
        return "needs times or memory in the run record, which the reconstruction does not have"

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Recorded costs; the context has the hardware and the numbers of particles and attempts."""
        missing = self.explain_missing(reconstruction, dataset)
        if missing is not None:
            raise ValueError(f"the cost of {reconstruction.name} cannot be measured: it {missing}.")
        scores = {
            name: Score(name, value, value, value, n=1, items=pd.DataFrame({"value": [value]}))
            for name, value in read_costs(reconstruction).items()
        }
        record = reconstruction.record
        context = {
            "n_particles": len(dataset.particles),
            "hardware": dict(record.machine.hardware),
            "attempts": record.cost.attempts,
        }
        return Scores(scores, context=context)
