"""A metric of another package: are the classes as large as the states, in thirty lines."""

import numpy as np
import pandas as pd

from cryobench.data import Score, Scores
from cryobench.metrics import Metric, ScoreKind


class ClassSizes(Metric):
    """Share of the particles whose class holds as many particles as their state, and half at least of their state."""

    name = "toy-size"
    label = "Toy: sizes of classes"
    scores = (ScoreKind("toy-size", "Right size", "", "higher", 0.0, 1.0),)
    needs = frozenset({"posteriors", "true states"})
    uses = frozenset()
    reference = "none but this test (arXiv:0000.00000)"
    question = "Are classes as large as the true states, and made of one?"
    formula = "share of particles whose state is the commonest in their class"
    calibration = ("The truth scores 1.",)
    invariances = ("The names of the classes.",)
    cost = "O(n): one table of counts."
    limits = ("One class for all scores the share of the commonest state.",)

    def measure(self, reconstruction, dataset, *, seed=0, progress=None):
        missing = self.explain_missing(reconstruction, dataset)
        if missing is not None:
            raise ValueError(f"not measured: it {missing}.")
        table = pd.crosstab(reconstruction.posteriors.argmax(axis=1), dataset.truth.states)
        right = table.max(axis=1).loc[reconstruction.posteriors.argmax(axis=1)].to_numpy()
        share = right / table.sum(axis=1).loc[reconstruction.posteriors.argmax(axis=1)].to_numpy()
        drawn = np.random.default_rng(seed).choice(share, (200, len(share))).mean(axis=1)
        low, high = np.quantile(drawn, (0.025, 0.975)) if np.ptp(share) else (share[0], share[0])
        value = float(np.clip(share.mean(), low, high))
        items = pd.DataFrame({"particle": np.arange(len(share)), "value": share})
        return Scores({"toy-size": Score("toy-size", value, low, high, len(share), items)})
