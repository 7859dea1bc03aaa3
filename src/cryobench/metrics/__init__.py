"""What a reconstruction is worth: metrics, each with its reference, units, direction and known limits.

``METRICS`` names them. A metric sees ``Reconstruction`` and ``Dataset`` and nothing else, so it measures our
methods and imported results alike. What a reconstruction lacks is "not measured", never zero.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cryobench.metrics.evaluate import score
from cryobench.metrics.imbalance import InformationImbalance, information_imbalance
from cryobench.metrics.map_distances import MapDistances, compare_volumes
from cryobench.metrics.metric import Metric, ScoreKind
from cryobench.metrics.neighbourhood import NeighbourhoodSimilarity, neighbourhood_similarity
from cryobench.metrics.registry import METRICS, get_metric, list_metrics
from cryobench.metrics.uncertainty import bootstrap_interval
from cryobench.metrics.volumes import FscCurve, Resolution, fsc, fsc_auc, per_image_fsc, resolution

if TYPE_CHECKING:
    from cryobench.metrics.composition import Composition as Composition
    from cryobench.metrics.composition import occupancy_error as occupancy_error
    from cryobench.metrics.cost import Cost as Cost
    from cryobench.metrics.decoding import Decodability as Decodability
    from cryobench.metrics.decoding import decodability as decodability
    from cryobench.metrics.distributions import Distributions as Distributions
    from cryobench.metrics.labels import Labels as Labels
    from cryobench.metrics.labels import compare_labels as compare_labels
    from cryobench.metrics.populations import Populations as Populations
    from cryobench.metrics.populations import population_divergence as population_divergence
    from cryobench.metrics.populations import population_error as population_error
    from cryobench.metrics.poses import PoseErrors as PoseErrors
    from cryobench.metrics.poses import Poses as Poses
    from cryobench.metrics.poses import pose_error as pose_error
    from cryobench.metrics.profiles import compare_distributions as compare_distributions
    from cryobench.metrics.profiles import free_energy as free_energy
    from cryobench.metrics.transport import earth_movers_distance as earth_movers_distance

_LATE = {
    "Composition": "cryobench.metrics.composition",
    "Cost": "cryobench.metrics.cost",
    "Decodability": "cryobench.metrics.decoding",
    "Distributions": "cryobench.metrics.distributions",
    "Labels": "cryobench.metrics.labels",
    "Populations": "cryobench.metrics.populations",
    "PoseErrors": "cryobench.metrics.poses",
    "Poses": "cryobench.metrics.poses",
    "compare_distributions": "cryobench.metrics.profiles",
    "compare_labels": "cryobench.metrics.labels",
    "decodability": "cryobench.metrics.decoding",
    "earth_movers_distance": "cryobench.metrics.transport",
    "free_energy": "cryobench.metrics.profiles",
    "occupancy_error": "cryobench.metrics.composition",
    "population_divergence": "cryobench.metrics.populations",
    "population_error": "cryobench.metrics.populations",
    "pose_error": "cryobench.metrics.poses",
}
"""What is imported when it is asked for, because most of it needs scikit-learn or SciPy, and where it is."""

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


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'cryobench.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LATE])
