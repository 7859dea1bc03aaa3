"""Per-image FSC: the volume decoded at each query particle against that particle's true volume.

The published score of the benchmark. Limitation: most of the correlation is that of the rigid part, and
pooling images of different states raises it, so one map for all particles can score above maps of the true
states. Read it together with the controls (``cryobench list methods``).

Source: Jeon et al., CryoBench, NeurIPS 2024 (arXiv 2408.05526), and its code, cdrgn_per_img_fsc.py. Here query
particles are drawn with the data set rather than by a fixed stride, and intervals are added.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from cryobench._progress import Progress, Silent
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.metric import Metric, ScoreKind, add_masked, described
from cryobench.metrics.uncertainty import summarise
from cryobench.metrics.volumes.fsc_curve import INVERTED, FscCurve, fsc_auc, resolution
from cryobench.metrics.volumes.query_pairs import (
    correlate_by_state,
    hash_mask,
    lay_out_curves,
    name_masks,
    pair_queries,
)

THRESHOLDS = (0.5, 0.143)


def per_image_fsc(
    reconstruction: Reconstruction,
    dataset: Dataset,
    *,
    mask: np.ndarray | Literal["dataset"] | None = "dataset",
    seed: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """FSC of every query volume with the true volume of its particle, unmasked and inside a mask.

    Parameters
    ----------
    mask
        (z, y, x), or "dataset" for the data set's own (skipped if it has none), or None to measure unmasked only.
    seed
        For the bootstrap intervals over query particles.

    Returns
    -------
    Scores "fsc-auc" (published, in cycles/px), "fsc-auc-normalised" (perfect is 1), "resolution-0.5" and
    "resolution-0.143" (median over queries, in Å; the items' column ``crossed`` is False where the curve never
    fell below the threshold and the value is only a bound), and the same with "-masked". The curve "fsc" has one
    row per particle, mask ("none" or "mask") and shell. ``context`` counts the queries left out because their
    true state is unknown.

    Raises
    ------
    ValueError
        If there is no truth or no volume, the boxes differ, a query particle is not one of the data set, or the
        state of every query is unknown.
    """
    pairs = pair_queries(reconstruction, dataset)
    box_size = pairs.volumes.box_size
    mask = dataset.particles.mask if isinstance(mask, str) else mask
    masks = name_masks(mask, box_size)

    found: dict[int, dict[str, FscCurve]] = {}
    alone = ((int(pairs.states[row]), [row]) for row in np.argsort(pairs.states, kind="stable"))
    with (progress or Silent()).task("per-image FSC", len(pairs)) as task:
        for row, of_row in correlate_by_state(pairs, alone, masks):
            found[row] = of_row
            task.advance()

    curves = {name: [found[row][name] for row in range(len(pairs))] for name in masks}
    scores = summarise_curves({"particle": pairs.particles}, curves, dataset.particles.pixel_size, seed=seed)
    context = {
        "mask_sha256": hash_mask(mask),
        "box_size": box_size,
        "pixel_size": dataset.particles.pixel_size,
        "n_queries": len(reconstruction.queries),
        "n_unknown_state": pairs.n_unknown,
    }
    return Scores(scores=scores, curves={"fsc": lay_out_curves(pairs.particles, curves)}, context=context)


def summarise_curves(
    keys: Mapping[str, np.ndarray],
    curves: Mapping[str, Sequence[FscCurve]],
    pixel_size: float,
    *,
    prefix: str = "",
    seed: int = 0,
) -> dict[str, Score]:
    """Scores of the curves of each mask: areas, and resolutions, whose items state whether the curve ``crossed``."""
    scores = {}
    for mask, of_mask in curves.items():
        columns: dict[str, dict[str, Sequence[float]]] = {
            "fsc-auc": {"value": [fsc_auc(curve) for curve in of_mask]},
            "fsc-auc-normalised": {"value": [fsc_auc(curve, normalised=True) for curve in of_mask]},
        }
        for threshold in THRESHOLDS:
            values, crossed = zip(*(resolution(curve, threshold, pixel_size) for curve in of_mask), strict=True)
            columns[f"resolution-{threshold}"] = {"value": values, "crossed": crossed}
        for base, values in columns.items():
            name = f"{prefix}{base}{'' if mask == 'none' else '-masked'}"
            statistic = "median" if base.startswith("resolution") else "mean"
            scores[name] = summarise(name, pd.DataFrame({**keys, **values}), seed=seed, statistic=statistic)
    return scores


@described
class PerImageFsc(Metric):
    """FSC of the volume at each query particle with the true volume of that particle."""

    name = "per-image-fsc"
    label = "Per-image FSC"
    scores = add_masked(
        ScoreKind("fsc-auc", "FSC-AUC", "cycles/px", low=-0.5, high=0.5),
        ScoreKind(
            "fsc-auc-normalised", "FSC-AUC, normalised", low=-1.0, high=1.0, short="FSC-AUC", negative=INVERTED
        ),
        *(
            ScoreKind(f"resolution-{t}", f"Resolution at FSC {t}", "Å", "lower", statistic="median", decimals=1)
            for t in THRESHOLDS
        ),
    )
    version = 2
    needs = frozenset({"volumes", "true volumes"})
    uses = frozenset({"mask"})

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """As ``Metric.explain_missing``; a query particle of known state is also needed."""
        missing = super().explain_missing(reconstruction, dataset)
        if missing is not None or dataset.truth is None:
            return missing
        queries = reconstruction.queries[reconstruction.queries < len(dataset.truth)]
        if len(queries) and (dataset.truth.states[queries] < 0).all():
            return f"needs a query particle of known state, and all {len(queries)} are unlabelled"
        return None

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores as of ``per_image_fsc``; masked by the data set's mask if it has one."""
        return per_image_fsc(reconstruction, dataset, seed=seed, progress=progress)
