"""Distances of particles to a latent, and the weight of each at each of the bandwidths tried there.

The distance of particle i to a target is d_i = (z_i − z)ᵀ P_i (z_i − z), P_i the precision of its latent. Bins of d,
linear in √d, extend from the smallest with enough particles of both half-sets to the 95th percentile. A bandwidth
gives a particle of bin j the Epanechnikov weight w = ¾ (1 − d̄_j / h)₊ with h twice the upper edge of some bin and
d̄_j the mean distance in bin j; the smallest bandwidth takes only the particles of the first bin, with equal weights.

Source: Gilles & Singer, PNAS 122 (2025), and their program. Replacing the d of every particle by d̄_j makes the
kernel a staircase with one step per bin: a particle is inserted only once, and the sums of all
bandwidths are one matrix product of the sums of the bins. There, every bin is a bandwidth; here, evenly spaced ones
are, since neighbouring bandwidths give nearly the same volume and each costs a comparison.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cryobench._sampling import spread_indices

FARTHEST = 0.95
"""Fraction of the particles within the last bin."""
NEAR = 2.0
"""Default number of particles of each half-set in the smallest bandwidth, divided by √n."""


@dataclass(frozen=True)
class KernelSizes:
    """Sizes of the kernel of a volume.

    Raises
    ------
    ValueError
        If there are fewer than two bandwidths, or more than bins.
    """

    n_bins: int = 50
    """Bins of the kernel (published: 50)."""
    n_bandwidths: int = 17
    """Edges of bins tried as bandwidths (published: all)."""
    min_particles: int = 100
    """Particles of each half-set within the smallest bandwidth (published: 100)."""

    def __post_init__(self) -> None:
        if not 2 <= self.n_bandwidths <= self.n_bins:
            raise ValueError(f"n_bandwidths must be from 2 to n_bins = {self.n_bins}, got {self.n_bandwidths}.")

    @staticmethod
    def choose(
        n: int,
        *,
        n_bins: int | None = None,
        n_bandwidths: int | None = None,
        min_particles: int | None = None,
    ) -> "KernelSizes":
        """Sizes for n particles: given values, else the defaults, and 2 √n for the smallest bandwidth.

        The default of the smallest bandwidth is at most n / 8. There are at most as many bandwidths as bins.

        ValueError if half-sets are too small for ``min_particles``.
        """
        n_bins = KernelSizes.n_bins if n_bins is None else n_bins
        n_bandwidths = min(KernelSizes.n_bandwidths if n_bandwidths is None else n_bandwidths, n_bins)
        if min_particles is None:
            min_particles = min(max(2, round(NEAR * n**0.5)), max(2, n // 8))
        if 2 * min_particles > n:
            raise ValueError(
                f"each half-set of {n // 2} particles must hold min_particles = {min_particles} near a latent: "
                f"set min_particles to at most {n // 2}, preferably to a tenth of that."
            )
        return KernelSizes(n_bins, n_bandwidths, min_particles)


@dataclass(frozen=True, eq=False)
class Bins:
    """Particles around one target, binned by distance."""

    edges: Float[np.ndarray, "b"]
    """Upper edge of each bin."""
    members: Int[np.ndarray, "n"]
    """Bin of each particle, −1 beyond the last."""
    bandwidths: Float[np.ndarray, "c"]
    """Edges that are bandwidths."""
    weights: Float[np.ndarray, "c b"]
    """Weight of each bin at each bandwidth."""


def squared_distances(
    latents: Float[np.ndarray, "n d"], precisions: Float[np.ndarray, "n d d"], target: Float[np.ndarray, "d"]
) -> Float[np.ndarray, "n"]:
    """(z_i − target)ᵀ P_i (z_i − target) of every particle; at least 0."""
    difference = latents.astype(np.float64) - target
    return np.maximum(np.einsum("ni,nij,nj->n", difference, precisions, difference, optimize=True), 0.0)


def bin_edges(
    distances: Float[np.ndarray, "n"], halves: Int[np.ndarray, "n"], n_bins: int, min_particles: int
) -> Float[np.ndarray, "b"]:
    """Upper edges of bins linear in √d, the first with ``min_particles`` or more of both half-sets.

    Raises
    ------
    ValueError
        If a half-set has fewer particles than that within the last bin.
    """
    sizes = [int((halves == half).sum()) for half in (0, 1)]
    # Particles are compared with edges in d, so the ends that decide membership are exact values of d: a root and a
    # square in between would decide by rounding.
    last = float(np.quantile(np.sqrt(distances), FARTHEST)) ** 2 if len(distances) else 0.0
    # At most as many particles of each half-set as are within the last bin.
    fitting = min(int((distances[halves == half] <= last).sum()) for half in (0, 1))
    if min_particles > fitting:
        raise ValueError(
            f"min_particles is {min_particles}, but of the half-sets of {sizes[0]} and {sizes[1]} particles only "
            f"{fitting} lie within the largest bandwidth: at most {fitting} are possible. Lower min_particles "
            "or use more particles."
        )
    nearest = [np.partition(distances[halves == half], min_particles - 1)[min_particles - 1] for half in (0, 1)]
    first = float(max(nearest))
    edges = np.linspace(np.sqrt(first), np.sqrt(last), n_bins) ** 2
    edges[0], edges[-1] = first, last
    return np.clip(edges, first, last)


def divide_particles(distances: Float[np.ndarray, "n"], halves: Int[np.ndarray, "n"], sizes: KernelSizes) -> Bins:
    """Bins around a target and the weights of the bandwidths. ValueError as ``bin_edges``."""
    n_bins = sizes.n_bins
    edges = bin_edges(distances, halves, n_bins, sizes.min_particles)
    members = np.searchsorted(edges, distances)
    inside = members < n_bins
    counts = np.bincount(members[inside], minlength=n_bins)
    totals = np.bincount(members[inside], weights=distances[inside], minlength=n_bins)
    means = np.where(counts > 0, totals / np.maximum(counts, 1), edges)
    bandwidths = edges[spread_indices(n_bins, sizes.n_bandwidths, nearest=True)]
    widths = np.maximum(2 * bandwidths[:, None], np.finfo(float).tiny)
    with np.errstate(over="ignore"):  # a bandwidth is 0 where many particles have the latent of the target
        weights = 0.75 * np.clip(1 - means / widths, 0, None)
    weights[0] = np.arange(n_bins) == 0
    return Bins(edges, np.where(inside, members, -1), bandwidths, weights)
