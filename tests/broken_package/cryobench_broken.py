"""Metrics of another package that fail when they are asked, and things that are none."""

from cryobench.metrics import Metric, ScoreKind


class Failing(Metric):
    """Raises."""

    name, label = "failing", "Failing"
    scores = (ScoreKind("failing", "Failing", "", "higher", 0.0, 1.0),)
    needs = frozenset({"posteriors"})
    reference = "none (arXiv:0000.00000)"

    def measure(self, reconstruction, dataset, *, seed=0, progress=None):
        raise KeyError("something of its own")


class FailingBefore(Failing):
    """Raises before it is asked to measure."""

    name = "failing-before"

    def explain_missing(self, reconstruction, dataset):
        raise ZeroDivisionError("something of its own")


class Nameless(Metric):
    """Says neither its name nor its scores."""

    needs = frozenset()

    def measure(self, reconstruction, dataset, *, seed=0, progress=None):
        """Nothing."""


class Unfinished(Failing):
    """Cannot measure."""

    measure = Metric.measure


NUMBER = 5
