"""The metrics by name; packages add their own through the entry-point group ``cryobench.metrics``."""

from cryobench._registry import list_names, load_named
from cryobench.metrics.metric import Metric

METRICS = {
    "per-image-fsc": "cryobench.metrics.volumes:PerImageFsc",
    "per-conformation-fsc": "cryobench.metrics.conformations:PerConformationFsc",
    "heterogeneity-fsc": "cryobench.metrics.heterogeneity:HeterogeneityFsc",
    "coverage": "cryobench.metrics.coverage:Coverage",
    "labels": "cryobench.metrics.labels:Labels",
    "populations": "cryobench.metrics.populations:Populations",
    "distributions": "cryobench.metrics.distributions:Distributions",
    "poses": "cryobench.metrics.poses:Poses",
    "composition": "cryobench.metrics.composition:Composition",
    "cost": "cryobench.metrics.cost:Cost",
    "neighbourhood-similarity": "cryobench.metrics.latents:NeighbourhoodSimilarityMetric",
    "information-imbalance": "cryobench.metrics.latents:InformationImbalanceMetric",
    "decodability": "cryobench.metrics.decoding:DecodabilityMetric",
}
"""Name of each metric and where it is."""

GROUP = "cryobench.metrics"


def list_metrics() -> list[str]:
    """Names of all metrics, installed extensions included."""
    return list_names(METRICS, GROUP, Metric)


def get_metric(name: str) -> type[Metric]:
    """Class of a metric. UnknownName, with a suggestion, if there is none of that name."""
    return load_named("metric", name, METRICS, GROUP, Metric)
