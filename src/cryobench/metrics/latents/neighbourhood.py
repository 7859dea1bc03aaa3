"""Neighbourhood similarity: the fraction of the k nearest in truth that are among the k nearest in the latent.

With A_k(i) and B_k(i) the k points other than i that are nearest to point i in the two spaces (Euclidean distance),

    similarity(k) = 100 / (n k) · Σ_i |A_k(i) ∩ B_k(i)|

in percent, against the radius 100 k / n. Equal spaces give 100, independent ones 100 k / (n − 1). As published, it
is computed on every fifth particle, from five starts, at radii of 1 to 20 %; the five give a mean and a spread.

* The published code counts the point itself among the common ones but not in k: its values are ours + 100 / k, and
  at best 100.5 for k = 200. ``NeighbourhoodSimilarity.published`` has them.
* A truth of discrete states has ties: with a hundred states on a circle it is undetermined which half of the left
  and right neighbour states is nearest. The published code breaks ties by index (``similarity``, as a stable double
  ``argsort`` does); an order common to both spaces then counts as agreement. ``tie_averaged`` is the mean over all
  ways to break ties, independently in each space; ``ceiling`` is the most that *any* latent can reach of it, 100
  without ties; ``attained`` is their ratio, point by point: 100 for the truth, with or without ties. The metric
  reports it.

Source: Jeon et al., CryoBench, NeurIPS 2024 (arXiv 2408.05526), and its code, metrics/neighborhood_similarity;
after Boggust, Carter & Satyanarayan, Embedding Comparator, IUI 2022 (doi:10.1145/3490099.3511122).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from cryobench._display import Displayed
from cryobench._threads import run_parts
from cryobench.metrics.latents.latent_spaces import find_common, lay_out
from cryobench.metrics.latents.rank_kernels import count_shared

RADII = tuple(range(1, 21))
"""Published radii, in percent of the points."""
OFFSETS = 5
"""Published number of subsets: every fifth point, from five starts."""
_ROWS = 128
"""Points that a thread measures at once."""


@dataclass(frozen=True, eq=False, repr=False)
class NeighbourhoodSimilarity(Displayed):
    """Common neighbours by radius, in percent; definitions in the module."""

    radii: Float[np.ndarray, "r"]
    """Percent of the points of a subset."""
    neighbours: Int[np.ndarray, "r"]
    """k of each radius."""
    similarities: Float[np.ndarray, "offsets r"]
    """By subset, ties broken by index."""
    averaged: Float[np.ndarray, "offsets r"]
    """The same, averaged over ways to break ties."""
    ceilings: Float[np.ndarray, "offsets r"]
    """Largest ``averaged`` any latent can have."""
    points: Int[np.ndarray, "m"]
    """Rows of the arrays that were measured, subset by subset."""
    attained_by_point: Float[np.ndarray, "m r"]
    """By point: tie-averaged common neighbours in percent of their ceiling."""
    attained_chance: Float[np.ndarray, "r"]
    """Mean of ``attained`` for a latent independent of the truth: ``chance``, or more where the truth has ties."""
    n_points: int
    """Number of points in the smallest subset."""
    n_left_out: int
    """Rows with a NaN or infinite coordinate in either space."""

    @property
    def similarity(self) -> Float[np.ndarray, "r"]:
        """Mean over the subsets."""
        return self.similarities.mean(axis=0)

    @property
    def spread(self) -> Float[np.ndarray, "r"]:
        """Standard deviation over the subsets (population), the published error bar."""
        return self.similarities.std(axis=0)

    @property
    def published(self) -> Float[np.ndarray, "r"]:
        """Values of the published code: the point itself is counted as common, but not in k."""
        return self.similarity + 100 / self.neighbours

    @property
    def tie_averaged(self) -> Float[np.ndarray, "r"]:
        """Mean over the subsets of the value averaged over ways to break ties."""
        return self.averaged.mean(axis=0)

    @property
    def ceiling(self) -> Float[np.ndarray, "r"]:
        """Largest possible ``tie_averaged``, given the ties of the truth."""
        return self.ceilings.mean(axis=0)

    @property
    def attained(self) -> Float[np.ndarray, "r"]:
        """Tie-averaged common neighbours in percent of their ceiling: 100 for the truth, also with ties."""
        return self.attained_by_point.mean(axis=0)

    @property
    def chance(self) -> Float[np.ndarray, "r"]:
        """Mean of ``similarity`` for independent spaces, and of ``tie_averaged``, with or without ties."""
        return 100 * self.neighbours / (self.n_points - 1)


def neighbourhood_similarity(
    truth: Num[np.ndarray, "n *d"],
    latent: Num[np.ndarray, "m *e"],
    radii: Num[np.ndarray, "r"] | list[float] | list[int] | tuple[float, ...] = RADII,
    *,
    offsets: int = OFFSETS,
    advance: Callable[[int], None] | None = None,
) -> NeighbourhoodSimilarity:
    """Fraction of nearest neighbours that two spaces have in common, for all radii in one pass.

    Exact: distances are double precision, without approximation or sampling. Time grows as n² / offsets; memory
    is a few numbers per point. Invariant to rotation, shift and scale of either space, but not to the scale of a
    single dimension; symmetric in the two, except ``ceiling`` and ``attained``.

    Parameters
    ----------
    truth
        (n, d) coordinates in which distance means conformational difference, or (n,) integer labels, all different
        ones equally far apart.
    latent
        (n, e) coordinates of the same n particles, or labels. Rows with NaN in either are left out and counted.
    radii
        Percent of the points of a subset, ascending, above 0 and at most 100. k is the nearest integer number of
        points, at least 1.
    offsets
        Number of subsets: every ``offsets``-th point, from as many starts. 1 takes all points together.
    advance
        Called now and then, from any thread, with the number of points done.

    Raises
    ------
    ValueError
        If the arrays differ in length, a subset has fewer than three points, or the radii are not ascending
        percentages.

    Examples
    --------
    A circle with noise: within the noise neighbours are lost, at ten times the radius most are kept.

    >>> import numpy as np
    >>> angle = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    >>> truth = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> latent = truth + 0.1 * np.random.default_rng(0).normal(size=truth.shape)
    >>> found = neighbourhood_similarity(truth, latent, [1, 10], offsets=1)
    >>> bool(found.similarity[0] < 30), bool(found.similarity[1] > 70), found.chance.round().tolist()
    (True, True, [1.0, 10.0])
    """
    radii = np.asarray(radii, dtype=np.float64)
    if radii.ndim != 1 or len(radii) == 0 or not ((radii > 0) & (radii <= 100)).all() or (np.diff(radii) < 0).any():
        raise ValueError(f"radii must be ascending percentages above 0 and at most 100, got {radii.tolist()}.")
    if offsets < 1:
        raise ValueError(f"offsets must be at least 1, got {offsets}.")
    kept = find_common(truth, latent)
    n_points = len(kept) // offsets
    if n_points < 3:
        raise ValueError(
            f"{len(kept)} of {len(truth)} points are finite in both spaces: every {offsets}-th of them leaves "
            f"{n_points}, and neighbourhoods need at least 3. Use fewer offsets or more points."
        )
    neighbours = np.clip(np.round(radii / 100 * n_points).astype(np.int64), 1, n_points - 1)
    subsets = [kept[start::offsets] for start in range(offsets)]
    measured = [_count(truth[subset], latent[subset], neighbours, advance) for subset in subsets]
    hits, averaged, ceilings = (list(parts) for parts in zip(*measured, strict=True))
    shared_by_chance = neighbours**2 / (n_points - 1)
    return NeighbourhoodSimilarity(
        radii=radii,
        neighbours=neighbours,
        similarities=100 * np.stack([part.mean(axis=0) for part in hits]) / neighbours,
        averaged=100 * np.stack([part.mean(axis=0) for part in averaged]) / neighbours,
        ceilings=100 * np.stack([part.mean(axis=0) for part in ceilings]) / neighbours,
        points=np.concatenate(subsets),
        attained_by_point=100 * np.concatenate(averaged) / np.concatenate(ceilings),
        attained_chance=100 * (shared_by_chance / np.concatenate(ceilings)).mean(axis=0),
        n_points=n_points,
        n_left_out=len(truth) - len(kept),
    )


def _count(
    truth: np.ndarray, latent: np.ndarray, neighbours: np.ndarray, advance: Callable[[int], None] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Common neighbours (n, r) of each point: ties in order, ties averaged, and the largest possible value."""
    spaces, edges = lay_out(truth, latent), neighbours + 1
    shape = (len(truth), len(neighbours))
    hits, averaged, ceilings = np.empty(shape, np.int32), np.empty(shape), np.empty(shape)

    def measure(start: int, stop: int) -> None:
        count_shared(spaces.first, spaces.second, spaces.discrete, edges, start, stop, hits, averaged, ceilings)
        if advance is not None:
            advance(stop - start)

    starts = range(0, len(truth), _ROWS)
    run_parts(measure, [(start, min(start + _ROWS, len(truth))) for start in starts])
    return hits, averaged, ceilings
