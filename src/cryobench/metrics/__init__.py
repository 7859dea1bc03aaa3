"""What a reconstruction is worth: metrics, each with its reference, units, direction and known limits.

``METRICS`` names them. A metric sees ``Reconstruction`` and ``Dataset`` and nothing else, so it measures our
methods and imported results alike. What a reconstruction lacks is "not measured", never zero.
"""

from cryobench.metrics.evaluate import score
from cryobench.metrics.metric import Metric, ScoreKind
from cryobench.metrics.registry import METRICS, get_metric, list_metrics
from cryobench.metrics.uncertainty import bootstrap_interval
from cryobench.metrics.volumes import FscCurve, Resolution, fsc, fsc_auc, per_image_fsc, resolution

__all__ = [
    "METRICS",
    "FscCurve",
    "Metric",
    "Resolution",
    "ScoreKind",
    "bootstrap_interval",
    "fsc",
    "fsc_auc",
    "get_metric",
    "list_metrics",
    "per_image_fsc",
    "resolution",
    "score",
]
