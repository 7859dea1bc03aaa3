"""Metrics by name, in display order; other packages add theirs through the entry-point group."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryobench._registry import Entry, list_names, load_named

if TYPE_CHECKING:
    from cryobench.metrics.metric import Metric

METRICS = {
    "per-image-fsc": Entry("cryobench.metrics.volumes.per_image:PerImageFsc"),
    "heterogeneity-fsc": Entry("cryobench.metrics.volumes.heterogeneity:HeterogeneityFsc"),
    "per-conformation-fsc": Entry("cryobench.metrics.volumes.per_conformation:PerConformationFsc"),
    "coverage": Entry("cryobench.metrics.coverage:Coverage"),
    "labels": Entry("cryobench.metrics.labels.agreement:Labels"),
    "populations": Entry("cryobench.metrics.labels.populations:Populations"),
    "distributions": Entry("cryobench.metrics.variables.distributions:Distributions"),
    "composition": Entry("cryobench.metrics.labels.composition:Composition"),
    "neighbourhood-similarity": Entry("cryobench.metrics.latents.scores:NeighbourhoodSimilarityMetric"),
    "information-imbalance": Entry("cryobench.metrics.latents.scores:InformationImbalanceMetric"),
    "decodability": Entry("cryobench.metrics.variables.decoding:DecodabilityMetric"),
    "poses": Entry("cryobench.metrics.poses.errors:Poses"),
    "cost": Entry("cryobench.metrics.cost:Cost"),
}
"""Name of each metric -> where it is defined, in display order. Its question, as listed, is in its texts."""

GROUP = "cryobench.metrics"
"""Entry-point group by which other packages add theirs."""

BASE = "cryobench.metrics.metric:Metric"
"""Description of the entries of that group."""


def read_texts(name: str) -> dict[str, Any]:
    """Texts of the page of a metric of this package, of ``texts/NAME.toml``, by attribute of its class."""
    return tomllib.loads((Path(__file__).with_name("texts") / f"{name}.toml").read_text(encoding="utf-8"))


def list_metrics() -> list[str]:
    """Names of all metrics, of this package and of other installed packages."""
    return list_names(METRICS, GROUP, BASE)


def get_metric(name: str) -> "type[Metric]":
    """Class of a metric. UnknownName, with similar names, if there is none."""
    return load_named("metric", name, METRICS, GROUP, BASE)
