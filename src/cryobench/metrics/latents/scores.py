"""Latent metrics of reconstructions: correct neighbours, and the information that two spaces have about each other.

Both compare the latent with the true heterogeneity over the particles that have both (``latent_spaces``), by the
array functions ``neighbourhood_similarity`` and ``information_imbalance``, which give formulas and sources.
Particles that the reconstruction left out count in the scores: they have no common neighbours, their imbalance is 1,
and as true neighbours of others they are missed. Curves are of the assigned particles, as published, with coverage.
Intervals are over particles; that particles have neighbours in common is not accounted for, so they are too narrow.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from cryobench._progress import Progress, Silent
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.latents.imbalance import NEIGHBOURS, SUBSET_SIZE, InformationImbalance, information_imbalance
from cryobench.metrics.latents.latent_spaces import (
    LatentAndTruth,
    Space,
    draw_subset,
    explain_missing_spaces,
    find_ctf,
    find_pose,
    pair_spaces,
)
from cryobench.metrics.latents.neighbourhood import OFFSETS, RADII, neighbourhood_similarity
from cryobench.metrics.metric import Metric, ScoreKind, described
from cryobench.metrics.resampling import centred_interval, resample_means

MOST_NEIGHBOURHOODS = 100_000
"""Most particles whose neighbourhoods are compared, as published: five subsets of 20,000."""
MOST_IN_SUBSETS = 20_000
"""Most particles for the information imbalance: ten subsets of 2,000."""
MOST_TOGETHER = 4_000
"""Most particles for the information imbalance of one set."""
SCORED_RADII = (1, 5, 10, 20)
_OF_TRUTH = ("imbalance-truth-to-latent", "imbalance-latent-to-truth")
"""Scores in which a particle without a latent counts; the others are of the particles that have one."""
LARGEST_AVERAGED = 30
"""Largest k over which published figures average the imbalance."""


@described
class NeighbourhoodSimilarityMetric(Metric):
    """Fraction of each particle's nearest neighbours in truth that are also nearest in the latent, by radius.

    Reported relative to the maximum that ties of the truth allow (``attained``), which is the published quantity
    without ties. Chance is the radius itself, or more where the truth is discrete: see the curve's columns.
    """

    name = "neighbourhood-similarity"
    label = "Neighbourhood similarity"
    scores = (
        *(
            ScoreKind(f"neighbourhood-similarity-{r}", f"Common neighbours, radius {r} %", "%", high=100, decimals=1)
            for r in SCORED_RADII
        ),
        ScoreKind(
            "neighbourhood-similarity-area",
            "Common neighbours, mean over radii",
            "%",
            high=100,
            short="Common neighbours",
            main=True,
            decimals=1,
        ),
    )
    version = 2
    needs = frozenset({"truth"})
    uses = frozenset({"latents", "posteriors"})
    curves = (("neighbourhood-similarity", "common neighbours by radius"),)

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: it needs latents or posteriors, and a truth that varies."""
        return explain_missing_spaces(reconstruction, dataset)

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores at some radii and their mean over all; curve "neighbourhood-similarity" has every quantity."""
        pair = pair_spaces(reconstruction, dataset, at_most=MOST_NEIGHBOURHOODS, seed=seed)
        with (progress or Silent()).task("neighbourhood similarity", len(pair.particles)) as task:
            found = neighbourhood_similarity(pair.truth, pair.latent, RADII, offsets=OFFSETS, advance=task.advance)
        whole, scored = pair, found
        if len(pair.unplaced):
            whole = pair.with_unplaced()
            scored = neighbourhood_similarity(whole.truth, whole.latent, RADII, offsets=OFFSETS)
        placed = ~np.isin(whole.particles[scored.points], pair.unplaced)
        by_point, radii = scored.attained_by_point * placed[:, None], found.radii
        columns = {f"{self.name}-{radius}": by_point[:, RADII.index(radius)] for radius in SCORED_RADII}
        columns[f"{self.name}-area"] = _average_over(by_point, radii)
        curve = pd.DataFrame(
            {
                "radius": radii,
                "k": found.neighbours,
                "attained": found.attained,
                "similarity": found.similarity,
                "spread": found.spread,
                "published": found.published,
                "tie_averaged": found.tie_averaged,
                "ceiling": found.ceiling,
                "chance": found.chance,
                "attained_chance": found.attained_chance,
                "coverage": pair.context["coverage"],
            }
        )
        context = {**pair.context, "n_subsets": OFFSETS, "n_points_of_subset": found.n_points}
        scores = _score_columns(whole.particles[scored.points], columns, self.scores, seed=seed)
        return Scores(scores, {self.name: curve}, context)


@described
class InformationImbalanceMetric(Metric):
    """Information of the latent and the true heterogeneity about each other, and of the latent about pose and CTF.

    To heterogeneity, 0 is best and 1 is chance; to pose and CTF, 1 is best, and less is leakage. Each is
    the mean over k of 1, 3, 10 and 30 in subsets of 2,000 particles, as published; the curve has every k, both
    directions, and up to 4,000 particles in one set.
    """

    name = "information-imbalance"
    label = "Information imbalance"
    scores = (
        ScoreKind("imbalance-truth-to-latent", "Information imbalance, truth to latent", "", "lower", high=2.0),
        ScoreKind(
            "imbalance-latent-to-truth",
            "Information imbalance, latent to truth",
            "",
            "lower",
            high=2.0,
            short="Imbalance to truth",
            main=True,
        ),
        *(
            ScoreKind(
                f"imbalance-latent-to-{name.lower()}",
                f"Information imbalance, latent to {name}",
                high=2.0,
                ignores_identity=True,
            )
            for name in ("pose", "CTF")
        ),
    )
    version = 3
    needs = frozenset({"truth"})
    uses = frozenset({"latents", "posteriors"})
    curves = (("information-imbalance", "information imbalance by direction and number of neighbours"),)

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: it needs latents or posteriors, and a truth that varies."""
        return explain_missing_spaces(reconstruction, dataset)

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores to "truth" always, to "pose" and "ctf" if they are known; curve "information-imbalance"."""
        pair = pair_spaces(reconstruction, dataset, at_most=MOST_IN_SUBSETS, seed=seed)
        others = {"truth": pair.truth, **_find_leaks(dataset, pair.particles)}
        n = len(pair.particles)
        together = draw_subset(np.arange(n), MOST_TOGETHER, seed=seed, purpose="latent-metrics/together")
        columns, rows, measured = {}, [], np.arange(0)
        total = len(others) * (n + (len(together) if n > SUBSET_SIZE else 0))
        with (progress or Silent()).task("information imbalance", total) as task:
            for name, other in others.items():
                options = {"ties": "average", "seed": seed, "advance": task.advance}
                size = min(SUBSET_SIZE, n)
                fitting = [k for k in NEIGHBOURS if k < size]
                found = information_imbalance(pair.latent, other, fitting, subset_size=size, **options)
                rows.append(_tabulate(name, "subsets", found))
                averaged = found.neighbours <= LARGEST_AVERAGED
                columns[f"imbalance-latent-to-{name}"] = found.forward_by_point[:, averaged].mean(axis=1)
                if name == "truth":
                    columns["imbalance-truth-to-latent"] = found.backward_by_point[:, averaged].mean(axis=1)
                measured = pair.particles[found.points]
                if n > SUBSET_SIZE:
                    found = information_imbalance(pair.latent[together], other[together], fitting, **options)
                    rows.append(_tabulate(name, "together", found))
        context = {**pair.context, "n_measured": len(measured), "n_together": len(together)}
        curve = pd.concat(rows, ignore_index=True).assign(coverage=pair.context["coverage"])
        of_truth = {name: columns.pop(name) for name in _OF_TRUTH}, measured
        if len(pair.unplaced):
            of_truth = _count_unplaced(pair, seed)
        scores = _score_columns(of_truth[1], of_truth[0], self.scores, seed=seed)
        if columns:
            scores |= _score_columns(measured, columns, self.scores, seed=seed)
        return Scores(scores, {self.name: curve}, context)


def _count_unplaced(pair: LatentAndTruth, seed: int) -> tuple[dict[str, np.ndarray], Int[np.ndarray, "m"]]:
    """The two scores to and from the truth of each particle, including those without a latent; and their indices."""
    whole = pair.with_unplaced()
    size = min(SUBSET_SIZE, len(whole.particles))
    averaged = [k for k in NEIGHBOURS if k < min(size, LARGEST_AVERAGED + 1)]
    found = information_imbalance(whole.truth, whole.latent, averaged, subset_size=size, ties="average", seed=seed)
    particles = whole.particles[found.points]
    unplaced = np.isin(particles, pair.unplaced)
    ways = (found.forward_by_point, found.backward_by_point)
    columns = {
        name: np.where(unplaced, 1.0, by_point.mean(axis=1)) for name, by_point in zip(_OF_TRUTH, ways, strict=True)
    }
    return columns, particles


def _average_over(values: Float[np.ndarray, "m r"], radii: Float[np.ndarray, "r"]) -> Float[np.ndarray, "m"]:
    """Area under each row over the range of the radii, by the trapezoid rule."""
    return (values[:, 1:] + values[:, :-1]) / 2 @ (np.diff(radii) / (radii[-1] - radii[0]))


def _find_leaks(dataset: Dataset, particles: Int[np.ndarray, "m"]) -> dict[str, np.ndarray]:
    """Nuisance spaces: pose and CTF of some particles, where known and varying."""
    truth = dataset.truth
    spaces: dict[str, Space | None] = {"pose": None if truth is None else find_pose(truth), "ctf": find_ctf(dataset)}
    return {name: space.take(particles) for name, space in spaces.items() if space is not None}


def _tabulate(against: str, points: str, found: InformationImbalance) -> pd.DataFrame:
    """Rows of the curve: both directions, every k; the spread is the standard deviation over subsets."""
    ways = {
        f"latent to {against}": (found.forward, found.forward_by_subset),
        f"{against} to latent": (found.backward, found.backward_by_subset),
    }
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "against": against,
                    "direction": direction,
                    "points": points,
                    "n_points": found.subset_size,
                    "n_subsets": found.n_subsets,
                    "k": found.neighbours,
                    "value": mean,
                    "spread": by_subset.std(axis=0),
                }
            )
            for direction, (mean, by_subset) in ways.items()
        ],
        ignore_index=True,
    )


def _score_columns(
    particles: Int[np.ndarray, "m"],
    columns: Mapping[str, Float[np.ndarray, "m"]],
    kinds: Sequence[ScoreKind],
    *,
    seed: int,
) -> dict[str, Score]:
    """Scores in the order of their kinds: mean over particles, with the interval of the bootstrap over them."""
    present = [kind for kind in kinds if kind.name in columns]
    samples = resample_means(np.stack([columns[kind.name] for kind in present], axis=1), seed=seed)
    scores = {}
    for kind, drawn in zip(present, samples.T, strict=True):
        values = columns[kind.name]
        value = float(np.clip(values.mean(), values.min(), values.max()))
        low, high = centred_interval(value, drawn, low=float(values.min()), high=float(values.max()))
        items = pd.DataFrame({"particle": particles, "value": values})
        scores[kind.name] = Score(kind.name, value, low, high, n=len(values), items=items)
    return scores
