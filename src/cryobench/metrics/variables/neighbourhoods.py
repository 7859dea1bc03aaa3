"""Estimate of a quantity from a reconstruction: its mean over particles of the same class or latent neighbourhood.

A neighbourhood is a class, or the √n nearest neighbours in the latent in Euclidean distance, without the particle
itself. Latents that repeat (√n times on average, or more) are classes. See
``metrics.variables.distributions``.

On a line, the mean of an uninformative neighbourhood is the mean of all. On a circle it is any direction, so the
mean comes with a certainty: the length of the mean vector, 1 where all agree and near 0 where directions are uniform.

Source: Devroye, Györfi & Lugosi, A Probabilistic Theory of Pattern Recognition (1996), chapter 5 (√n neighbours).
"""

import numpy as np
from jaxtyping import Float, Int

from cryobench._one_thread import one_thread
from cryobench._threads import run_parts

SMALLEST_CLASS = 5
"""Fewest particles of a class with its own mean; smaller ones would repeat the truth rather than average it."""


_ROWS = 1024
"""Particles for which a thread searches neighbours at once."""


class Neighbourhoods:
    """Neighbourhood of each of n particles in a reconstruction: its class, or its nearest neighbours in the latent.

    Parameters
    ----------
    classes
        (n,) class of each, or None.
    latents
        (n, d), used where there are no classes.
    """

    def __init__(self, classes: Int[np.ndarray, "n"] | None, latents: Float[np.ndarray, "n d"] | None = None) -> None:
        self.neighbours: np.ndarray | None = None
        if classes is None:
            if latents is None:
                raise ValueError("neighbourhoods are by class or by latent: give one of classes and latents.")
            n_neighbours = max(1, round(np.sqrt(len(latents))))
            distinct, repeated = np.unique(latents, axis=0, return_inverse=True)
            if len(distinct) * n_neighbours > len(latents):
                self.neighbours = _find_neighbours(latents, n_neighbours)
            classes = repeated.ravel()
        self.classes = np.unique(classes, return_inverse=True)[1]

    @property
    def source(self) -> str:
        """ "classes" or "neighbours"."""
        return "classes" if self.neighbours is None else "neighbours"

    def average(
        self, values: Float[np.ndarray, "n"], *, period: float | None = None
    ) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
        """Mean value (n,) over each particle's neighbourhood, and its certainty (n,) in [0, 1]: 1 on a line."""
        if period is None:
            return np.clip(self._average(values), values.min(), values.max()), np.ones(len(values))
        turns = 2 * np.pi * values / period
        cosine, sine = self._average(np.cos(turns)), self._average(np.sin(turns))
        certainty = np.minimum(np.hypot(cosine, sine), 1.0)
        # Where the mean vector vanishes there is no mean direction: 0, rather than rounding noise.
        angle = np.where(certainty < 1e-9, 0.0, np.arctan2(sine, cosine))
        return np.mod(angle * period / (2 * np.pi), period), certainty

    def _average(self, values: np.ndarray) -> np.ndarray:
        if self.neighbours is not None:
            return values[self.neighbours].mean(axis=1)
        sizes = np.bincount(self.classes)
        centre = values.mean()  # subtracted first: a class of equal values then has exactly that mean
        means = np.bincount(self.classes, weights=values - centre) / np.maximum(sizes, 1)
        return centre + np.where(sizes < SMALLEST_CLASS, 0.0, means)[self.classes]


def _find_neighbours(latents: Float[np.ndarray, "n d"], count: int) -> Int[np.ndarray, "n count"]:
    """Nearest other particles of each, block by block on all threads."""
    from sklearn.neighbors import NearestNeighbors

    found = np.empty((len(latents), count), dtype=np.int64)
    search = NearestNeighbors(n_neighbors=count + 1).fit(latents)

    def find(start: int, stop: int) -> None:
        rows = np.arange(start, stop)[:, None]
        near = search.kneighbors(latents[start:stop], return_distance=False)
        # A particle is not its own neighbour. Among coinciding ones it need not be first, nor in the list at all.
        own = near == rows
        own[~own.any(axis=1), -1] = True
        found[start:stop] = near[~own].reshape(stop - start, count)

    with one_thread():
        run_parts(find, [(start, min(start + _ROWS, len(latents))) for start in range(0, len(latents), _ROWS)])
    return found
