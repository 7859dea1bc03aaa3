"""All scores of one reconstruction: every metric that can be measured, and why the others were not."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.registry import get_metric, list_metrics


def score(
    reconstruction: Reconstruction,
    dataset: Dataset,
    metrics: Sequence[str] | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """Measure a reconstruction against the truth of the data set it was made from.

    Parameters
    ----------
    metrics
        Names of ``METRICS``, or None for all that can be measured. What cannot be is listed with its reason in
        ``Scores.context["not_measured"]``.
    seed
        Of the bootstrap intervals.

    Raises
    ------
    UnknownName
        If there is no metric of that name.
    ValueError
        If a metric asked for by name cannot be measured, or the reconstruction does not fit the data set.
    """

    scores: dict[str, Score] = {}
    curves: dict[str, Any] = {}
    context: dict[str, Any] = {
        "dataset": dataset.name,
        "method": reconstruction.name,
        "version": _package_version(),
        "seed": seed,
        "not_measured": {},
    }
    for name in list_metrics() if metrics is None else metrics:
        metric = get_metric(name)()
        reason = metric.explain_missing(reconstruction, dataset)
        if reason is not None:
            if metrics is not None:
                raise ValueError(f"metric {name} cannot be measured on {reconstruction.name}: it {reason}.")
            context["not_measured"][name] = reason
            continue
        measured = metric.measure(reconstruction, dataset, seed=seed, progress=progress)
        scores.update(measured.scores)
        curves.update(measured.curves)
        context[name] = dict(measured.context)
    return Scores(scores=scores, curves=curves, context=context)


def _package_version() -> str:
    try:
        return version("cryobench")
    except PackageNotFoundError:
        return "not installed"
