"""What a reconstruction is worth: metrics, each with its reference, units, direction and known limits.

``METRICS`` names them. A metric sees ``Reconstruction`` and ``Dataset`` and nothing else, so it measures our
methods and imported results alike. What a reconstruction lacks is "not measured", never zero.
"""

from typing import TYPE_CHECKING

from cryobench._lazy import late_names
from cryobench._registry import Entry, list_names, load_named

if TYPE_CHECKING:
    from cryobench.metrics.cost import Cost as Cost
    from cryobench.metrics.evaluate import score as score
    from cryobench.metrics.labels.agreement import Labels as Labels
    from cryobench.metrics.labels.agreement import compare_labels as compare_labels
    from cryobench.metrics.labels.composition import Composition as Composition
    from cryobench.metrics.labels.composition import occupancy_error as occupancy_error
    from cryobench.metrics.labels.populations import Populations as Populations
    from cryobench.metrics.labels.populations import population_divergence as population_divergence
    from cryobench.metrics.labels.populations import population_error as population_error
    from cryobench.metrics.latents.imbalance import InformationImbalance as InformationImbalance
    from cryobench.metrics.latents.imbalance import information_imbalance as information_imbalance
    from cryobench.metrics.latents.neighbourhood import NeighbourhoodSimilarity as NeighbourhoodSimilarity
    from cryobench.metrics.latents.neighbourhood import neighbourhood_similarity as neighbourhood_similarity
    from cryobench.metrics.metric import Metric as Metric
    from cryobench.metrics.metric import ScoreKind as ScoreKind
    from cryobench.metrics.poses.errors import PoseErrors as PoseErrors
    from cryobench.metrics.poses.errors import Poses as Poses
    from cryobench.metrics.poses.errors import pose_error as pose_error
    from cryobench.metrics.uncertainty import bootstrap_interval as bootstrap_interval
    from cryobench.metrics.variables.decoding import Decodability as Decodability
    from cryobench.metrics.variables.decoding import decodability as decodability
    from cryobench.metrics.variables.distributions import Distributions as Distributions
    from cryobench.metrics.variables.profiles import compare_distributions as compare_distributions
    from cryobench.metrics.variables.profiles import free_energy as free_energy
    from cryobench.metrics.variables.transport import earth_movers_distance as earth_movers_distance
    from cryobench.metrics.volumes.map_distances import MapDistances as MapDistances
    from cryobench.metrics.volumes.map_distances import compare_volumes as compare_volumes
    from cryobench.metrics.volumes.per_image import FscCurve as FscCurve
    from cryobench.metrics.volumes.per_image import Resolution as Resolution
    from cryobench.metrics.volumes.per_image import fsc as fsc
    from cryobench.metrics.volumes.per_image import fsc_auc as fsc_auc
    from cryobench.metrics.volumes.per_image import per_image_fsc as per_image_fsc
    from cryobench.metrics.volumes.per_image import resolution as resolution

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
"""Name of each metric, where it is, and its label, in the order of display."""

GROUP = "cryobench.metrics"
"""Entry-point group by which other packages add theirs."""

BASE = "cryobench.metrics.metric:Metric"
"""What those are."""


def list_metrics() -> list[str]:
    """Names of all metrics: those of this package and those that installed packages add."""
    return list_names(METRICS, GROUP, BASE)


def get_metric(name: str) -> "type[Metric]":
    """Class of a metric. UnknownName, with near names, if there is none."""
    return load_named("metric", name, METRICS, GROUP, BASE)


_LATE = {
    "Composition": "cryobench.metrics.labels.composition",
    "Cost": "cryobench.metrics.cost",
    "Decodability": "cryobench.metrics.variables.decoding",
    "Distributions": "cryobench.metrics.variables.distributions",
    "FscCurve": "cryobench.metrics.volumes.per_image",
    "InformationImbalance": "cryobench.metrics.latents.imbalance",
    "Labels": "cryobench.metrics.labels.agreement",
    "MapDistances": "cryobench.metrics.volumes.map_distances",
    "Metric": "cryobench.metrics.metric",
    "NeighbourhoodSimilarity": "cryobench.metrics.latents.neighbourhood",
    "Populations": "cryobench.metrics.labels.populations",
    "PoseErrors": "cryobench.metrics.poses.errors",
    "Poses": "cryobench.metrics.poses.errors",
    "Resolution": "cryobench.metrics.volumes.per_image",
    "ScoreKind": "cryobench.metrics.metric",
    "bootstrap_interval": "cryobench.metrics.uncertainty",
    "compare_distributions": "cryobench.metrics.variables.profiles",
    "compare_labels": "cryobench.metrics.labels.agreement",
    "compare_volumes": "cryobench.metrics.volumes.map_distances",
    "decodability": "cryobench.metrics.variables.decoding",
    "earth_movers_distance": "cryobench.metrics.variables.transport",
    "free_energy": "cryobench.metrics.variables.profiles",
    "fsc": "cryobench.metrics.volumes.per_image",
    "fsc_auc": "cryobench.metrics.volumes.per_image",
    "information_imbalance": "cryobench.metrics.latents.imbalance",
    "neighbourhood_similarity": "cryobench.metrics.latents.neighbourhood",
    "occupancy_error": "cryobench.metrics.labels.composition",
    "per_image_fsc": "cryobench.metrics.volumes.per_image",
    "population_divergence": "cryobench.metrics.labels.populations",
    "population_error": "cryobench.metrics.labels.populations",
    "pose_error": "cryobench.metrics.poses.errors",
    "resolution": "cryobench.metrics.volumes.per_image",
    "score": "cryobench.metrics.evaluate",
}
"""What is imported when it is asked for, because it needs PyTorch, pandas or scikit-learn, and where it is."""

__all__ = [
    "METRICS",
    "Composition",
    "Cost",
    "Decodability",
    "Distributions",
    "FscCurve",
    "InformationImbalance",
    "Labels",
    "MapDistances",
    "Metric",
    "NeighbourhoodSimilarity",
    "Populations",
    "PoseErrors",
    "Poses",
    "Resolution",
    "ScoreKind",
    "bootstrap_interval",
    "compare_distributions",
    "compare_labels",
    "compare_volumes",
    "decodability",
    "earth_movers_distance",
    "free_energy",
    "fsc",
    "fsc_auc",
    "get_metric",
    "information_imbalance",
    "list_metrics",
    "neighbourhood_similarity",
    "occupancy_error",
    "per_image_fsc",
    "population_divergence",
    "population_error",
    "pose_error",
    "resolution",
    "score",
]

__getattr__, __dir__ = late_names(__name__, _LATE)
