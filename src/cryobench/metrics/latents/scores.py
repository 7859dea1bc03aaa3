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

from cryobench._progress import Progress
from cryobench.data import Dataset, Reconstruction, Score, Scores
from cryobench.metrics.latents.imbalance import (
    NEIGHBOURS,
    SUBSET_SIZE,
    InformationImbalance,
    information_imbalance,
)
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
from cryobench.metrics.metric import Metric, ScoreKind, shown
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


class NeighbourhoodSimilarityMetric(Metric):
    """Fraction of each particle's nearest neighbours in truth that are also nearest in the latent, by radius.

    Reported relative to the maximum that ties of the truth allow (``attained``), which is the published quantity
    without ties. Chance is the radius itself, or more where the truth is discrete: see the curve's columns.
    """

    name = "neighbourhood-similarity"
    label = "Neighbourhood similarity"
    scores = (
        *(
            ScoreKind(
                f"neighbourhood-similarity-{radius}",
                f"Common neighbours, radius {radius} %",
                "%",
                "higher",
                0,
                100,
                decimals=1,
            )
            for radius in SCORED_RADII
        ),
        ScoreKind(
            "neighbourhood-similarity-area",
            "Common neighbours, mean over radii",
            "%",
            "higher",
            0,
            100,
            short="Common neighbours",
            main=True,
            decimals=1,
        ),
    )
    version = 2
    needs = frozenset({"truth"})
    uses = frozenset({"latents", "posteriors"})
    curves = (("neighbourhood-similarity", "common neighbours by radius"),)
    reference = (
        "Jeon et al., CryoBench, NeurIPS 2024, arXiv:2408.05526; Boggust et al. 2022, doi:10.1145/3490099.3511122"
    )
    question = "Are the particles most similar in truth the nearest ones in the latent?"
    formula = """
    A_k(i), B_k(i)  the k particles other than i nearest to i in truth and in the latent, Euclidean distance
    n  particles of a subset: every fifth, from five starts     radius = 100 k / n percent

    similarity(k) = 100 / (n k) · Σ_i |A_k(i) ∩ B_k(i)|
    with ties: the mean over all ways to break them (tie_averaged), and its largest value for any latent
    (ceiling); neighbourhood-similarity-r = 100 · tie_averaged / ceiling at r %, particle by particle
    particles without a latent have none in common: 0; they are among the A_k(i) of others but among no B_k(i)
    neighbourhood-similarity-area = its mean over radii of 1 to 20 %, by the trapezoid rule
    """
    conditions = (
        "latents or posteriors",
        "a truth that varies: an embedding, else collective variables, else states (all equally far apart)",
    )
    calibration = (
        "The truth: 100, also with ties.",
        "A random latent: the radius itself (5 at 5 %), more where the truth is discrete (attained_chance of the "
        "curve).",
        "One latent for all particles: as random, since all distances tie.",
        "The truth with half of the particles left out at random: 25 where the truth has no ties, as the others miss "
        "half of their neighbours too, more at small radii where it is discrete. Every score is at most 100 times "
        "the coverage.",
    )
    invariances = (
        "Not changed by rotation, shift and scale of the whole latent, nor by any map that keeps the order of "
        "distances from each particle.",
        "Changed by the scale of one latent dimension.",
    )
    cost = (
        "O(n² d / 5) time for n particles and d dimensions, exact; memory of a few numbers a particle. The published "
        "protocol, 5 subsets of 20,000 particles, 20 radii, 8 dimensions: 15 to 20 s."
    )
    limits = (
        "It depends on the scale of the latent's dimensions, which many methods leave arbitrary.",
        "For discrete states that are all equally far apart it only tests whether a state's particles are together: "
        "radii beyond the size of a state are uninformative.",
        "Global shape is not seen: a circle torn into ten arcs in the wrong order keeps its small neighbourhoods.",
        "The curve is of the assigned particles, as published, and rises where difficult ones are left out: read it "
        "together with the coverage.",
        "Published values count the particle itself as common but not in k, and break ties by index: see column "
        "published of the curve. With 100 states of 1,000 particles they differ from this score.",
        "Particles have neighbours in common: the interval, over particles, is too narrow.",
    )

    def explain_missing(self, reconstruction: Reconstruction, dataset: Dataset) -> str | None:
        """Reason why it cannot be measured: it needs latents or posteriors, and a truth that varies."""
        return explain_missing_spaces(reconstruction, dataset)

    def measure(
        self, reconstruction: Reconstruction, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
    ) -> Scores:
        """Scores at some radii and their mean over all; curve "neighbourhood-similarity" has every quantity."""
        pair = pair_spaces(reconstruction, dataset, at_most=MOST_NEIGHBOURHOODS, seed=seed)
        with shown(progress).task("neighbourhood similarity", len(pair.particles)) as task:
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


class InformationImbalanceMetric(Metric):
    """Information of the latent and the true heterogeneity about each other, and of the latent about pose and CTF.

    To heterogeneity, 0 is best and 1 is chance; to pose and CTF, 1 is best, and less is leakage. Each is
    the mean over k of 1, 3, 10 and 30 in subsets of 2,000 particles, as published; the curve has every k, both
    directions, and all particles together.
    """

    name = "information-imbalance"
    label = "Information imbalance"
    scores = (
        ScoreKind("imbalance-truth-to-latent", "Information imbalance, truth to latent", "", "lower", 0.0, 2.0),
        ScoreKind(
            "imbalance-latent-to-truth",
            "Information imbalance, latent to truth",
            "",
            "lower",
            0.0,
            2.0,
            short="Imbalance to truth",
            main=True,
        ),
        ScoreKind(
            "imbalance-latent-to-pose",
            "Information imbalance, latent to pose",
            "",
            "higher",
            0.0,
            2.0,
            ignores_identity=True,
        ),
        ScoreKind(
            "imbalance-latent-to-ctf",
            "Information imbalance, latent to CTF",
            "",
            "higher",
            0.0,
            2.0,
            ignores_identity=True,
        ),
    )
    version = 3
    needs = frozenset({"truth"})
    uses = frozenset({"latents", "posteriors"})
    curves = (("information-imbalance", "information imbalance by direction and number of neighbours"),)
    reference = "Glielmo et al. 2022, doi:10.1093/pnasnexus/pgac039; Jeon et al., CryoBench, arXiv:2408.05526"
    question = "Do distances in the latent predict those in truth and the reverse, and do they reveal pose or CTF?"
    formula = """
    r_ij^B  rank of particle j by distance from i in space B, 1 the nearest     A_k(i)  the k nearest to i in space A

    Δ(A → B) = 2 / N · mean over i and over j in A_k(i) of r_ij^B, in random subsets of N = 2,000 particles

    imbalance-latent-to-truth = mean over k of 1, 3, 10, 30 of Δ(latent → truth); likewise the others
    to and from the truth a particle without a latent has Δ = 1, and is the farthest from all others in the latent
    ties are averaged over all orders, independently in both spaces; pose is the 9 entries of R, CTF its z-scored
    parameters
    """
    conditions = (
        "latents or posteriors",
        "a truth that varies: an embedding, else collective variables, else states (all equally far apart)",
        "the scores to pose and CTF need these to be known and to vary",
    )
    calibration = (
        "0: neighbours in A are neighbours in B ((k + 1) / N at least). 1: they are anywhere in B.",
        "Latent → truth small: the latent contains the truth. Truth → latent small: it contains nothing else. A junk "
        "dimension raises the second, a latent that folds the truth in half raises the first.",
        "A random latent: 1 in all of them. The truth: 1 to pose and CTF, where these are independent of the state.",
        "The truth with half of the particles left out at random: latent → truth halfway from the truth's to 1.",
        "Published on igg-1d, digitised from a figure (truth → latent, latent → truth): RECOVAR 0.05, 0.04; cryoDRGN "
        "0.28, 0.12.",
    )
    invariances = (
        "Not changed by rotation, shift and scale of a whole space, nor by any map that keeps the order of distances "
        "from each particle.",
        "Changed by the scale of one latent dimension, and by k / N: compare at the same subset size.",
    )
    cost = (
        "O(N² d) for a subset, exact, all k and both directions in one pass; memory of a few numbers a particle. "
        "4,000 particles, 8 dimensions, six k: under 1 s. The whole metric on 100,000 particles (ten subsets of "
        "2,000, and 4,000 together, against truth, pose and CTF): about 5 s."
    )
    limits = (
        "To pose and CTF 1 is the target, and more is no better. A random latent reaches it: read these together "
        "with the scores to the truth.",
        "Scores to pose and CTF, and the curve, are of the assigned particles: read them together with the coverage.",
        "Small k sees only the finest scale, where a noisy latent is pure noise: look at the curve over k.",
        "For discrete truths nearly all ranks tie, so even the perfect latent has values above 0.",
        "Published figures smear discrete truths with noise of unstated size: they agree with tie averaging only as "
        "that noise tends to 0.",
    )

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
        with shown(progress).task("information imbalance", total) as task:
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
