"""Heterogeneity FSC: how well a reconstruction resolves differences between particles, without their common part.

Per-image FSC is dominated by the rigid part of the molecule, so that one map for all particles can score above maps
of the true states. Three scores avoid this; the two areas are given in the published unit (cycles/px) and normalised
(truth is 1):

| score | definition | one map for all |
|---|---|---|
| deviation-fsc-auc | area under the FSC of deviations from the mean volume (``deviations``) | 0 |
| variance-fsc-auc | area under the FSC in a soft mask of high truth variance (``variance_mask``) | above 0 |
| variance-fsc-gain | the normalised area, rescaled: 0 for the best single map, 1 for the truth | at most 0 |

All are invariant to a common scale factor and additive constant of the reconstruction's volumes, but not to rotation
or shift, so volumes of ab initio methods are aligned first. Deviations are noisier than volumes: noise in the map of
a state counts fully, which is why back-projection by the true labels is far from 1, and why more images per class,
with the same labels, score higher. With few query particles or states, each contributes strongly to the mean.
"""

import numpy as np
import pandas as pd

from cryobench._progress import Progress, Silent
from cryobench.data import Dataset, GroundTruth, Reconstruction, Score, Scores
from cryobench.metrics.metric import Metric, ScoreKind, add_masked, described
from cryobench.metrics.uncertainty import interval_over_groups, summarise
from cryobench.metrics.volumes.deviations import Moments, correlate_deviations, deviate, find_moments
from cryobench.metrics.volumes.fsc_curve import INVERTED, FscCurve, fsc_auc
from cryobench.metrics.volumes.query_pairs import hash_mask, lay_out_curves, name_masks, pair_queries
from cryobench.metrics.volumes.variance_mask import correlate_best_map, correlate_where_varying, make_variance_mask


def heterogeneity_fsc(
    reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
) -> Scores:
    """Scores of deviations and of the region that varies, for every query particle of known state.

    Parameters
    ----------
    seed
        For the bootstrap intervals over query particles.

    Returns
    -------
    Means over query particles, one item each; "-masked" ones are of deviations times the data set's mask, if it has
    one. The mask of the "variance-" scores is made from the true query volumes. Curves "deviation-fsc" (mask "none"
    or "mask") and "variance-fsc" (mask "variance") have one row per particle and shell. ``context`` holds the hashes
    and the definition of the masks, the area of the best single map, the numbers of query particles left out (state
    unknown, or true volume equal to the mean), and the intervals over states instead of query particles.

    Raises
    ------
    ValueError
        If there is no truth or no volume, the boxes or the mask differ in shape, the true volumes do not differ, a
        query particle is not one of the data set, or the state of every query is unknown.
    """
    pairs = pair_queries(reconstruction, dataset)
    masks = name_masks(dataset.particles.mask, pairs.volumes.box_size)
    moments = find_moments(pairs)
    pixel_size = dataset.particles.pixel_size
    varying = make_variance_mask(moments.true_variance, pixel_size)
    curves = _correlate(moments, masks, varying.values.numpy(), progress)
    best_map = fsc_auc(correlate_best_map(moments, varying.values.numpy()), normalised=True)

    values: dict[str, np.ndarray] = {}
    for name, of_name in curves.items():
        base, suffix = ("variance", "") if name == "variance" else ("deviation", "" if name == "none" else "-masked")
        values[f"{base}-fsc-auc{suffix}"] = _areas(of_name, normalised=False)
        values[f"{base}-fsc-auc-normalised{suffix}"] = _areas(of_name, normalised=True)
    values["variance-fsc-gain"] = (values["variance-fsc-auc-normalised"] - best_map) / (1 - best_map)
    scores, by_state = _summarise(values, moments, seed)
    context = {
        "mask_sha256": hash_mask(dataset.particles.mask),
        "variance_mask_sha256": varying.sha256,
        "variance_mask": dict(varying.recipe),
        "variance_mask_share_of_box": float(varying.values.mean()),
        "best_single_map_auc_normalised": best_map,
        "box_size": pairs.volumes.box_size,
        "pixel_size": pixel_size,
        "n_queries": len(reconstruction.queries),
        "n_unknown_state": pairs.n_unknown,
        "n_undeviating": moments.n_undeviating,
        "n_states": len(np.unique(moments.pairs.states)),
        "n_distinct_volumes": len(np.unique(moments.contents)),
        "interval_over_states": by_state,
    }
    particles = moments.pairs.particles
    tables = {
        "deviation-fsc": lay_out_curves(particles, {name: curves[name] for name in masks}),
        "variance-fsc": lay_out_curves(particles, {"variance": curves["variance"]}),
    }
    return Scores(scores=scores, curves=tables, context=context)


def _correlate(
    moments: Moments, masks: dict[str, np.ndarray | None], varying: np.ndarray, progress: Progress | None
) -> dict[str, list[FscCurve]]:
    """Curves of all rows by mask, that of the variance mask under "variance"."""
    found: dict[tuple[int, str], FscCurve] = {}
    n = len(moments.pairs)
    with (progress or Silent()).task("heterogeneity FSC", 2 * n) as task:
        for row, of_row in correlate_deviations(moments, masks):
            found.update({(row, name): curve for name, curve in of_row.items()})
            task.advance()
        for row, curve in correlate_where_varying(moments, varying):
            found[row, "variance"] = curve
            task.advance()
    return {name: [found[row, name] for row in range(n)] for name in (*masks, "variance")}


def _areas(curves: list[FscCurve], *, normalised: bool) -> np.ndarray:
    return np.array([fsc_auc(curve, normalised=normalised) for curve in curves])


def _summarise(
    values: dict[str, np.ndarray], moments: Moments, seed: int
) -> tuple[dict[str, Score], dict[str, list[float]]]:
    """Scores with intervals over query particles, and also intervals over states."""
    scores, by_state = {}, {}
    for name, of_rows in values.items():
        items = pd.DataFrame({"particle": moments.pairs.particles, "value": of_rows})
        scores[name] = summarise(name, items, seed=seed)
        by_state[name] = list(interval_over_groups(of_rows, moments.pairs.states, seed=seed))
    return scores, by_state


@described
class HeterogeneityFsc(Metric):
    """FSC of differences between particles: deviations from the mean, and the region where the true volumes vary."""

    name = "heterogeneity-fsc"
    label = "Heterogeneity FSC"
    scores = (
        *add_masked(
            ScoreKind("deviation-fsc-auc", "Deviation FSC-AUC", "cycles/px", low=-0.5, high=0.5),
            ScoreKind(
                "deviation-fsc-auc-normalised",
                "Deviation FSC-AUC, normalised",
                low=-1.0,
                high=1.0,
                short="Deviation FSC-AUC",
                negative=INVERTED,
            ),
        ),
        ScoreKind("variance-fsc-auc", "FSC-AUC, variable region", "cycles/px", low=-0.5, high=0.5),
        ScoreKind("variance-fsc-auc-normalised", "FSC-AUC, variable region, normalised", low=-1.0, high=1.0),
        ScoreKind("variance-fsc-gain", "FSC gain over the best single map, variable region", low=-np.inf, high=1.0),
    )
    version = 2
    needs = frozenset({"volumes", "true volumes"})
    uses = frozenset({"mask"})

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """As ``Metric.explain_missing``; the true query volumes must also differ."""
        missing = super().explain_missing(reconstruction, dataset)
        if missing is not None or dataset.truth is None:
            return missing
        queries = reconstruction.queries[reconstruction.queries < len(dataset.truth)]
        states = dataset.truth.states[queries]
        if len(states) and (states < 0).all():
            return f"needs a query particle of known state, and all {len(states)} are unlabelled"
        present = np.unique(states[states >= 0])
        if len(present) and not _differ(dataset.truth, present):
            return (
                f"needs query particles whose true volumes differ, and those of all {len(states)} are the same "
                f"({len(present)} {'state' if len(present) == 1 else 'states'})"
            )
        return None

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores of ``heterogeneity_fsc``."""
        return heterogeneity_fsc(reconstruction, dataset, seed=seed, progress=progress)


def _differ(truth: GroundTruth, states: np.ndarray) -> bool:
    """Whether the volumes of any two states differ by more than rounding; stops reading at the first two that do."""
    assert truth.volumes is not None  # one of the needs
    first = truth.volumes.read(int(states[0]))
    return any(deviate(truth.volumes.read(int(state)), first).any() for state in states[1:])
