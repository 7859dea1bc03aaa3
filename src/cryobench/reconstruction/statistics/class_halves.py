"""Half-sets of classes: agreement of the volumes from two halves of the particles with the same posteriors."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.imaging.accumulate import SliceAccumulator
from cryobench.reconstruction.engine.passes import Passes
from cryobench.reconstruction.statistics.backprojection import sum_classes
from cryobench.reconstruction.statistics.half_sets import volume_fsc


def compare_halves(
    passes: Passes,
    posteriors: Float[np.ndarray, "n k"],
    noise: Float[np.ndarray, "s"],
    half_sets: Int[np.ndarray, "n"],
    solve: Callable[[SliceAccumulator], tuple[Float[Tensor, "k z y x"], Float[np.ndarray, "s k"]]],
    *,
    scales: Float[np.ndarray, "n"] | None = None,
    threshold: float = 0.0,
    symmetry: str = "C1",
) -> tuple[Float[np.ndarray, "k f"], list[str]]:
    """FSC (k, s) of each class from two half-sets (n,) with posteriors (n, k), and notes for the user.

    The posteriors were estimated from all particles: the noise of the volumes is independent, the division into
    classes is not, so that a class of noise shows some agreement too. The FSC of a class with nothing to compare is
    0.

    Parameters
    ----------
    noise, scales, threshold, symmetry
        As ``sum_classes``.
    solve
        Volumes from sums, as ``solve_volumes``.
    """

    def back_project(half: int) -> Float[Tensor, "k z y x"]:
        options = {"scales": scales, "threshold": threshold, "symmetry": symmetry}
        return solve(sum_classes(passes, posteriors, noise, chosen=half_sets == half, **options))[0]

    fsc = volume_fsc(back_project(0), back_project(1))
    counts = [posteriors[half_sets == half].sum(axis=0) for half in (0, 1)]
    least, most = np.min(counts, axis=0), np.max(counts, axis=0)
    fsc[least < 1] = 0
    notes = []
    if len(empty := np.flatnonzero(most < 1)):
        notes.append(f"{len(empty)} of {len(fsc)} classes have no particles: {_list(empty)}.")
    if len(lopsided := np.flatnonzero((least < 1) & (most >= 1))):
        notes.append(f"Classes {_list(lopsided)} have a half-set without particles: they have no half-set FSC.")
    return fsc, notes


def _list(classes: Sequence[int] | Int[np.ndarray, "_"]) -> str:
    return ", ".join(map(str, classes))
