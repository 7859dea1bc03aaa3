"""FSC of deviations: of each volume minus the mean over the query particles.

With V_q the volume of query particle q, T_q its true volume, and means over the query particles of known state,

    FSC_q = FSC(V_q − mean V, T_q − mean T)

The rigid part cancels, and so do an additive constant and, shell by shell, any scale of the reconstruction. The mask
multiplies deviations. Conventions beyond those of ``metrics.volumes.fsc_curve``:

* The published entries 0 (1 by definition) and 1 (the sign of the mean density) carry no information on a deviation;
  both take the value of entry 2, the first shell that does. Truth is then 1 everywhere, one map for all 0 everywhere.
* A deviation below a millionth of its volume (root mean square over voxels, offset included) is rounding error and
  set to 0. A reconstruction without deviations scores 0 at every shell.
* A query particle whose *true* volume does not deviate is left out, and counted.

Own definition; the published benchmark has none. The mean over few query particles contains part of each: with two
equally populated states both deviations are the same except for their sign.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from cryobench.metrics.volumes.fsc_curve import FscCurve
from cryobench.metrics.volumes.query_pairs import KeptVolumes, QueryPairs, correlate_by_state, hash_content

ROUNDING = 1e-6
"""Size of a deviation, relative to its volume, up to which it counts as single-precision rounding."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Means over query particles, and further results of the first pass over the volumes."""

    pairs: QueryPairs
    """Pairs whose true volume deviates; their true volumes are kept in memory while they fit."""
    mean: Float[np.ndarray, "z y x"]
    """Mean of the reconstruction's volumes over all query particles of known state."""
    true_mean: Float[np.ndarray, "z y x"]
    true_variance: Float[np.ndarray, "z y x"]
    """Variance of every voxel of the true volumes, over the same particles."""
    contents: Int[np.ndarray, "q"]
    """Equal numbers for equal volumes of the reconstruction."""
    n_undeviating: int
    """Number of query particles left out because their true volume does not deviate from the mean."""

    def rows_by_pair(self) -> Iterator[tuple[int, np.ndarray]]:
        """State, and the rows with both this state and the same volume content; state by state."""
        order = np.lexsort((self.contents, self.pairs.states))
        keys = np.stack([self.pairs.states[order], self.contents[order]])
        starts = np.flatnonzero((np.diff(keys, axis=1, prepend=-1) != 0).any(axis=0))
        for rows in np.split(order, starts[1:]):
            yield int(self.pairs.states[rows[0]]), rows


def find_moments(pairs: QueryPairs) -> Moments:
    """Means, variance and repeats, from one pass over the reconstruction's volumes and two over the true ones.

    Raises
    ------
    ValueError
        If a box has fewer than 6 voxels a side, a volume holds values that are not finite, or no true volume
        deviates.
    """
    if pairs.volumes.box_size < 6:
        raise ValueError(f"an FSC of deviations needs at least 6 voxels a side, got {pairs.volumes.box_size}.")
    pairs = replace(pairs, true_volumes=KeptVolumes(pairs.true_volumes))
    shape = (pairs.volumes.box_size,) * 3
    total, known = np.zeros(shape), {}
    contents = np.zeros(len(pairs), dtype=np.int64)
    for row in np.argsort(pairs.particles, kind="stable"):  # independent of the order of the queries
        volume = pairs.read(int(row))
        total += volume
        contents[row] = known.setdefault(hash_content(volume), len(known))
    states, counts = np.unique(pairs.states, return_counts=True)
    true_total = np.zeros(shape)
    for state, count in zip(states, counts, strict=True):
        true_total += pairs.read_true(state) * np.float64(count)
    true_mean = (true_total / len(pairs)).astype(np.float32)
    variance = np.zeros(shape)
    deviating = np.zeros(len(states), dtype=bool)
    for entry, (state, count) in enumerate(zip(states, counts, strict=True)):
        deviation = deviate(pairs.read_true(state), true_mean)
        deviating[entry] = deviation.any()
        variance += count * np.square(deviation, dtype=np.float64)
    if not deviating.any():
        raise ValueError(
            f"the true volumes of all {len(pairs)} query particles ({len(states)} states) are the same: there is no "
            "heterogeneity to score. Choose query particles of different states."
        )
    kept = deviating[np.searchsorted(states, pairs.states)]
    return Moments(
        pairs=replace(pairs, particles=pairs.particles[kept], items=pairs.items[kept], states=pairs.states[kept]),
        mean=(total / len(pairs)).astype(np.float32),
        true_mean=true_mean,
        true_variance=(variance / len(pairs)).astype(np.float32),
        contents=contents[kept],
        n_undeviating=int((~kept).sum()),
    )


def correlate_deviations(
    moments: Moments, masks: dict[str, np.ndarray | None]
) -> Iterator[tuple[int, dict[str, FscCurve]]]:
    """Row and its curve by mask, state by state: the second pass. Each distinct pair is computed once."""
    found = correlate_by_state(
        moments.pairs,
        moments.rows_by_pair(),
        masks,
        lambda volume: deviate(volume, moments.mean),
        lambda volume: deviate(volume, moments.true_mean),
    )
    for row, curves in found:
        yield row, {name: start_at_first_shell(curve) for name, curve in curves.items()}


def deviate(volume: Float[np.ndarray, "z y x"], mean: Float[np.ndarray, "z y x"]) -> Float[np.ndarray, "z y x"]:
    """Volume − mean, float32; 0 everywhere if it is only rounding error."""
    deviation = (volume - mean).astype(np.float32)
    size = np.sqrt(np.square(deviation, dtype=np.float64).sum())
    if size <= ROUNDING * np.sqrt(np.square(volume, dtype=np.float64).sum()):
        deviation[:] = 0
    return deviation


def start_at_first_shell(curve: FscCurve) -> FscCurve:
    """The curve with entries 0 and 1, uninformative here, set to the value of entry 2."""
    return FscCurve(values=np.concatenate([np.full(2, curve.values[2]), curve.values[2:]]), box_size=curve.box_size)
