"""Coverage: the fraction of the particles to which a reconstruction assigns a latent or a class.

A method may leave particles out, as rows of NaN. Scores of latents and labels count these as uninformative, and
should be read together with the coverage. It is taken over the particles that could be scored: those of known state,
or all of them where no state is known (leaving out junk is right).

Own definition; no method of the published benchmark leaves particles out.
"""

import numpy as np
import pandas as pd

from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.metric import Metric, ScoreKind, described


@described
class Coverage(Metric):
    """Fraction of the particles of known state with a finite latent and posterior, where there are such.

    To be read together with every score of latents and labels.
    """

    name = "coverage"
    label = "Coverage"
    scores = (
        ScoreKind("coverage", "Particles assigned", "%", high=100.0, ignores_identity=True, main=True, decimals=1),
    )
    needs = frozenset({"truth"})
    uses = frozenset({"latents", "posteriors"})

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: it needs latents or posteriors, and truth."""
        if reconstruction.latents is None and reconstruction.posteriors is None:
            return "needs latents or posteriors, which the reconstruction does not have"
        return super().explain_missing(reconstruction, dataset)

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """The single score, of one item; the context has the numbers of particles."""
        states = self.require(reconstruction, dataset).states
        parts = [part for part in (reconstruction.latents, reconstruction.posteriors) if part is not None]
        placed = np.all([np.isfinite(part).all(axis=1) for part in parts], axis=0)
        known = (states >= 0) | ~(states >= 0).any()
        value = 100 * float(placed[known].mean())
        score = Score(self.scores[0].name, value, value, value, n=1, items=pd.DataFrame({"value": [value]}))
        context = {"n_particles": int(known.sum()), "n_placed": int((placed & known).sum())}
        return Scores({score.metric: score}, context=context)
