"""Error of the occupancy of each component, where states differ in composition.

A reconstruction gives classes or latents, not a list of components, so occupancies are read in the same way for every
method: each class is matched to a true state (one to one where most particles agree, excess classes
by majority, ``metrics.labels.classes``), and a particle's expected occupancy of a component is the mean of those
states' occupancies, weighted by its posterior. The error of a component is the mean over particles of the absolute
difference from the occupancy of the particle's true state. The score is the plain mean over components: large ones
count the same as small ones ("mass-free"). Components with equal occupancy in all states are left out and counted:
they cannot be wrong, and would dilute the score. Particles that were left out get the mean occupancies.

The truth scores 0; labels shuffled over the particles score the "chance" of the items, the mean of abs(o_s − o_t)
over all pairs of a recovered and a true particle, or a little less, since classes are matched to fit.

Confusing two states costs less if they differ in one small part than in many: this is what it adds to the label
scores. It does not look at volumes: density missing from the volume of a correct class is not seen here.

Source: own definition; for occupancies of subunits from maps see MAVEn (Kinman et al. 2023).
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.labels.classes import explain_missing_classes, pair_states_and_classes
from cryobench.metrics.labels.populations import estimate_populations
from cryobench.metrics.metric import Metric, ScoreKind, described
from cryobench.metrics.resampling import resample_means


def occupancy_error(
    true_responsibilities: Float[np.ndarray, "n k"],
    responsibilities: Float[np.ndarray, "m j"],
    occupancies: Float[np.ndarray, "states c"],
) -> Float[np.ndarray, "n c"]:
    """Absolute error (n, c) of each particle's expected occupancy of each component.

    Parameters
    ----------
    true_responsibilities, responsibilities
        (n, k) probability of each particle to be in each state: one-hot for the truth, rows summing to 1.
    occupancies
        (k, c) of c components in k states, in [0, 1].

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    if true_responsibilities.shape != responsibilities.shape or responsibilities.shape[1] != len(occupancies):
        raise ValueError(
            f"probabilities have shapes {true_responsibilities.shape} and {responsibilities.shape}, "
            f"occupancies {occupancies.shape}."
        )
    return np.abs((responsibilities - true_responsibilities) @ occupancies)


@described
class Composition(Metric):
    """Error of the expected occupancy of each component, from classes matched to states of known composition.

    Formula, estimator and failure modes: ``cryobench.metrics.labels.composition``. Invariant to the numbering of
    classes.
    """

    name = "composition"
    label = "Composition"
    scores = (
        ScoreKind(
            "occupancy-error",
            "Occupancy error of components",
            "",
            "lower",
            high=1.0,
            short="Occupancy error",
            main=True,
        ),
    )
    version = 2
    needs = frozenset({"true states"})
    uses = frozenset({"latents", "posteriors"})

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: as for labels, or the states have the same composition."""
        missing = explain_missing_classes(reconstruction, dataset.truth)
        if missing is not None or dataset.truth is None:
            return missing
        if dataset.truth.components is None:
            return "needs true components, which the data set does not have"
        present = np.unique(dataset.truth.states[dataset.truth.states >= 0])
        if not np.ptp(dataset.truth.components.occupancies[present], axis=0).any():
            return "needs a component in which states differ, which the data set does not have"
        return None

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """The score over particles; items are components: component, value, chance, prevalence (mean occupancy)."""
        components = self.require(reconstruction, dataset).components
        assert components is not None  # one of the needs
        paired = pair_states_and_classes(reconstruction, dataset, seed=seed)
        present, true_responsibilities, responsibilities = estimate_populations(paired, reconstruction.posteriors)
        responsibilities[responsibilities.sum(axis=1) == 0] = true_responsibilities.mean(axis=0)
        varies = np.ptp(components.occupancies[present], axis=0) > 0
        if not varies.any():
            raise ValueError(f"all states classified by {reconstruction.name} have the same composition.")
        occupancies = components.occupancies[present][:, varies]
        errors = occupancy_error(true_responsibilities, responsibilities, occupancies)
        true, found = true_responsibilities.mean(axis=0), responsibilities.mean(axis=0)
        apart = np.abs(occupancies[:, None] - occupancies[None])
        items = pd.DataFrame(
            {
                "component": [name for name, kept in zip(components.names, varies, strict=True) if kept],
                "value": errors.mean(axis=0),
                "chance": np.einsum("a,b,abc->c", true, found, apart),
                "prevalence": true @ occupancies,
            }
        )
        of_particles = errors.mean(axis=1)
        value = float(np.clip(of_particles.mean(), 0, 1))
        low, high = np.quantile(resample_means(of_particles[:, None], seed=seed), [0.025, 0.975])
        score = Score(self.scores[0].name, value, float(min(low, value)), float(max(high, value)), len(errors), items)
        context = {
            **paired.context,
            "n_components": int(varies.sum()),
            "n_constant_components": int((~varies).sum()),
            "chance": float(items["chance"].to_numpy().mean()),
        }
        return Scores({score.metric: score}, context=context)
