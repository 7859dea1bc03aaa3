"""A metric of another package that fails when it is asked."""

from cryobench.metrics import Metric, ScoreKind


class Failing(Metric):
    """Raises."""

    name, label = "failing", "Failing"
    scores = (ScoreKind("failing", "Failing", "", "higher", 0.0, 1.0),)
    needs = frozenset({"posteriors"})
    reference = "none (arXiv:0000.00000)"

    def measure(self, reconstruction, dataset, *, seed=0, progress=None):
        raise KeyError("something of its own")
