"""Metrics by name, in display order; other packages add theirs through the entry-point group."""

from typing import TYPE_CHECKING

from cryobench._registry import Entry, list_names, load_named

if TYPE_CHECKING:
    from cryobench.metrics.metric import Metric

METRICS = {
    "per-image-fsc": Entry("cryobench.metrics.volumes.per_image:PerImageFsc", "Per-image FSC"),
    "heterogeneity-fsc": Entry("cryobench.metrics.volumes.heterogeneity:HeterogeneityFsc", "Heterogeneity FSC"),
    "per-conformation-fsc": Entry(
        "cryobench.metrics.volumes.per_conformation:PerConformationFsc", "Per-conformation FSC"
    ),
    "coverage": Entry("cryobench.metrics.coverage:Coverage", "Coverage"),
    "labels": Entry("cryobench.metrics.labels.agreement:Labels", "Agreement of labels"),
    "populations": Entry("cryobench.metrics.labels.populations:Populations", "Populations of states"),
    "distributions": Entry(
        "cryobench.metrics.variables.distributions:Distributions", "Distributions along collective variables"
    ),
    "composition": Entry("cryobench.metrics.labels.composition:Composition", "Composition"),
    "neighbourhood-similarity": Entry(
        "cryobench.metrics.latents.scores:NeighbourhoodSimilarityMetric", "Neighbourhood similarity"
    ),
    "information-imbalance": Entry(
        "cryobench.metrics.latents.scores:InformationImbalanceMetric", "Information imbalance"
    ),
    "decodability": Entry(
        "cryobench.metrics.variables.decoding:DecodabilityMetric", "Decodability of collective variables"
    ),
    "poses": Entry("cryobench.metrics.poses.errors:Poses", "Pose error"),
    "cost": Entry("cryobench.metrics.cost:Cost", "Cost of the run"),
}
"""Name of each metric -> where it is defined, and its label; in display order."""

GROUP = "cryobench.metrics"
"""Entry-point group by which other packages add theirs."""

BASE = "cryobench.metrics.metric:Metric"
"""Description of the entries of that group."""


def list_metrics() -> list[str]:
    """Names of all metrics, of this package and of other installed packages."""
    return list_names(METRICS, GROUP, BASE)


def get_metric(name: str) -> "type[Metric]":
    """Class of a metric. UnknownName, with similar names, if there is none."""
    return load_named("metric", name, METRICS, GROUP, BASE)
