"""What a reconstruction is worth: metrics, each with its reference, units, direction and known limits.

``METRICS`` names them. A metric sees ``Reconstruction`` and ``Dataset`` and nothing else, so it measures our
methods and imported results alike. What a reconstruction lacks is "not measured", never zero.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cryobench.metrics.evaluate import score
from cryobench.metrics.imbalance import InformationImbalance, information_imbalance
from cryobench.metrics.metric import Metric, ScoreKind
from cryobench.metrics.neighbourhood import NeighbourhoodSimilarity, neighbourhood_similarity
from cryobench.metrics.registry import METRICS, get_metric, list_metrics
from cryobench.metrics.uncertainty import bootstrap_interval
from cryobench.metrics.volumes import FscCurve, Resolution, fsc, fsc_auc, per_image_fsc, resolution

if TYPE_CHECKING:
    from cryobench.metrics.decoding import Decodability as Decodability
    from cryobench.metrics.decoding import decodability as decodability

_LATE = {
    "Decodability": "cryobench.metrics.decoding",
    "decodability": "cryobench.metrics.decoding",
}
"""What is imported when it is asked for, because it needs scikit-learn, and where it is."""

__all__ = [
    "METRICS",
    "Decodability",
    "FscCurve",
    "InformationImbalance",
    "Metric",
    "NeighbourhoodSimilarity",
    "Resolution",
    "ScoreKind",
    "bootstrap_interval",
    "decodability",
    "fsc",
    "fsc_auc",
    "get_metric",
    "information_imbalance",
    "list_metrics",
    "neighbourhood_similarity",
    "per_image_fsc",
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
