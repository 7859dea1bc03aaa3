"""What a reconstruction cost, from its run record: so that quality can be drawn against it.

Times are those of the reconstruction, not of scoring; the CPU time is that of all threads. Peak memory is the
greatest resident size of the process in GiB. GPU time is how long the accelerator was held, busy or not, and its peak
memory the most that was allocated on it. A score is there only where the run record has the number: an imported
result has none, and a run without an accelerator has no GPU time. A run that was cut off and resumed costs the sum of
its attempts, those that came to nothing included, and the greatest of their peaks; the context says how many there
were. One run says nothing of how its cost varies: both ends of the interval are the value. Costs compare only on the
same machine, which the context names.

Source: the record of ``cryobench.runs.run``; arXiv:2408.05526 reports no costs.
"""

import math

import pandas as pd

from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.metric import Metric, ScoreKind

_GIB = 2**30
RECORDED = {
    "wall-time": ("wall_seconds", 1.0),
    "cpu-time": ("cpu_seconds", 1.0),
    "gpu-time": ("gpu_seconds", 1.0),
    "peak-memory": ("peak_memory_bytes", 1 / _GIB),
    "peak-gpu-memory": ("peak_gpu_memory_bytes", 1 / _GIB),
}
"""Score -> entry of the recorded cost and what it is multiplied by."""

KINDS = (
    ScoreKind("wall-time", "Wall time", "s", "lower", 0.0, float("inf"), blind=True, main=True),
    ScoreKind("cpu-time", "CPU time", "s", "lower", 0.0, float("inf"), blind=True),
    ScoreKind("gpu-time", "GPU time", "s", "lower", 0.0, float("inf"), blind=True),
    ScoreKind("peak-memory", "Peak memory", "GiB", "lower", 0.0, float("inf"), blind=True, main=True, decimals=2),
    ScoreKind("peak-gpu-memory", "Peak GPU memory", "GiB", "lower", 0.0, float("inf"), blind=True, decimals=2),
)


def read_costs(reconstruction: Reconstruction) -> dict[str, float]:
    """Costs by name of the score, those that were recorded.

    Raises
    ------
    ValueError
        If a recorded number is negative, NaN or infinite.
    """
    costs = {}
    for name, (entry, factor) in RECORDED.items():
        recorded = getattr(reconstruction.record.cost, entry)
        if recorded is None:
            continue
        if not math.isfinite(recorded) or recorded < 0:
            raise ValueError(f"the run record of {reconstruction.name} has {entry} = {recorded}, expected 0 or more.")
        costs[name] = float(recorded) * factor
    return costs


class Cost(Metric):
    """Wall, CPU and GPU time and peak memory of the run, from its record.

    What is counted, and when it is not measured: ``cryobench.metrics.cost``.
    """

    name = "cost"
    label = "Cost of the run"
    scores = KINDS
    needs = frozenset({"cost"})
    uses = frozenset()
    reference = "run record of cryobench; quality against cost is not reported in arXiv:2408.05526"
    question = "What did the reconstruction cost in time and memory?"
    formula = """
    wall-time, cpu-time, gpu-time  seconds of the reconstruction, without scoring; CPU time of all threads
    peak-memory                    greatest resident size of the process, in GiB of 2^30 bytes
    peak-gpu-memory                most that was allocated on the accelerator, in GiB
    Of a run that was cut off and resumed: times summed over its attempts, and the greatest of their peaks.
    """
    calibration = ("Controls that only hand on the truth take next to nothing: they are no baseline of cost.",)
    invariances = ("Nothing: the same run on another machine, or on a busy one, costs something else.",)
    cost = "O(1): read from the run record."
    limits = (
        "One run says nothing of how its cost varies; both ends of the interval are the value.",
        "Compares on one machine alone, which the context names. Nor does it count what the user did: tuning, and "
        "runs that failed.",
        "An attempt that was cut off counts with the work that was lost, so that a resumed run costs more than a run "
        "in one attempt; the context says how many there were.",
        "Imported results have no recorded cost, and are not measured.",
    )

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Why it cannot be measured: nothing was recorded."""
        if reconstruction.record.cost.is_known:
            return None
        return "needs times or memory in the run record, which the reconstruction does not have"

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """The recorded costs; the context has the hardware and the numbers of particles and attempts."""
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
