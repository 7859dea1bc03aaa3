"""Information imbalance: how well distances in one space predict nearest neighbours in another.

With r_ij^B the rank of point j among all others by distance from i in space B (1 is the nearest), and A_k(i) the k
points nearest to i in space A,

    Δ(A → B) = 2 / N · mean over i, and over j in A_k(i), of r_ij^B

so that neighbours in A that are neighbours in B give 0 (exactly (k + 1) / N for equal spaces), and neighbours in A
that are anywhere in B give 1. It is not symmetric: Δ(latent → truth) is small where the latent contains the truth,
Δ(truth → latent) where it contains nothing else. The same against pose and CTF shows what leaked into the latent.

Ties. ``ties="remove"`` does what the published scripts do: of points that coincide in either space, only those
that are the first of their kind in both are kept. This leaves nothing of a truth of discrete states, so the published
figures smear it with noise of unstated size. ``ties="average"`` is the limit of such noise as it vanishes,
without drawing it: the mean over all ways to break ties, independently in the two spaces. It is the default.

Source: Glielmo, Zeni, Cheng, Csányi & Laio, PNAS Nexus 1 (2022) pgac039 (doi:10.1093/pnasnexus/pgac039); the
normalisation is that of DADApy's ``return_information_imbalace``, and subsets of 2,000 points and k of 1 to 300
those of CryoBench (arXiv 2408.05526).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Num

from cryobench._display import Displayed
from cryobench._threads import run_parts
from cryobench.metrics.latents.latent_spaces import find_common, lay_out
from cryobench.metrics.latents.rank_kernels import mean_conditional_ranks
from cryobench.rng import stream

NEIGHBOURS = (1, 3, 10, 30, 100, 300)
"""Published k."""
SUBSET_SIZE = 2000
"""Published subset size."""
_ROWS = 64
"""Points that a thread measures at once."""


@dataclass(frozen=True, eq=False, repr=False)
class InformationImbalance(Displayed):
    """Δ in both directions, for every k: 0 is full information, 1 is none."""

    neighbours: Int[np.ndarray, "k"]
    """Numbers of neighbours k."""
    forward_by_point: Float[np.ndarray, "m k"]
    """Δ(A → B) of each point: 2 / N times the mean rank in B of its k nearest in A."""
    backward_by_point: Float[np.ndarray, "m k"]
    """Δ(B → A) of each point."""
    points: Int[np.ndarray, "m"]
    """Rows of the arrays that were measured, subset by subset."""
    n_subsets: int
    subset_size: int
    """Points in each subset: N of the formula."""
    n_duplicates: int
    """Rows removed because they coincide with another in either space."""
    n_left_out: int
    """Rows with a NaN or infinite coordinate in either space."""

    @property
    def forward(self) -> Float[np.ndarray, "k"]:
        """Δ(A → B), mean over points and subsets."""
        return self.forward_by_point.mean(axis=0)

    @property
    def backward(self) -> Float[np.ndarray, "k"]:
        """Δ(B → A), mean over points and subsets."""
        return self.backward_by_point.mean(axis=0)

    @property
    def forward_by_subset(self) -> Float[np.ndarray, "subsets k"]:
        """Δ(A → B) of each subset."""
        return self.forward_by_point.reshape(self.n_subsets, self.subset_size, -1).mean(axis=1)

    @property
    def backward_by_subset(self) -> Float[np.ndarray, "subsets k"]:
        """Δ(B → A) of each subset."""
        return self.backward_by_point.reshape(self.n_subsets, self.subset_size, -1).mean(axis=1)


def information_imbalance(
    a: Num[np.ndarray, "n *d"],
    b: Num[np.ndarray, "m *e"],
    k: int | Sequence[int] | Int[np.ndarray, "k"] | None = None,
    *,
    ties: Literal["remove", "average"] = "average",
    subset_size: int | None = None,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> InformationImbalance:
    """Information imbalance between two spaces, in both directions and for all k in one pass.

    Exact, in double precision. Invariant to rotation, shift and scale of either space, but not to the scale of a
    single dimension. The value depends on k / N: compare at equal k / N.

    Parameters
    ----------
    a, b
        Coordinates (n, d) and (n, e) of the same points, or integer labels (n,), of which all different ones are
        equally far apart. Rows with NaN in either are left out and counted.
    k
        Numbers of neighbours, one or several, each at least 1 and less than the number of points; None for the
        published ones (``NEIGHBOURS``) in that range.
    ties
        "average" over all orders of equal distances, or "remove" duplicates as the published code does, which leaves
        nothing of labels. Without ties the two are the same.
    subset_size
        Split the points at random into as many subsets of this size as there are, leave out the rest, and take the
        mean. None, or more than there are, takes all points together.
    seed
        For the split.
    advance
        Called now and then, from any thread, with the number of points done.

    Raises
    ------
    ValueError
        If the arrays differ in length, or too few distinct points are left for a k.

    Examples
    --------
    The truth with a junk dimension predicts the truth, but not the other way round:

    >>> import numpy as np
    >>> truth, junk = np.random.default_rng(0).normal(size=(2, 1000, 1))
    >>> found = information_imbalance(np.hstack([truth, junk]), truth, k=10)
    >>> bool(found.forward[0] < 0.2), bool(found.backward[0] > 0.4)
    (True, True)
    """
    kept = find_common(a, b)
    distinct = kept if ties == "average" else kept[_find_distinct(a[kept], b[kept])]
    size = len(distinct) if subset_size is None else min(subset_size, len(distinct))
    n_subsets = max(1, len(distinct) // max(size, 1))
    wanted = [each for each in NEIGHBOURS if each < max(size, 2)] if k is None else k
    neighbours = np.unique(np.atleast_1d(np.asarray(wanted, dtype=np.int64)))
    if neighbours[0] < 1 or neighbours[-1] >= size:
        raise ValueError(
            f"k must lie between 1 and {size - 1}, got {neighbours.tolist()}: of {len(a)} points {len(kept)} are "
            f"finite in both spaces, {len(distinct)} of them distinct, in {n_subsets} subsets of {size}."
            + ("" if ties == "average" else ' Points that coincide were removed: ties="average" keeps them.')
        )
    order = distinct if size == len(distinct) else stream(seed, "information-imbalance").permutation(distinct)
    subsets = order[: n_subsets * size].reshape(n_subsets, size)
    measured = [_measure(a[subset], b[subset], neighbours, ties == "average", advance) for subset in subsets]
    forward, backward = (np.concatenate(parts) for parts in zip(*measured, strict=True))
    return InformationImbalance(
        neighbours=neighbours,
        forward_by_point=2 / size * forward,
        backward_by_point=2 / size * backward,
        points=subsets.ravel(),
        n_subsets=n_subsets,
        subset_size=size,
        n_duplicates=len(kept) - len(distinct),
        n_left_out=len(a) - len(kept),
    )


def _find_distinct(first: Num[np.ndarray, "n *d"], second: Num[np.ndarray, "n *e"]) -> Int[np.ndarray, "m"]:
    """Rows that are the first of their kind in both spaces."""
    of_first, of_second = (np.unique(space, axis=0, return_index=True)[1] for space in (first, second))
    return np.intersect1d(of_first, of_second)


def _measure(
    first: np.ndarray,
    second: np.ndarray,
    neighbours: np.ndarray,
    average: bool,
    advance: Callable[[int], None] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean ranks (n, k) in the second space of neighbours in the first, and in the reverse direction."""
    spaces = lay_out(first, second)
    forward, backward = np.empty((2, len(first), len(neighbours)))

    def measure(start: int, stop: int) -> None:
        mean_conditional_ranks(
            spaces.first, spaces.second, spaces.discrete, neighbours, average, start, stop, forward, backward
        )
        if advance is not None:
            advance(stop - start)

    run_parts(measure, [(start, min(start + _ROWS, len(first))) for start in range(0, len(first), _ROWS)])
    return forward, backward
