"""Metrics by name, in display order; other packages add theirs through the entry-point group."""

from typing import TYPE_CHECKING

from cryobench._registry import Entry, list_names, load_named

if TYPE_CHECKING:
    from cryobench.metrics.metric import Metric

METRICS = {
    "per-image-fsc": Entry(
        "cryobench.metrics.volumes.per_image:PerImageFsc",
        "How similar, shell by shell, are the volume given for a particle and the particle's true volume?",
    ),
    "heterogeneity-fsc": Entry(
        "cryobench.metrics.volumes.heterogeneity:HeterogeneityFsc",
        "How well do the volumes resolve the differences between particles, apart from their common part?",
    ),
    "per-conformation-fsc": Entry(
        "cryobench.metrics.volumes.per_conformation:PerConformationFsc",
        "How similar are the reconstructed volume of a true state and that state's true volume?",
    ),
    "coverage": Entry(
        "cryobench.metrics.coverage:Coverage",
        "For what fraction of the particles does the reconstruction give a latent or a class?",
    ),
    "labels": Entry(
        "cryobench.metrics.labels.agreement:Labels",
        "Do the classes of a reconstruction keep particles of one true state together and those of others apart?",
    ),
    "populations": Entry(
        "cryobench.metrics.labels.populations:Populations", "Are the states recovered in their true proportions?"
    ),
    "distributions": Entry(
        "cryobench.metrics.variables.distributions:Distributions",
        "Is the distribution along each collective variable, and its free-energy profile, recovered?",
    ),
    "composition": Entry(
        "cryobench.metrics.labels.composition:Composition",
        "Are components found where they are present, and absent where they are absent?",
    ),
    "neighbourhood-similarity": Entry(
        "cryobench.metrics.latents.scores:NeighbourhoodSimilarityMetric",
        "Are the particles most similar in truth the nearest ones in the latent?",
    ),
    "information-imbalance": Entry(
        "cryobench.metrics.latents.scores:InformationImbalanceMetric",
        "Do distances in the latent predict those in truth and the reverse, and do they reveal pose or CTF?",
    ),
    "decodability": Entry(
        "cryobench.metrics.variables.decoding:DecodabilityMetric",
        "Can each collective variable be predicted from the latent, and is it an axis of it?",
    ),
    "poses": Entry(
        "cryobench.metrics.poses.errors:Poses",
        "How far are estimated orientations and shifts from the true ones, in the frame that fits them best?",
    ),
    "cost": Entry("cryobench.metrics.cost:Cost", "What did the reconstruction cost in time and memory?"),
}
"""Name of each metric -> where it is defined, and its question; in display order."""

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
