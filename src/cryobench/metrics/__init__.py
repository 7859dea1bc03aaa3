"""What a reconstruction is worth: metrics, each with its reference, units, direction and known limits.

``METRICS`` names them. A metric sees ``Reconstruction`` and ``Dataset`` and nothing else, so it measures our
methods and imported results alike. What a reconstruction lacks is "not measured", never zero.
"""

from typing import TYPE_CHECKING

from cryobench._lazy import late_names
from cryobench._registry import Entry, list_names, load_named

if TYPE_CHECKING:
    from cryobench.metrics.composition import Composition as Composition
    from cryobench.metrics.composition import occupancy_error as occupancy_error
    from cryobench.metrics.cost import Cost as Cost
    from cryobench.metrics.decoding import Decodability as Decodability
    from cryobench.metrics.decoding import decodability as decodability
    from cryobench.metrics.distributions import Distributions as Distributions
    from cryobench.metrics.evaluate import score as score
    from cryobench.metrics.imbalance import InformationImbalance as InformationImbalance
    from cryobench.metrics.imbalance import information_imbalance as information_imbalance
    from cryobench.metrics.labels import Labels as Labels
    from cryobench.metrics.labels import compare_labels as compare_labels
    from cryobench.metrics.map_distances import MapDistances as MapDistances
    from cryobench.metrics.map_distances import compare_volumes as compare_volumes
    from cryobench.metrics.metric import Metric as Metric
    from cryobench.metrics.metric import ScoreKind as ScoreKind
    from cryobench.metrics.neighbourhood import NeighbourhoodSimilarity as NeighbourhoodSimilarity
    from cryobench.metrics.neighbourhood import neighbourhood_similarity as neighbourhood_similarity
    from cryobench.metrics.populations import Populations as Populations
    from cryobench.metrics.populations import population_divergence as population_divergence
    from cryobench.metrics.populations import population_error as population_error
    from cryobench.metrics.poses import PoseErrors as PoseErrors
    from cryobench.metrics.poses import Poses as Poses
    from cryobench.metrics.poses import pose_error as pose_error
    from cryobench.metrics.profiles import compare_distributions as compare_distributions
    from cryobench.metrics.profiles import free_energy as free_energy
    from cryobench.metrics.transport import earth_movers_distance as earth_movers_distance
    from cryobench.metrics.uncertainty import bootstrap_interval as bootstrap_interval
    from cryobench.metrics.volumes import FscCurve as FscCurve
    from cryobench.metrics.volumes import Resolution as Resolution
    from cryobench.metrics.volumes import fsc as fsc
    from cryobench.metrics.volumes import fsc_auc as fsc_auc
    from cryobench.metrics.volumes import per_image_fsc as per_image_fsc
    from cryobench.metrics.volumes import resolution as resolution

METRICS = {
    "per-image-fsc": Entry("cryobench.metrics.volumes:PerImageFsc", "Per-image FSC"),
    "heterogeneity-fsc": Entry("cryobench.metrics.heterogeneity:HeterogeneityFsc", "Heterogeneity FSC"),
    "per-conformation-fsc": Entry("cryobench.metrics.conformations:PerConformationFsc", "Per-conformation FSC"),
    "coverage": Entry("cryobench.metrics.coverage:Coverage", "Coverage"),
    "labels": Entry("cryobench.metrics.labels:Labels", "Agreement of labels"),
    "populations": Entry("cryobench.metrics.populations:Populations", "Populations of states"),
    "distributions": Entry(
        "cryobench.metrics.distributions:Distributions", "Distributions along collective variables"
    ),
    "composition": Entry("cryobench.metrics.composition:Composition", "Composition"),
    "neighbourhood-similarity": Entry(
        "cryobench.metrics.latents:NeighbourhoodSimilarityMetric", "Neighbourhood similarity"
    ),
    "information-imbalance": Entry("cryobench.metrics.latents:InformationImbalanceMetric", "Information imbalance"),
    "decodability": Entry("cryobench.metrics.decoding:DecodabilityMetric", "Decodability of collective variables"),
    "poses": Entry("cryobench.metrics.poses:Poses", "Pose error"),
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
    "Composition": "cryobench.metrics.composition",
    "Cost": "cryobench.metrics.cost",
    "Decodability": "cryobench.metrics.decoding",
    "Distributions": "cryobench.metrics.distributions",
    "FscCurve": "cryobench.metrics.volumes",
    "InformationImbalance": "cryobench.metrics.imbalance",
    "Labels": "cryobench.metrics.labels",
    "MapDistances": "cryobench.metrics.map_distances",
    "Metric": "cryobench.metrics.metric",
    "NeighbourhoodSimilarity": "cryobench.metrics.neighbourhood",
    "Populations": "cryobench.metrics.populations",
    "PoseErrors": "cryobench.metrics.poses",
    "Poses": "cryobench.metrics.poses",
    "Resolution": "cryobench.metrics.volumes",
    "ScoreKind": "cryobench.metrics.metric",
    "bootstrap_interval": "cryobench.metrics.uncertainty",
    "compare_distributions": "cryobench.metrics.profiles",
    "compare_labels": "cryobench.metrics.labels",
    "compare_volumes": "cryobench.metrics.map_distances",
    "decodability": "cryobench.metrics.decoding",
    "earth_movers_distance": "cryobench.metrics.transport",
    "free_energy": "cryobench.metrics.profiles",
    "fsc": "cryobench.metrics.volumes",
    "fsc_auc": "cryobench.metrics.volumes",
    "information_imbalance": "cryobench.metrics.imbalance",
    "neighbourhood_similarity": "cryobench.metrics.neighbourhood",
    "occupancy_error": "cryobench.metrics.composition",
    "per_image_fsc": "cryobench.metrics.volumes",
    "population_divergence": "cryobench.metrics.populations",
    "population_error": "cryobench.metrics.populations",
    "pose_error": "cryobench.metrics.poses",
    "resolution": "cryobench.metrics.volumes",
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
